"""Several people on one host of four GPUs."""

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from service.commands.jobs.submit import submit
from service.domain.jobs import JobId
from service.domain.people import Actor
from tests.stack import Stack

QUANTUM = timedelta(seconds=3)
pytestmark = pytest.mark.xdist_group("sharing")
LONG = {"training.epochs": 40}


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    stack = Stack(
        tmp_path_factory.mktemp("sharing") / "home",
        CNNCTL_GPUS="sim:4",
        CNNCTL_QUANTUM_SECONDS=f"{QUANTUM.seconds}",
    )
    stack.cnnctl("db", "upgrade")
    stack.start("scheduler")
    stack.start("worker")
    yield stack
    stack.close()


def test_a_short_job_takes_a_gpu_of_somebody_who_has_all_and_nobody_loses_a_step(
    stack: Stack,
) -> None:
    long = [ask(stack, "ada", LONG) for _ in range(12)]
    for number in long[:4]:
        stack.wait(number, lambda job: job["attempts"] and age_of(job) > QUANTUM)
    short = ask(stack, "bob", {"training.epochs": 1})
    first = stack.finished(short)["attempts"][0]
    waited = moment(first["started_at"]) - moment(stack.job(short)["submitted_at"])
    assert waited < timedelta(seconds=10)  # 5 s where nothing else runs on the machine
    stack.cnnctl("cancel", *map(str, long[4:]))
    ended = [stack.finished(number) for number in long[:4]]
    outcomes = sorted([one["outcome"] for one in job["attempts"]] for job in ended)
    assert outcomes == [["interrupted", "succeeded"], *[["succeeded"]] * 3]
    assert len({job["weights_digest"] for job in ended}) == 1
    (gave_way,) = (job["job"] for job in ended if len(job["attempts"]) == 2)
    assert f"preempted for job {short} of bob" in stack.cnnctl("history", str(gave_way)).stdout


@pytest.mark.long
def test_a_gang_is_not_starved_by_a_stream_of_small_jobs(stack: Stack) -> None:
    small = [ask(stack, "ada", LONG) for _ in range(8)]
    stack.wait(small[3], lambda job: job["attempts"])
    gang = ask(stack, "bob", {"training.epochs": 1, "resources.gpus": 4})
    started = moment(stack.finished(gang)["attempts"][0]["started_at"])
    # It had four GPUs at once before the last small job had one.
    late = [moment(one["created_at"]) for one in stack.job(small[-1])["attempts"]]
    assert all(started < created for created in late)
    stack.cnnctl("cancel", *map(str, small), code=None)  # some have ended


def ask(stack: Stack, owner: str, fields: Mapping[str, object]) -> JobId:
    fields = {"data.dataset": "digits", **fields}
    return JobId(submit(stack.store, stack.settings, "lenet5", fields, owner=Actor(name=owner)).job)


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


def age_of(job: Any) -> timedelta:
    """For how long its newest attempt has been holding its GPUs."""
    return datetime.now(timezone.utc) - moment(job["attempts"][-1]["created_at"])
