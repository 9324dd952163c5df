"""A GPU that somebody uses without asking the queue, on a live stack with simulated ones."""

import os
import pwd
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.servers import wait_until
from tests.stack import Stack

pytestmark = pytest.mark.xdist_group("stack")
SHORT = ("lenet5", "--dataset", "synthetic", "--epochs", "1")
ME = pwd.getpwuid(os.getuid()).pw_name
HOLD = "import sys; held = open(sys.argv[1]); print('ready', flush=True); sys.stdin.read()"


@pytest.fixture
def outsider(stack: Stack) -> Iterator["subprocess.Popen[str]"]:
    """A process that holds the device file of the first GPU, and that the worker has nothing to do with."""
    path = stack.home / "devices" / "sim-testhost-0"
    path.parent.mkdir(exist_ok=True)
    path.touch()
    words = [sys.executable, "-c", HOLD, str(path)]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
        yield process


def test_a_job_waits_for_a_gpu_that_an_outsider_uses_and_starts_when_that_one_has_ended(
    stack: Stack, outsider: "subprocess.Popen[str]"
) -> None:
    first = wait_for_gpu(stack, lambda gpu: gpu["outsiders"])
    (seen,) = first["outsiders"]
    assert (seen["pid"], seen["user"]) == (outsider.pid, ME)
    assert "testhost:0 used from outside the queue" in stack.cnnctl("gpus").stdout
    both = stack.submit(*SHORT, "--gpus", "2")
    job = stack.wait(both, lambda job: f"pid {outsider.pid}" in job["reason"])
    assert f"GPU 0 is in use from outside the queue ({ME}'s " in job["reason"]
    one = stack.finished(stack.submit(*SHORT))
    assert one["attempts"][0]["devices"] == ["sim-testhost-1"]
    assert stack.job(both)["state"] == "queued"
    outsider.communicate()
    done = stack.finished(both)
    assert done["attempts"][0]["devices"] == ["sim-testhost-0", "sim-testhost-1"]


def test_a_trainer_is_no_outsider_and_what_it_takes_is_shown(stack: Stack) -> None:
    number = stack.submit("lenet5", "--dataset", "synthetic", "--epochs", "400")
    used = wait_for_gpu(stack, lambda gpu: gpu["utilization_percent"])
    assert (used["job"], used["outsiders"]) == (number, [])
    assert used["memory_used_mib"] > 50  # TensorFlow is in it
    stack.cnnctl("cancel", str(number))
    stack.finished(number, "cancelled")


def wait_for_gpu(stack: Stack, met: Callable[[Any], object]) -> Any:
    """Look at the first GPU until `met`; the GPU as it was then."""
    seen: list[Any] = []

    def look() -> bool:
        seen[:] = stack.gpus()[:1]
        return bool(seen) and bool(met(seen[0]))

    wait_until(look, seconds=90)
    return seen[0]
