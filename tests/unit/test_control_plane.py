"""Commands of the control plane: light, clear about mistakes, and without TensorFlow."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]
# Runs a command as `cnnctl` would and then says which heavy modules came along.
PROGRAM = """
import sys
from service.cli.main import main
try:
    main(sys.argv[1:])
except SystemExit as end:
    code = end.code or 0
heavy = {"tensorflow", "keras", "torch", "jax"} & set(sys.modules)
print(f"HEAVY {sorted(heavy)} {'sqlalchemy' in sys.modules}", file=sys.stderr)
sys.exit(code)
"""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


def cnnctl(home: Path, *words: str) -> "subprocess.CompletedProcess[str]":
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("CNNCTL_")}
    return subprocess.run(
        [sys.executable, "-c", PROGRAM, *words],
        env={**inherited, "CNNCTL_HOME": str(home), "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["--help"], 0),
        (["submit", "lenet5", "--gpus", "2"], 0),
        (["status"], 0),
        (["status", "7"], 3),
        (["logs", "7"], 3),
        (["metrics", "7"], 3),
        (["cancel", "7"], 3),
        (["retry", "7"], 3),
        (["list", "architectures"], 0),
        (["db", "upgrade"], 0),
        (["doctor"], 1),
        (["run", "nonet"], 2),
        (["describe", "nonet"], 2),
    ],
)
def test_no_command_imports_tensorflow(home: Path, words: list[str], code: int) -> None:
    done = cnnctl(home, *words)
    assert done.returncode == code, done.stderr
    assert "HEAVY []" in done.stderr, done.stderr


def test_help_does_not_even_import_the_database_library(home: Path) -> None:
    assert "HEAVY [] False" in cnnctl(home, "--help").stderr


@pytest.mark.parametrize(
    "words",
    [
        ["submit", "lenet"],
        ["submit", "lenet5", "--dataset", "cats"],
        ["submit", "lenet5", "--init", "ortho"],
        ["submit", "lenet5", "--dropout", "spatial:1.0"],
        ["submit", "lenet5", "--l1", "-1"],
        ["submit", "lenet5", "--l2", "nan"],
        ["submit", "lenet5", "--lr", "inf"],
        ["submit", "lenet5", "--gpus", "0"],
        ["submit", "lenet5", "--gpus", "-1"],
        ["submit", "lenet5", "--gpus", "3"],
        ["submit", "lenet5", "--set", "model.nothing=1"],
        ["submit", "lenet5", "--set", "training.epochs=many"],
        ["submit", "lenet5", "--set", "data.image_size=8"],
        ["submit", "lenet5", "--set", "nonsense"],
        ["submit", "lenet5", "--epochs", "many"],
        ["submit"],
    ],
)
def test_a_bad_submission_is_refused_with_exit_code_2_and_nothing_is_stored(
    home: Path, words: list[str]
) -> None:
    done = cnnctl(home, *words)
    assert done.returncode == 2
    assert "Error: " in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    assert json.loads(cnnctl(home, "status", "--json").stdout) == []


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        (None, "cannot be read"),
        ({"y_train": np.full(4, 10, np.uint8)}, "10"),
        ({"x_train": np.zeros((0, 28, 28), np.uint8), "y_train": np.zeros(0, np.uint8)}, "x_train"),
    ],
    ids=["truncated", "labels outside the classes", "empty"],
)
def test_a_damaged_dataset_is_refused_before_anything_is_stored(
    home: Path, arrays: dict[str, "np.ndarray[tuple[int, ...], np.dtype[np.uint8]]"] | None, words: str
) -> None:
    path = home / "datasets" / "mnist.npz"
    path.parent.mkdir(parents=True)
    images, labels = np.zeros((4, 28, 28), np.uint8), np.zeros(4, np.uint8)
    good = {"x_train": images, "y_train": labels, "x_test": images, "y_test": labels}
    np.savez(path, **{**good, **(arrays or {})})  # type: ignore[arg-type]
    if arrays is None:
        path.write_bytes(path.read_bytes()[:200])
    done = cnnctl(home, "submit", "lenet5", "--dataset", "mnist")
    assert done.returncode == 2
    assert str(path) in done.stderr
    assert words in done.stderr
    assert json.loads(cnnctl(home, "status", "--json").stdout) == []


def test_a_submission_without_a_stack_is_kept_and_says_that_it_waits(home: Path) -> None:
    done = cnnctl(home, "submit", "lenet5")
    assert done.stdout == "1\n"
    assert "lenet5 takes digits" in done.stderr
    assert "No scheduler is running: jobs wait" in done.stderr
    (job,) = json.loads(cnnctl(home, "status", "--json").stdout)
    assert (job["job"], job["state"], job["reason"]) == (1, "queued", "waits for the scheduler")


def test_a_job_that_has_ended_is_a_conflict(home: Path) -> None:
    cnnctl(home, "submit", "lenet5")
    assert cnnctl(home, "retry", "1").returncode == 4
    assert cnnctl(home, "cancel", "1").returncode == 0
    done = cnnctl(home, "cancel", "1")
    assert done.returncode == 4
    assert "already cancelled" in done.stderr
    assert cnnctl(home, "retry", "1").returncode == 0
    view = json.loads(cnnctl(home, "status", "1", "--json").stdout)
    assert view["state"] == "queued"
    assert [event["action"] for event in view["events"]] == ["submitted", "cancelled", "retried"]


def test_an_unknown_setting_is_named(home: Path) -> None:
    inherited = {**os.environ, "CNNCTL_HOME": str(home), "CNNCTL_GPU": "2", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-m", "service.cli.main", "status"],
        env=inherited,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "Unknown setting CNNCTL_GPU" in done.stderr


@pytest.mark.parametrize(
    ("variable", "value", "code", "words"),
    [
        ("CNNCTL_HOME", "/proc/nothing", 2, "cannot be made"),
        ("CNNCTL_DATABASE_URL", "redis://:sesame@db", 2, "of the kind 'redis'"),
        ("CNNCTL_DATABASE_URL", "sqlite:////etc/hostname", 1, "cannot be used"),
    ],
)
def test_a_place_that_cannot_be_used_is_said_without_a_traceback(
    variable: str, value: str, code: int, words: str
) -> None:
    inherited = {name: text for name, text in os.environ.items() if not name.startswith("CNNCTL_")}
    done = subprocess.run(
        [sys.executable, "-m", "service.cli.main", "status"],
        env={**inherited, variable: value, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == code, done.stderr
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert "sesame" not in done.stderr
