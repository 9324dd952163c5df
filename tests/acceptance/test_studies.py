"""A study from its file to its verdict, on real processes, with what befalls them."""

import json
import signal
from pathlib import Path
from typing import Any

import pytest

from tests.stack import Stack

pytestmark = pytest.mark.xdist_group("stack")
STUDY = """
name = "epochs"
claim = "One epoch is too few."
source = "nobody"
network = "softmax"
factor = ["training.epochs"]
base.data.dataset = "digits"
arms.short.training.epochs = 1
arms.long.training.epochs = 8
[[contrasts]]
first = "short"
second = "long"
metric = "test_accuracy"
expect = "lower"
margin = 0.01
[[contrasts]]
first = "short"
second = "long"
metric = "epochs_to:accuracy:0.9999"
aside = true
expect = "higher"
margin = 1.5
ratio = true
[tune]
seeds = 1
grid.optimizer.lr = [0.001, 0.002]
[scales.quick]
seeds = 7
"""


def ask(stack: Stack, *words: str) -> Any:
    return json.loads(stack.cnnctl_here("study", *words).stdout)


def test_a_study_survives_a_killed_scheduler_and_worker_and_is_bit_exact(
    stack: Stack, tmp_path: Path
) -> None:
    file = tmp_path / "epochs.toml"
    file.write_text(STUDY)
    first = ask(stack, "run", str(file), "--json")["study"]
    for program in ("scheduler", "worker"):
        stack.stop(program, signal.SIGKILL)
        stack.start(program)
    stack.cnnctl("study", "status", str(first), "--follow")
    report = ask(stack, "report", str(first), "--json")
    assert report["is_complete"]
    assert report["remarks"] == []
    assert report["verdict"] == "confirmed"
    never = report["contrasts"][1]
    assert (never["verdict"], never["low"]) == ("too weak", None)
    assert never["censored_first"] == never["censored_second"] == 7
    assert all(arm["tuned"]["optimizer.lr"] in (0.001, 0.002) for arm in report["arms"])
    again = ask(stack, "run", str(file), "--fresh", "--json")["study"]
    stack.cnnctl("study", "status", str(again), "--follow")
    assert digests(stack, again) == digests(stack, first)


def digests(stack: Stack, study: int) -> list[tuple[str, str, int, str]]:
    runs = ask(stack, "export", str(study))["runs"]
    assert len(runs) == 2 * 2 + 2 * 7
    return [(run["stage"], run["arm"], run["seed"], run["numbers"]["weights_digest"]) for run in runs]
