"""Stores on real databases, for measuring: PostgreSQL, and SQLite in a folder; attempts in them."""

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from service.domain.jobs import Attempt
from service.domain.spec_request import resolve_spec
from service.domain.states import JobState
from service.store.fleet import hosts
from service.store.jobs import attempts, jobs
from service.store.transaction import Store, open_store
from tests.servers import PostgresServer

HOST = WORKER = "bench"


@contextmanager
def database_urls() -> Iterator[Mapping[str, str]]:
    """The URLs of an upgraded database of each kind, by its name."""
    with tempfile.TemporaryDirectory(prefix="cnnctl-bench-", ignore_cleanup_errors=True) as folder:
        server = PostgresServer(Path(folder))
        server.start()
        urls = {"postgresql": server.url, "sqlite": f"sqlite:///{Path(folder) / 'cnnctl.db'}"}
        for url in urls.values():
            store = open_store(url)
            store.upgrade()
            store.close()
        yield urls
        server.stop()


@contextmanager
def open_stores() -> Iterator[Mapping[str, Store]]:
    """Stores of an upgraded database of each kind, by its name."""
    with database_urls() as urls:
        stores = {name: open_store(url) for name, url in urls.items()}
        yield stores
        for store in stores.values():
            store.close()


def add_host(store: Store) -> None:
    """Make a host known to the store; without GPUs, so that nothing is refused for its size."""
    with store.transaction() as tx:
        hosts.register_host(tx, HOST, worker=WORKER, cores=1, devices=[])


def add_attempt(store: Store, folder: Path) -> Attempt:
    """An attempt of a new job, claimed, whose run folder is `folder`."""
    with store.transaction() as tx:
        job_id = jobs.create_job(tx, resolve_spec("lenet5", {}), owner="ada", reason="")
        jobs.set_state_if(tx, job_id, JobState.QUEUED, JobState.RUNNING, reason="")
        sent = attempts.create_attempt(tx, job_id, host_name=HOST)
        attempt = attempts.claim(tx, sent.id, worker=WORKER, host_name=HOST, runs_dir="")
        assert attempt is not None
        attempts.write(tx, attempt, run_dir=str(folder))
        return attempts.get_attempt(tx, attempt.id)
