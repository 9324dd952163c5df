"""Commands of the control plane: light, clear about mistakes, and without TensorFlow."""

import json
import os
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from service.cli.main import COMMANDS
from service.domain.jobs import Job
from service.store.jobs import jobs
from service.store.transaction import open_store

NOBODY = 65534
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


def cnnctl(
    home: Path, *words: str, stdout: int = subprocess.PIPE, program: str = PROGRAM, **settings: str
) -> "subprocess.CompletedProcess[str]":
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("CNNCTL_")}
    return subprocess.run(
        [sys.executable, "-c", program, *words],
        env={**inherited, "CNNCTL_HOME": str(home), "PYTHONPATH": str(ROOT), **settings},
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
        timeout=60,
        check=False,
    )


def stored_jobs(home: Path) -> list[Job]:
    """What is in the embedded database; nothing, too, where none was made yet."""
    path = home / "cnnctl.db"
    if not path.exists():
        return []
    with closing(open_store(f"sqlite:///{path}")) as store, store.reading() as tx:
        return list(jobs.list_jobs(tx))


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["--help"], 0),
        (["submit", "lenet5", "--gpus", "2"], 0),
        (["submit", "alexnet", "--dry-run"], 0),
        (["submit", "alexnet", "--dry-run", "--gpus", "3"], 2),
        (["submit", "alexnet", "--dry-run", "--follow"], 2),
        (["status"], 0),
        (["status", "7"], 3),
        (["logs", "7"], 3),
        (["metrics", "7"], 3),
        (["cancel", "7"], 3),
        (["pause", "7"], 3),
        (["history", "7"], 3),
        (["usage", "--since", "7d", "--csv"], 0),
        (["notify", "list"], 0),
        (["notify", "remove", "7"], 3),
        (["notify", "add", "--mail", "a@b", "--webhook", "http://c"], 2),
        (["notify", "add", "--webhook", "file:///etc/passwd"], 2),
        (["notify", "add", "--on", "success", "--mail", "ada"], 2),
        (["users", "set", "ada", "--max-gpus", "none"], 0),
        (["priority", "7", "low"], 3),
        (["retry", "7"], 3),
        (["list", "architectures"], 0),
        (["db", "upgrade"], 0),
        (["db", "check"], 1),
        (["gc", "--dry-run"], 0),
        (["doctor"], 1),
        (["run", "nonet"], 2),
        (["describe", "nonet"], 2),
    ],
)
def test_no_command_imports_tensorflow(home: Path, words: list[str], code: int) -> None:
    done = cnnctl(home, *words)
    assert done.returncode == code, done.stderr
    assert "HEAVY []" in done.stderr, done.stderr


def test_help_names_every_command_and_does_not_even_import_the_database_library(home: Path) -> None:
    done = cnnctl(home, "--help")
    assert "HEAVY [] False" in done.stderr
    for name, (_, summary) in COMMANDS.items():
        assert f"  {name} " in done.stdout
        assert summary in done.stdout
    assert not home.exists()


def test_commands_for_a_job_that_is_there_import_no_tensorflow_either(home: Path) -> None:
    cnnctl(home, "submit", "lenet5")
    for words in (["status", "1"], ["logs", "1"], ["metrics", "1"], ["cancel", "1"], ["retry", "1"]):
        done = cnnctl(home, *words)
        assert done.returncode == 0, done.stderr
        assert "HEAVY [] True" in done.stderr, words


@pytest.mark.parametrize("words", [["status", "--json"], ["list", "fields"], ["--help"]])
def test_a_reader_that_has_seen_enough_is_no_error(home: Path, words: list[str]) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    done = cnnctl(home, *words, stdout=writer)
    os.close(writer)
    assert "Error" not in done.stderr


def test_a_full_disk_is_an_error_in_words(home: Path) -> None:
    full = os.open("/dev/full", os.O_WRONLY)
    done = cnnctl(home, "list", "fields", "--json", stdout=full)
    os.close(full)
    assert done.returncode == 1
    assert "Error: " in done.stderr
    assert "No space left" in done.stderr


def test_a_health_check_before_the_tables_are_there_says_what_to_run(home: Path, postgres_url: str) -> None:
    done = cnnctl(home, "doctor", "--process", "scheduler", CNNCTL_DATABASE_URL=postgres_url)
    assert done.returncode == 1
    assert "cnnctl db upgrade" in done.stderr
    assert "Traceback" not in done.stderr


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
        ["submit", "lenet5", "--time-limit", "30s"],
        ["submit", "lenet5", "--time-limit", "soon"],
        ["submit", "lenet5", "--not-before", "2026-13-01"],
        ["submit", "lenet5", "--not-before", "99999999999999d"],
        ["submit", "lenet5", "--priority", "urgent"],
        ["submit", "lenet5", "--after", "1"],
        ["submit", "lenet5", "--host", "gpu01"],
        ["submit", "lenet5", "--gpu-model", "h200"],
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
    assert stored_jobs(home) == []


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
    assert stored_jobs(home) == []


def test_a_submission_without_a_stack_is_kept_and_says_that_it_waits(home: Path) -> None:
    done = cnnctl(home, "submit", "lenet5")
    assert done.stdout == "1\n"
    assert "lenet5 takes digits" in done.stderr
    assert "No scheduler is running: jobs wait" in done.stderr
    (job,) = json.loads(cnnctl(home, "status", "--json").stdout)
    assert (job["job"], job["state"], job["reason"]) == (1, "queued", "waits for the scheduler")
    assert "waits for the scheduler" in cnnctl(home, "status").stdout


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


def test_a_job_can_be_held_changed_and_resumed(home: Path) -> None:
    cnnctl(home, "submit", "lenet5", "--hold", "--time-limit", "2h", "--not-before", "1d", "--project", "p")
    assert cnnctl(home, "resume", "1").stdout == "Job 1 is queued again.\n"
    assert cnnctl(home, "hold", "1").stdout == "Job 1 is paused.\n"
    assert cnnctl(home, "pause", "1").returncode == 4
    assert cnnctl(home, "priority", "1", "low").stdout == "Job 1 has priority low.\n"
    view = json.loads(cnnctl(home, "status", "1", "--json").stdout)
    assert (view["state"], view["priority"], view["project"]) == ("paused", "low", "p")
    assert view["spec"]["resources"]["time_limit_minutes"] == 120
    assert "priority low, not before 20" in cnnctl(home, "status", "1").stdout
    assert cnnctl(home, "cancel", "1").stdout == "Job 1 is cancelled.\n"


def test_every_job_that_is_named_is_acted_on_whatever_happens_to_the_others(home: Path) -> None:
    for _ in range(2):
        cnnctl(home, "submit", "lenet5")
    done = cnnctl(home, "cancel", "1", "99", "2")
    assert done.returncode == 3
    assert done.stdout == "Job 1 is cancelled.\nJob 2 is cancelled.\n"
    assert "99" in done.stderr
    again = cnnctl(home, "retry", "98", "1", "2")
    assert again.returncode == 3
    assert again.stdout == "Job 1 is queued again.\nJob 2 is queued again.\n"


@pytest.mark.skipif(os.getuid() != 0, reason="only root can be somebody else")
def test_another_persons_job_can_be_seen_and_not_changed(tmp_path: Path, postgres_url: str) -> None:
    cnnctl(tmp_path, "db", "upgrade", CNNCTL_DATABASE_URL=postgres_url)
    cnnctl(tmp_path, "submit", "lenet5", CNNCTL_DATABASE_URL=postgres_url)
    # Root still, for files, but started by somebody else.
    program = f"import os\nos.setreuid({NOBODY}, 0)\n{PROGRAM}"
    for words in (["cancel", "1"], ["priority", "1", "low"], ["users", "set", "eve", "--admin"]):
        refused = cnnctl(tmp_path, *words, program=program, CNNCTL_DATABASE_URL=postgres_url, USER="root")
        assert refused.returncode == 5, refused.stderr
        assert "administrator" in refused.stderr
    seen = cnnctl(tmp_path, "history", "1", "--json", CNNCTL_DATABASE_URL=postgres_url)
    assert [event["action"] for event in json.loads(seen.stdout)] == ["submitted"]


def test_an_unknown_setting_is_named(home: Path) -> None:
    done = cnnctl(home, "status", CNNCTL_GPU="2")
    assert done.returncode == 2
    assert "Unknown setting CNNCTL_GPU" in done.stderr
