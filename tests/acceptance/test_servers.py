"""The way of a job over PostgreSQL and Redis, with the broker taken away before the dispatch."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.servers import RedisServer
from tests.stack import Stack

SHORT = ("lenet5", "--dataset", "digits", "--gpus", "2", "--epochs", "2")


@pytest.fixture
def server_stack(tmp_path: Path, postgres_url: str, redis_server: RedisServer) -> Iterator[Stack]:
    """Scheduler and worker on PostgreSQL and Redis."""
    stack = Stack(
        tmp_path / "home",
        CNNCTL_DATABASE_URL=postgres_url,
        CNNCTL_BROKER_URL=redis_server.url,
        CNNCTL_RESEND_SECONDS="1",
    )
    stack.cnnctl("db", "upgrade")
    stack.start("scheduler")
    stack.start("worker")
    yield stack
    stack.close()


def test_a_broker_that_is_killed_before_the_dispatch_delays_a_job_and_loses_nothing(
    server_stack: Stack, redis_server: RedisServer
) -> None:
    first = server_stack.finished(server_stack.submit(*SHORT))
    redis_server.stop()
    submitted = server_stack.cnnctl("submit", *SHORT)
    number = int(submitted.stdout)
    waiting = server_stack.wait(number, lambda job: job["attempts"])
    assert waiting["attempts"][0]["state"] == "dispatched"
    deadline = 200
    while "broker cannot be reached" not in server_stack.cnnctl("status").stdout:
        deadline -= 1
        assert deadline, server_stack.logs()
    redis_server.start()
    job = server_stack.finished(number)
    assert len(job["attempts"]) == 1
    assert job["weights_digest"] == first["weights_digest"]
