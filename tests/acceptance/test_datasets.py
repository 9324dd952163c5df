"""The lab's own datasets on real processes: added, named by two people's jobs, removed, added again."""

import json
from pathlib import Path

import pytest

from tests.images import write_folder, write_npz
from tests.stack import Stack

pytestmark = [pytest.mark.xdist_group("stack"), pytest.mark.long]
SHORT = ("--epochs", "1", "--batch-size", "16")


def test_a_name_trains_what_was_added_whatever_becomes_of_the_original_and_the_name(
    stack: Stack, tmp_path: Path
) -> None:
    images = write_folder(tmp_path / "images")
    by_place = stack.finished(stack.submit("lenet5", "--dataset", f"folder:{images}", *SHORT))
    added = json.loads(stack.cnnctl("dataset", "add", "frozen", str(images), "--json").stdout)
    for path in images.rglob("*.png"):
        path.write_bytes(b"no image any more")
    waiting = stack.submit("lenet5", "--dataset", "frozen", *SHORT, "--hold")
    assert f"unfinished jobs need it: {waiting}" in stack.cnnctl("dataset", "remove", "frozen", code=4).stderr
    stack.cnnctl("resume", str(waiting))
    job = stack.finished(waiting)
    assert job["spec"]["data"]["dataset"] == added["version"]
    assert job["weights_digest"] == by_place["weights_digest"]
    for words in ((), ("--dataset", "frozen"), ("--dataset", added["version"])):
        scores = json.loads(stack.cnnctl("evaluate", str(waiting), *words, "--json").stdout)
        assert (scores["dataset"], scores["images"]) == (added["version"], 24)
    refused = stack.cnnctl("evaluate", str(waiting), "--dataset", "frosen", code=2).stderr
    assert "Did you mean frozen?" in refused
    assert "is removed" in stack.cnnctl("dataset", "remove", "frozen").stdout
    other = write_folder(tmp_path / "other", seed=1)
    stack.cnnctl("dataset", "add", "frozen", str(other))
    again = stack.cnnctl("submit", "lenet5", "--dataset", added["version"], *SHORT)
    assert "this job trains on other images" in again.stderr
    assert stack.finished(int(again.stdout))["weights_digest"] != job["weights_digest"]


def test_an_npz_file_is_trained_on_by_its_name(stack: Stack, tmp_path: Path) -> None:
    path = write_npz(tmp_path / "cells.npz")
    stack.cnnctl("dataset", "add", "cells", str(path))
    path.unlink()
    numbers = [stack.submit("softmax", "--dataset", "cells", *SHORT) for _ in range(2)]
    first, second = (stack.finished(number)["weights_digest"] for number in numbers)
    assert first == second
