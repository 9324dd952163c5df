"""Real servers for the tests, PostgreSQL and Redis, from PATH or from wheels; stores on every database."""

import dataclasses
import signal
import tempfile
import uuid
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, text

from service.db.engine import make_engine
from service.domain.gpus import Gpu
from service.domain.jobs import Attempt, JobId
from service.domain.people import Actor
from service.domain.spec_request import resolve_spec
from service.domain.states import AttemptState, JobState
from service.store.fleet import hosts, leases
from service.store.jobs import attempts, jobs
from service.store.transaction import Store, Transaction
from tests.receiver import Receiver
from tests.servers import PostgresServer, RedisServer

HOST = "gpu01"
ADA = Actor(name="ada")
# A shell's background job ignores Ctrl-C, and so would all that the tests start, though some test it.
signal.signal(signal.SIGINT, signal.default_int_handler)


class Clock:
    """A clock that moves only when it is told to."""

    def __init__(self) -> None:
        self.now = datetime(2026, 1, 1, 12, tzinfo=timezone.utc)

    def __call__(self) -> datetime:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """The URL of a real PostgreSQL.

    Its folder is not among pytest's: those are closed to other users whenever another pytest starts, and
    the server, started by root, runs as another user.
    """
    with tempfile.TemporaryDirectory(prefix="cnnctl-postgres-", ignore_cleanup_errors=True) as folder:
        server = PostgresServer(Path(folder))
        server.start()
        yield server.url
        server.stop()


@pytest.fixture
def postgres_url(postgres_server: str) -> Iterator[str]:
    """The URL of a new, empty database."""
    name = f"test_{uuid.uuid4().hex}"
    admin = create_engine(postgres_server, isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    yield admin.url.set(database=name).render_as_string(hide_password=False)
    with admin.connect() as connection:
        connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
    admin.dispose()


@pytest.fixture
def redis_server(tmp_path: Path) -> Iterator[RedisServer]:
    server = RedisServer(tmp_path)
    server.start()
    yield server
    server.stop()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    receiver = Receiver()
    yield receiver
    receiver.close()


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database of each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'cnnctl.db'}"
    url = request.getfixturevalue("postgres_url")
    assert isinstance(url, str)
    return url


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(database_url: str, clock: Clock) -> Iterator[Store]:
    """A store with all tables, on each kind of database, whose clock stands still."""
    store = Store(make_engine(database_url), clock=clock)
    store.upgrade()
    yield store
    store.close()


@pytest.fixture
def add_host(store: Store) -> Callable[..., None]:
    """Register a host with simulated GPUs."""

    def add(name: str = HOST, *, gpus: int = 2, worker: str = "w1") -> None:
        devices = [
            Gpu(
                uuid=f"{name}-{number}",
                host_name=name,
                number=number,
                model="simulated (CPU)",
                memory_mib=0,
                simulated=True,
            )
            for number in range(gpus)
        ]
        with store.transaction() as tx:
            hosts.register_host(tx, name, worker=worker, cores=2, devices=devices)

    return add


@pytest.fixture
def add_job(store: Store) -> Callable[..., JobId]:
    """Queue a job."""

    def add(*, gpus: int = 1, owner: str = "ada") -> JobId:
        with store.transaction() as tx:
            spec = resolve_spec("lenet5", {"resources.gpus": gpus})
            return jobs.create_job(tx, spec, owner=owner, reason="waits")

    return add


@pytest.fixture
def claimed(
    store: Store, add_host: Callable[..., None], add_job: Callable[..., JobId]
) -> Callable[..., Attempt]:
    """A job's attempt on one GPU of `gpu01`, claimed by worker `w1`."""
    add_host()

    def claim(job_id: JobId | None = None, *, gpu: str = f"{HOST}-0", runs_dir: str = "/runs") -> Attempt:
        job_id = add_job() if job_id is None else job_id
        with store.transaction() as tx:
            place(tx, job_id, gpu)
            attempt = attempts.find_live_attempt(tx, job_id)
            assert attempt is not None
            taken = attempts.claim(tx, attempt.id, worker="w1", host_name=HOST, runs_dir=runs_dir)
            assert taken is not None
        return taken

    return claim


def make_attempt(**fields: Any) -> Attempt:
    """An attempt that is in no database."""
    clock = Clock()
    values = dict.fromkeys(field.name for field in dataclasses.fields(Attempt))
    numbers = {"id": 1, "job_id": 1, "number": 1, "token": 0, "events_offset": 0, "epochs_completed": 0}
    words = {
        "host_name": HOST,
        "state": AttemptState.DISPATCHED,
        "reason": "",
        "wish_reason": "",
        "run_dir": "",
    }
    values["state"] = AttemptState.DISPATCHED
    return Attempt(**{**values, **numbers, **words, "created_at": clock.now, "sent_at": clock.now, **fields})


def place(tx: Transaction, job_id: JobId, gpu: str) -> Attempt:
    """Dispatch a queued job to one GPU of `gpu01`."""
    assert jobs.set_state_if(tx, job_id, JobState.QUEUED, JobState.RUNNING, reason="")
    attempt = attempts.create_attempt(tx, job_id, host_name=HOST)
    leases.acquire(tx, attempt.id, [gpu])
    return attempt
