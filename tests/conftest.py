"""Real servers for the tests, PostgreSQL and Redis, from PATH or from wheels; stores on every database."""

import dataclasses
import os
import shutil
import signal
import tarfile
import tempfile
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, create_engine, make_url, text

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
from workers.train.process.reporter import Reporter

HOST = "gpu01"
GIB = 1024**3
GOLDEN = Path(__file__).parent / "golden"
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


def find_memory_disk() -> Path | None:
    """Where files are in memory, with room for PostgreSQL: on a disk each new database takes 0.1 s more."""
    shared = Path("/dev/shm")
    usable = os.access(shared, os.W_OK) and shutil.disk_usage(shared).free > GIB
    return shared if usable else None


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """The URL of a real PostgreSQL.

    Its folder is not among pytest's: those are closed to other users whenever another pytest starts, and
    the server, started by root, runs as another user.
    """
    with tempfile.TemporaryDirectory(
        prefix="cnnctl-postgres-", dir=find_memory_disk(), ignore_cleanup_errors=True
    ) as folder:
        server = PostgresServer(Path(folder))
        server.start()
        with administrator(server.url) as connection:
            connection.execute(text("ALTER SYSTEM SET fsync = off"))  # no test of these pulls the plug
            connection.execute(text("SELECT pg_reload_conf()"))
        yield server.url
        server.stop()


@contextmanager
def administrator(server_url: str) -> Iterator[Connection]:
    """A connection that may create and drop databases."""
    engine = create_engine(server_url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        yield connection
    engine.dispose()


@contextmanager
def new_database(server_url: str, *, template: str = "template1") -> Iterator[str]:
    """The URL of a new database, which is a copy of another."""
    name = f"test_{uuid.uuid4().hex}"
    with administrator(server_url) as connection:
        # By files: to write each page to the log as well takes twice the time.
        connection.execute(text(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY FILE_COPY"))
        yield connection.engine.url.set(database=name).render_as_string(hide_password=False)
        connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))


@pytest.fixture
def postgres_url(postgres_server: str) -> Iterator[str]:
    """The URL of a new, empty database."""
    with new_database(postgres_server) as url:
        yield url


@pytest.fixture(scope="session")
def postgres_with_tables(postgres_server: str) -> Iterator[str]:
    """The name of a PostgreSQL database with all tables, to be copied."""
    with new_database(postgres_server) as url:
        make_tables(url)
        yield str(make_url(url).database)


@pytest.fixture(scope="session")
def sqlite_with_tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An SQLite file with all tables, to be copied."""
    path = tmp_path_factory.mktemp("template") / "cnnctl.db"
    make_tables(f"sqlite:///{path}")
    return path


def make_tables(url: str) -> None:
    with closing(Store(make_engine(url))) as store:
        store.upgrade()


def unpack_golden(kind: str, into: Path) -> Path:
    """The folder that 5082cc5 wrote with a kind of database, a copy; see tests/golden/README.md."""
    with tarfile.open(GOLDEN / f"5082cc5-{kind}.tar.gz") as archive:
        archive.extractall(into, filter="data")
    return into / "cnnctl-golden"


@pytest.fixture(scope="module")
def golden(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data folder of an embedded stack of 5082cc5, a copy for a file of tests."""
    return unpack_golden("sqlite", tmp_path_factory.mktemp("golden"))


@pytest.fixture(scope="module")
def golden_of_servers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a stack of 5082cc5 with servers and two hosts wrote, a copy for a file of tests."""
    return unpack_golden("postgresql", tmp_path_factory.mktemp("golden"))


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
        (tmp_path / "cnnctl.db").touch()
        return f"sqlite:///{tmp_path / 'cnnctl.db'}"
    url = request.getfixturevalue("postgres_url")
    assert isinstance(url, str)
    return url


@pytest.fixture(params=["sqlite", "postgresql"])
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A database of each kind with all tables: a copy, since migrating each anew took half of the time."""
    if request.param == "sqlite":
        shutil.copyfile(request.getfixturevalue("sqlite_with_tables"), tmp_path / "cnnctl.db")
        yield f"sqlite:///{tmp_path / 'cnnctl.db'}"
    else:
        server, template = map(request.getfixturevalue, ("postgres_server", "postgres_with_tables"))
        with new_database(server, template=template) as url:
            yield url


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(store_url: str, clock: Clock) -> Iterator[Store]:
    """A store on each kind of database, whose clock stands still."""
    with closing(Store(make_engine(store_url), clock=clock)) as store:
        yield store


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
        "stop_reason": "",
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


@pytest.fixture
def open_reporter() -> Iterator[Callable[[Path], Reporter]]:
    """Open event logs, which a trainer's process would close at its end."""
    opened: list[Reporter] = []

    def open_one(path: Path) -> Reporter:
        opened.append(Reporter(path))
        return opened[-1]

    yield open_one
    for reporter in opened:
        reporter.close()
