"""One test a sentence of the way of a job, on real processes."""

import json
import time
from pathlib import Path
from typing import Any

import pytest

from tests.receiver import Receiver
from tests.stack import Stack, is_alive

pytestmark = pytest.mark.xdist_group("stack")
SHORT = ("lenet5", "--dataset", "digits", "--gpus", "2", "--epochs", "2")
LONG = ("lenet5", "--dataset", "synthetic", "--gpus", "2", "--epochs", "400")
# Long enough to be disturbed in the middle, short enough to be run twice.
MIDDLE = ("lenet5", "--dataset", "digits", "--gpus", "2", "--epochs", "30", "--dropout", "spatial:0.2")


def running_after_checkpoint(job: dict[str, object]) -> object:
    return job["state"] == "running" and job["checkpoints"]


@pytest.fixture(scope="module")
def undisturbed(stack: Stack) -> str:
    """The digest of the weights that `MIDDLE` has when nobody disturbs it."""
    digest = stack.finished(stack.submit(*MIDDLE))["weights_digest"]
    assert isinstance(digest, str)
    return digest


@pytest.fixture(scope="module")
def short(stack: Stack) -> Any:
    """A job that was submitted by a command in a process of its own, and has ended."""
    return stack.finished(int(stack.cnnctl("submit", *SHORT).stdout))


def test_a_job_goes_from_the_command_line_to_a_trained_network_in_sql(stack: Stack, short: Any) -> None:
    job = short
    assert job["outcome"] == "succeeded"
    assert job["epochs"] == 2
    assert set(job["metrics"]) >= {"loss", "accuracy", "val_loss", "val_accuracy", "test_accuracy", "lr"}
    assert len(job["weights_digest"]) == 64
    assert Path(job["model"]).is_file()
    (attempt,) = job["attempts"]
    assert attempt["devices"] == ["sim-testhost-0", "sim-testhost-1"]
    assert {c["kind"] for c in job["checkpoints"]} == {"last", "best"} or len(job["checkpoints"]) == 1
    series = json.loads(stack.cnnctl("metrics", str(job["job"]), "--json").stdout)["series"]
    assert [step for step, _ in series["val_accuracy"]] == [40, 80]
    assert len(series["batch_loss"]) == 40
    actions = [event["action"] for event in job["events"]]
    assert actions == ["submitted", "dispatched", "started", "succeeded"]


def test_a_rerun_of_the_same_spec_has_the_same_weights_bit_for_bit(stack: Stack, short: Any) -> None:
    assert stack.finished(stack.submit(*SHORT))["weights_digest"] == short["weights_digest"]


def test_cancelling_a_running_job_frees_its_gpus_in_5_s_and_leaves_no_process(stack: Stack) -> None:
    number = stack.submit(*LONG)
    job = stack.wait(number, running_after_checkpoint)
    pid = job["attempts"][0]["trainer_pid"]
    assert is_alive(pid)
    started = time.monotonic()
    assert "stopping" in stack.cnnctl_here("cancel", str(number)).stdout
    job = stack.finished(number, "cancelled")
    assert time.monotonic() - started < 5
    assert not is_alive(pid)
    assert stack.finished(stack.submit(*SHORT))["state"] == "succeeded"
    assert "already cancelled" in stack.cnnctl("cancel", str(number), code=4).stderr


def test_a_queued_job_says_why_it_waits_and_is_cancelled_at_once(stack: Stack) -> None:
    first, second = stack.submit(*LONG), stack.submit(*SHORT)
    job = stack.wait(second, lambda job: "first in line" in job["reason"])
    assert job["reason"] == "waits for 2 GPUs on one host: 0 free on testhost; first in line"
    assert "is cancelled" in stack.cnnctl_here("cancel", str(second)).stdout
    assert stack.job(second)["attempts"] == []
    stack.cnnctl_here("cancel", str(first))
    stack.finished(first, "cancelled")


def test_a_retried_job_continues_from_its_checkpoint_to_the_same_weights(
    stack: Stack, undisturbed: str
) -> None:
    number = stack.submit(*MIDDLE)
    stack.wait(number, running_after_checkpoint)
    stack.cnnctl_here("cancel", str(number))
    stack.finished(number, "cancelled")
    stack.cnnctl_here("retry", str(number))
    job = stack.finished(number)
    assert [a["outcome"] for a in job["attempts"]] == ["cancelled", "succeeded"]
    assert job["attempts"][1]["start_step"] > 0
    assert job["weights_digest"] == undisturbed


def test_a_paused_job_gives_its_gpus_away_and_goes_on_to_the_same_weights(
    stack: Stack, undisturbed: str
) -> None:
    number = stack.submit(*MIDDLE)
    pid = stack.wait(number, running_after_checkpoint)["attempts"][0]["trainer_pid"]
    assert "stopping" in stack.cnnctl_here("pause", str(number)).stdout
    job = stack.wait(number, lambda job: job["state"] != "running")
    assert job["state"] == "paused"
    assert f"cnnctl resume {number}" in job["reason"]
    assert not is_alive(pid)
    stack.finished(stack.submit(*SHORT))
    assert stack.job(number)["state"] == "paused"
    stack.cnnctl_here("resume", str(number))
    job = stack.finished(number)
    assert [a["outcome"] for a in job["attempts"]] == ["interrupted", "succeeded"]
    assert job["attempts"][1]["start_step"] > 0
    assert job["weights_digest"] == undisturbed


def test_a_job_waits_for_the_one_before_it_and_on_hold_for_a_person(stack: Stack) -> None:
    first = stack.submit(*SHORT, "--hold")
    second = stack.submit(*SHORT, "--after", str(first))
    job = stack.wait(second, lambda job: "waits for job" in job["reason"])
    assert (job["reason"], job["after"]) == (f"waits for job {first} to succeed", [first])
    stack.cnnctl("resume", str(first))
    stack.finished(second)
    assert stack.job(first)["state"] == "succeeded"


def test_a_person_is_told_of_a_jobs_end_and_of_the_hours_it_took(stack: Stack, receiver: Receiver) -> None:
    hook = stack.cnnctl("notify", "add", "--on", "end", "--webhook", receiver.url).stdout.strip()
    number = stack.submit(*SHORT, "--project", "told")
    told = receiver.received.get(timeout=120)
    assert (told["job"], told["state"], told["metrics"]["lr"]) == (
        number,
        "succeeded",
        pytest.approx(0, abs=1),
    )
    stack.cnnctl_here("notify", "remove", hook)
    usage = json.loads(stack.cnnctl("usage", "--since", "1h", "--json").stdout)
    (told_hours,) = [row for row in usage if row["project"] == "told"]
    assert (told_hours["outcome"], told_hours["attempts"]) == ("succeeded", 1)
    assert 0 < told_hours["idle_hours"] < told_hours["gpu_hours"] < 0.1
    assert "submitted" in stack.cnnctl("history", str(number)).stdout


def test_a_worker_that_is_told_to_stop_hands_its_job_to_the_next_one(stack: Stack, undisturbed: str) -> None:
    number = stack.submit(*MIDDLE)
    stack.wait(number, running_after_checkpoint)
    stack.stop("worker")
    job = stack.job(number)
    assert (job["state"], job["attempts"][0]["outcome"]) == ("queued", "interrupted")
    assert len(job["attempts"]) == 1
    stack.start("worker")
    job = stack.finished(number)
    assert job["weights_digest"] == undisturbed


def test_a_second_worker_of_a_host_is_refused(stack: Stack) -> None:
    assert "is already running" in stack.cnnctl("worker", code=4).stderr
