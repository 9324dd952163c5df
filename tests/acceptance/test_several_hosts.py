"""A job over two hosts: two workers with two simulated GPUs each, on this machine."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.servers import RedisServer, wait_until
from tests.stack import Stack, is_alive
from workers.process_tree import list_run_dirs
from workers.train.checkpoints.files import read_checkpoint

JOB = ("lenet5", "--dataset", "digits", "--gpus", "4", "--epochs", "15")  # long enough to be disturbed
OVER_TWO = (*JOB, "--hosts", "2")
HOSTS = ("a", "b")
pytestmark = pytest.mark.xdist_group("several hosts")


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A scheduler and the workers of two hosts, on SQLite and message files."""
    stack = start_two_hosts(tmp_path_factory.mktemp("hosts") / "home")
    yield stack
    stack.close()


@pytest.fixture
def server_stack(tmp_path: Path, postgres_url: str, redis_server: RedisServer) -> Iterator[Stack]:
    """The same on PostgreSQL and Redis."""
    servers = {"CNNCTL_DATABASE_URL": postgres_url, "CNNCTL_BROKER_URL": redis_server.url}
    stack = start_two_hosts(tmp_path / "servers", **servers)
    yield stack
    stack.close()


def start_two_hosts(home: Path, **settings: str) -> Stack:
    times = {"CNNCTL_LEASE_SECONDS": "12", "CNNCTL_GRACE_SECONDS": "10"}
    stack = Stack(home, CNNCTL_GPUS="sim:2", **times, **settings)
    stack.cnnctl("db", "upgrade")
    stack.start("scheduler")
    for name in HOSTS:
        stack.start(f"worker-{name}", program="worker", CNNCTL_HOST=name)
    wait_until(lambda: len(stack.gpus()) == 4, seconds=90)
    return stack


@pytest.fixture(scope="module")
def truth(stack: Stack) -> Any:
    """The job that nobody disturbed."""
    return stack.finished(stack.submit(*OVER_TWO))


def test_it_trains_on_both_hosts_as_one_host_with_as_many_gpus_would(
    stack: Stack, truth: Any, tmp_path: Path
) -> None:
    (attempt,) = truth["attempts"]
    assert attempt["devices"] == ["sim-a-0", "sim-a-1", "sim-b-0", "sim-b-1"]
    alone = Stack(tmp_path / "alone", CNNCTL_GPUS="sim:4")
    ended = alone.cnnctl("run", *JOB, "--json")
    one = newest_checkpoint(json_of(ended.stdout))
    over = newest_checkpoint(truth)
    differences = [
        np.abs(x.astype(np.float64) - y.astype(np.float64)).max()
        for x, y in zip(one.network, over.network, strict=True)
    ]
    assert max(differences) <= 1e-5


@pytest.mark.long
def test_it_is_paused_and_resumed_as_one(stack: Stack, truth: Any) -> None:
    number = stack.submit(*OVER_TWO)
    stack.wait(number, lambda job: job["checkpoints"])
    stack.cnnctl("pause", str(number))
    paused = stack.wait(number, lambda job: job["state"] == "paused")
    assert all_free(stack)
    step = paused["checkpoints"][0]["step"]
    stack.cnnctl("resume", str(number))
    job = stack.finished(number)
    assert job["weights_digest"] == truth["weights_digest"]
    assert [one["outcome"] for one in job["attempts"]] == ["interrupted", "succeeded"]
    assert job["attempts"][1]["start_step"] >= step


@pytest.mark.parametrize("rank", [0, pytest.param(1, marks=pytest.mark.long)])
def test_a_killed_trainer_of_either_host_ends_all_and_the_job_continues_exactly(
    stack: Stack, truth: Any, rank: int
) -> None:
    number = stack.submit(*OVER_TWO)
    stack.wait(number, lambda job: job["checkpoints"])
    victim, other = trainers_of(stack, number) if rank == 0 else trainers_of(stack, number)[::-1]
    os.kill(victim, signal.SIGKILL)
    job = stack.finished(number)
    assert not is_alive(other)
    first, second = job["attempts"]
    assert (first["outcome"], first["cause"], second["outcome"]) == ("lost", "killed", "succeeded")
    assert "killed by signal 9" in first["reason"]
    assert first["reason"].startswith("on b: " if rank else "the trainer died")
    assert job["weights_digest"] == truth["weights_digest"]


def test_a_cancelled_one_leaves_no_process_and_both_hosts_free(stack: Stack) -> None:
    number = stack.submit(*OVER_TWO[:-2], "--hosts", "2", "--set", "training.epochs=2000")
    stack.wait(number, lambda job: job["checkpoints"])
    trainers = trainers_of(stack, number)
    stack.cnnctl("cancel", str(number))
    stack.finished(number, "cancelled")
    assert not any(map(is_alive, trainers))
    assert all_free(stack)


@pytest.mark.long
def test_a_worker_that_is_told_to_leave_stops_all_and_the_job_waits_for_its_return(
    stack: Stack, truth: Any
) -> None:
    number = stack.submit(*OVER_TWO)
    stack.wait(number, lambda job: job["checkpoints"])
    stack.stop("worker-b")
    waiting = stack.wait(number, lambda job: "hosts" in job["reason"])
    assert "waits for 2 hosts with 2 GPUs each: only a can give them" in waiting["reason"]
    stack.start("worker-b", program="worker", CNNCTL_HOST="b")
    assert stack.finished(number)["weights_digest"] == truth["weights_digest"]


@pytest.mark.long
def test_a_worker_killed_with_its_trainer_costs_an_attempt_and_no_step(stack: Stack, truth: Any) -> None:
    number = stack.submit(*OVER_TWO)
    stack.wait(number, lambda job: job["checkpoints"])
    _, member = trainers_of(stack, number)
    stack.stop("worker-b", signal.SIGKILL)
    os.kill(member, signal.SIGKILL)
    stack.wait(number, lambda job: job["state"] == "queued")
    stack.start("worker-b", program="worker", CNNCTL_HOST="b")
    assert stack.finished(number)["weights_digest"] == truth["weights_digest"]


@pytest.mark.long
@pytest.mark.parametrize("name", HOSTS)
def test_a_worker_of_either_host_that_comes_back_in_time_takes_its_trainer_over(
    stack: Stack, truth: Any, name: str
) -> None:
    number = stack.submit(*OVER_TWO)
    stack.wait(number, lambda job: job["checkpoints"])
    stack.stop(f"worker-{name}", signal.SIGKILL)
    stack.start(f"worker-{name}", program="worker", CNNCTL_HOST=name)
    job = stack.finished(number)
    assert job["weights_digest"] == truth["weights_digest"]
    assert len(job["attempts"]) == 1


@pytest.mark.long
def test_a_worker_of_the_chief_that_stays_away_ends_both_trainers_before_the_gpus_are_given_away(
    stack: Stack, truth: Any
) -> None:
    number = stack.submit(*OVER_TWO[:-2], "--hosts", "2", "--set", "training.epochs=2000")
    stack.wait(number, lambda job: job["checkpoints"])
    trainers = trainers_of(stack, number)
    stack.stop("worker-a", signal.SIGKILL)
    job = stack.wait(number, lambda job: job["state"] == "queued")
    assert not any(map(is_alive, trainers))
    assert job["attempts"][-1]["cause"] == "lost_host", job["attempts"]
    stack.cnnctl("cancel", str(number))
    stack.start("worker-a", program="worker", CNNCTL_HOST="a")
    again = stack.finished(stack.submit(*OVER_TWO))
    assert again["weights_digest"] == truth["weights_digest"]


@pytest.mark.long
def test_on_postgresql_and_redis_it_ends_with_the_same_weights_whatever_is_killed(
    server_stack: Stack, truth: Any
) -> None:
    number = server_stack.submit(*OVER_TWO)
    server_stack.wait(number, lambda job: job["checkpoints"])
    os.kill(trainers_of(server_stack, number)[1], signal.SIGKILL)
    assert server_stack.finished(number)["weights_digest"] == truth["weights_digest"]


def test_what_the_hosts_cannot_give_is_refused_with_what_they_can(stack: Stack) -> None:
    refused = stack.cnnctl_here("submit", *JOB, code=2).stderr
    assert "--gpus 4 --hosts 2" in refused
    refused = stack.cnnctl_here("submit", *JOB[:4], "8", "--hosts", "2", code=2).stderr
    assert "each host needs 4 GPUs, and 0 of 2 hosts have that many. Nearest: --gpus 4" in refused
    refused = stack.cnnctl_here("submit", *JOB[:4], "1", "--hosts", "2", code=2).stderr
    assert "divides evenly" in refused
    refused = stack.cnnctl_here("submit", *OVER_TWO, "--exclusive", code=2).stderr
    assert "cannot be combined with --exclusive" in refused


def json_of(text: str) -> Any:
    import json

    return json.loads(text)


def newest_checkpoint(job: Any) -> Any:
    return read_checkpoint(Path(max(c["path"] for c in job["checkpoints"])))


def trainers_of(stack: Stack, number: int) -> tuple[int, int]:
    """The processes of the chief's trainer and of the other host's."""
    attempt = stack.job(number)["attempts"][-1]
    member = f"{attempt['run_dir']}/member-1"
    found = min(pid for pid, folders in list_run_dirs().items() if member in folders)
    return attempt["trainer_pid"], found


def all_free(stack: Stack) -> bool:
    return all(view["job"] is None and view["state"] == "available" for view in stack.gpus())
