"""Commands of the control plane, run as a person types them: clear about mistakes, and nothing lost."""

import json
import os
import pwd
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from click.testing import Result

from service.domain.jobs import Job
from service.process import name_of_user
from service.store.jobs import jobs
from service.store.transaction import open_store
from tests.stack import ROOT

Cnnctl = Callable[..., Result]

NOBODY = 65534
PROGRAM = "from service.cli.main import main\nmain()"


def run_apart(
    home: Path,
    *words: str,
    stdout: int = subprocess.PIPE,
    program: str = PROGRAM,
    copy: Path = ROOT,
    **settings: str,
) -> "subprocess.CompletedProcess[str]":
    """Run a command in a process of its own, where its output or its user is not ours, or a copy of ours."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("CNNCTL_")}
    path = os.pathsep.join(map(str, dict.fromkeys([copy, ROOT])))
    return subprocess.run(
        [sys.executable, "-c", program, *words],
        cwd=copy,
        env={**inherited, "CNNCTL_HOME": str(home), "PYTHONPATH": path, **settings},
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


@pytest.mark.parametrize("words", [["status", "--json"], ["list", "fields"], ["--help"]])
def test_a_reader_that_has_seen_enough_is_no_error(home: Path, words: list[str]) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    done = run_apart(home, *words, stdout=writer)
    os.close(writer)
    assert "Error" not in done.stderr


@pytest.mark.parametrize("alphabet", ["ascii", "latin-1"])
def test_a_terminal_of_few_letters_gets_codes_for_the_others(home: Path, alphabet: str) -> None:
    done = run_apart(home, "submit", "lenet5", "--dataset", "日本", PYTHONIOENCODING=alphabet)
    assert done.returncode == 2
    assert done.stderr.startswith("Error: Unknown dataset '")
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("closed", ["1>&-", "2>&-", "1>&- 2>&-"])
def test_a_stream_that_the_caller_has_closed_ends_no_command(home: Path, closed: str) -> None:
    command = f"{sys.executable} -m service.cli.main list datasets {closed}"
    environment = {**os.environ, "CNNCTL_HOME": str(home)}
    done = subprocess.run(
        ["sh", "-c", command], env=environment, capture_output=True, text=True, check=False, cwd=ROOT
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_a_full_disk_is_an_error_in_words(home: Path) -> None:
    full = os.open("/dev/full", os.O_WRONLY)
    done = run_apart(home, "list", "fields", "--json", stdout=full)
    os.close(full)
    assert done.returncode == 1
    assert "Error: " in done.stderr
    assert "No space left" in done.stderr


def test_a_health_check_before_the_tables_are_there_says_what_to_run(
    cnnctl: Cnnctl, postgres_url: str
) -> None:
    done = cnnctl("doctor", "--process", "scheduler", code=1, CNNCTL_DATABASE_URL=postgres_url)
    assert "cnnctl db upgrade" in done.stderr


@pytest.fixture
def newer_database(home: Path) -> None:
    """As if a newer cnnctl had upgraded it."""
    with closing(sqlite3.connect(home / "cnnctl.db")) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
        connection.commit()


NEWER = "The database is at revision 9999, which only a newer cnnctl knows"


@pytest.mark.usefixtures("newer_database")
@pytest.mark.parametrize("words", ["status", "submit softmax", "db upgrade", "db check", "up"])
def test_a_command_on_a_newer_database_asks_to_upgrade_cnnctl_alone(cnnctl: Cnnctl, words: str) -> None:
    output = cnnctl(*words.split(), code=1).output
    assert NEWER in output
    assert "Upgrade cnnctl here and leave the database as it is" in output


@pytest.mark.usefixtures("newer_database")
@pytest.mark.parametrize("program", ["workers", "service.cli.main scheduler"])
def test_a_process_on_a_newer_database_ends_at_once_and_asks_to_upgrade_cnnctl(
    home: Path, program: str
) -> None:
    done = subprocess.run(
        [sys.executable, "-m", *program.split()],
        env={**os.environ, "CNNCTL_HOME": str(home), "CNNCTL_GPUS": "sim:1"},
        capture_output=True,
        text=True,
        timeout=25,  # less than a database is waited for that has no tables yet
        check=False,
    )
    assert done.returncode == 1
    assert NEWER in done.stdout + done.stderr
    assert "db upgrade" not in done.stdout + done.stderr


def test_a_check_before_the_tables_are_there_fails(cnnctl: Cnnctl, home: Path) -> None:
    (home / "cnnctl.db").unlink()
    assert "cnnctl db upgrade" in cnnctl("db", "check", code=1).stderr


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
    cnnctl: Cnnctl, home: Path, words: list[str]
) -> None:
    done = cnnctl(*words, code=2)
    assert "Error: " in done.stderr
    assert done.stdout == ""
    assert stored_jobs(home) == []


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        (None, "cannot be read"),
        ({"y_train": np.full(4, 10, np.uint8)}, "from 0 to 9"),
        ({"x_train": np.zeros((0, 28, 28), np.uint8), "y_train": np.zeros(0, np.uint8)}, "x_train"),
    ],
    ids=["truncated", "labels outside the classes", "empty"],
)
def test_a_damaged_dataset_is_refused_before_anything_is_stored(
    cnnctl: Cnnctl,
    home: Path,
    arrays: dict[str, "np.ndarray[tuple[int, ...], np.dtype[np.uint8]]"] | None,
    words: str,
) -> None:
    path = home / "datasets" / "mnist.npz"
    path.parent.mkdir(parents=True)
    images, labels = np.zeros((4, 28, 28), np.uint8), np.zeros(4, np.uint8)
    good = {"x_train": images, "y_train": labels, "x_test": images, "y_test": labels}
    np.savez(path, **{**good, **(arrays or {})})  # type: ignore[arg-type]
    if arrays is None:
        path.write_bytes(path.read_bytes()[:200])
    done = cnnctl("submit", "lenet5", "--dataset", "mnist", code=2)
    assert str(path) in done.stderr
    assert words in done.stderr
    assert stored_jobs(home) == []


@pytest.fixture
def sound_npz(tmp_path: Path) -> Path:
    """A dataset that can be trained on."""
    images, labels = np.zeros((40, 28, 28), np.uint8), np.tile(np.arange(2, dtype=np.uint8), 20)
    np.savez(tmp_path / "sound.npz", x_train=images, y_train=labels, x_test=images, y_test=labels)
    return tmp_path / "sound.npz"


@pytest.mark.parametrize(
    ("checker", "words"),
    [
        ("import sys; sys.exit(1)", "exit status 1, without a message"),
        ("raise MemoryError", "MemoryError (exit status 1)"),
        ("import os; os.kill(os.getpid(), 9)", "killed by signal 9, without a message"),
        ("import module_that_nobody_has", "exit status 1"),
    ],
)
def test_a_dataset_whose_check_fails_is_refused(  # as nobody knows what is in it
    home: Path, tmp_path: Path, sound_npz: Path, checker: str, words: str
) -> None:
    copy = copy_ours(tmp_path)
    (copy / "models" / "datasets" / "check.py").write_text(checker)
    done = run_apart(home, "submit", "lenet5", "--dataset", f"npz:{sound_npz}", copy=copy)
    assert done.returncode == 2
    assert f"{sound_npz} could not be checked: " in done.stderr
    assert words in done.stderr
    assert stored_jobs(home) == []


def test_a_fault_of_ours_in_the_check_is_not_told_as_a_bad_dataset(
    home: Path, tmp_path: Path, sound_npz: Path
) -> None:
    copy = copy_ours(tmp_path)
    (copy / "models" / "datasets" / "load.py").write_text("def load_dataset(name, directory): return 1 + ''")
    done = run_apart(home, "submit", "lenet5", "--dataset", f"npz:{sound_npz}", copy=copy)
    assert done.returncode == 2
    assert f"{sound_npz} could not be checked: TypeError: " in done.stderr
    assert stored_jobs(home) == []


@pytest.mark.parametrize("error", ["ModuleNotFoundError", "ImportError"])
def test_a_dataset_that_this_install_cannot_read_is_queued_where_others_may_read_it_and_that_is_said(
    home: Path, tmp_path: Path, sound_npz: Path, postgres_url: str, error: str
) -> None:
    copy = copy_ours(tmp_path)
    (copy / "numpy.py").write_text(f"raise {error}(\"No module named 'numpy'\")")
    words = ("submit", "lenet5", "--dataset", f"npz:{sound_npz}")
    refused = run_apart(home, *words, copy=copy)
    assert refused.returncode == 2
    assert "could not be checked: No module named 'numpy' (exit status 3)" in refused.stderr
    assert run_apart(home, "db", "upgrade", CNNCTL_DATABASE_URL=postgres_url).returncode == 0
    done = run_apart(home, *words, copy=copy, CNNCTL_DATABASE_URL=postgres_url)
    assert done.returncode == 0, done.stderr
    assert "was not checked, because a package is missing here" in done.stderr
    assert not (home / "datasets-checked").exists()


def copy_ours(folder: Path) -> Path:
    """A copy of our packages to break: children run nothing from elsewhere."""
    for package in ("service", "models"):
        shutil.copytree(
            ROOT / package, folder / "copy" / package, ignore=shutil.ignore_patterns("__pycache__")
        )
    return folder / "copy"


def test_a_models_folder_of_the_persons_own_is_not_taken_for_ours(
    home: Path, tmp_path: Path, sound_npz: Path
) -> None:
    (tmp_path / "own" / "models").mkdir(parents=True)
    (tmp_path / "own" / "models" / "__init__.py").write_text("raise SystemExit('not ours')")
    # As the installed command, and not a program of `python -c`, which looks into the current folder itself.
    program = f"import os, sys\nsys.path.remove('')\nos.chdir({str(tmp_path / 'own')!r})\n{PROGRAM}"
    done = run_apart(home, "submit", "lenet5", "--dataset", f"npz:{sound_npz}", program=program)
    assert done.returncode == 0, done.stderr
    assert str(sound_npz) in (home / "datasets-checked").read_text()


def test_a_dataset_that_only_the_workers_have_is_queued_and_that_is_said(
    cnnctl: Cnnctl, postgres_url: str
) -> None:
    cnnctl("db", "upgrade", CNNCTL_DATABASE_URL=postgres_url)
    words = ["submit", "lenet5", "--dataset", "npz:/elsewhere/x.npz"]
    done = cnnctl(*words, CNNCTL_DATABASE_URL=postgres_url)
    assert "/elsewhere/x.npz is not on this machine, so it was not checked" in done.stderr
    assert "so it was not checked" in cnnctl(*words, "--dry-run", CNNCTL_DATABASE_URL=postgres_url).stderr


def test_a_submission_without_a_stack_is_kept_and_says_that_it_waits(cnnctl: Cnnctl) -> None:
    done = cnnctl("submit", "lenet5")
    assert done.stdout == "1\n"
    assert "lenet5 takes digits" in done.stderr
    assert "No scheduler is running: jobs wait" in done.stderr
    (job,) = json.loads(cnnctl("status", "--json").stdout)
    assert (job["job"], job["state"], job["reason"]) == (1, "queued", "waits for the scheduler")
    assert "waits for the scheduler" in cnnctl("status").stdout


def test_a_job_that_has_ended_is_a_conflict(cnnctl: Cnnctl) -> None:
    cnnctl("submit", "lenet5")
    cnnctl("retry", "1", code=4)
    cnnctl("cancel", "1")
    assert "already cancelled" in cnnctl("cancel", "1", code=4).stderr
    cnnctl("retry", "1")
    view = json.loads(cnnctl("status", "1", "--json").stdout)
    assert view["state"] == "queued"
    assert [event["action"] for event in view["events"]] == ["submitted", "cancelled", "retried"]


def test_the_log_of_a_job_that_has_ended_without_one_is_not_awaited(cnnctl: Cnnctl) -> None:
    cnnctl("submit", "lenet5")
    assert "Job 1 has written nothing yet." in cnnctl("logs", "1").stderr
    cnnctl("cancel", "1")
    assert "Job 1 has written nothing." in cnnctl("logs", "1").stderr


def test_a_job_can_be_held_changed_and_resumed(cnnctl: Cnnctl) -> None:
    cnnctl("submit", "lenet5", "--hold", "--time-limit", "2h", "--not-before", "1d", "--project", "p")
    assert cnnctl("resume", "1").stdout == "Job 1 is queued again.\n"
    assert cnnctl("hold", "1").stdout == "Job 1 is paused.\n"
    cnnctl("pause", "1", code=4)
    assert cnnctl("priority", "1", "low").stdout == "Job 1 has priority low.\n"
    view = json.loads(cnnctl("status", "1", "--json").stdout)
    assert (view["state"], view["priority"], view["project"]) == ("paused", "low", "p")
    assert view["spec"]["resources"]["time_limit_minutes"] == 120
    assert "priority low, not before 20" in cnnctl("status", "1").stdout
    assert cnnctl("cancel", "1").stdout == "Job 1 is cancelled.\n"


def test_every_job_that_is_named_is_acted_on_whatever_happens_to_the_others(cnnctl: Cnnctl) -> None:
    for _ in range(2):
        cnnctl("submit", "lenet5")
    done = cnnctl("cancel", "1", "99", "2", code=3)
    assert done.stdout == "Job 1 is cancelled.\nJob 2 is cancelled.\n"
    assert "99" in done.stderr
    again = cnnctl("retry", "98", "1", "2", code=3)
    assert again.stdout == "Job 1 is queued again.\nJob 2 is queued again.\n"


@pytest.mark.skipif(os.getuid() != 0, reason="only root can be somebody else")
def test_another_persons_job_can_be_seen_and_not_changed(
    cnnctl: Cnnctl, tmp_path: Path, postgres_url: str
) -> None:
    cnnctl("db", "upgrade", CNNCTL_DATABASE_URL=postgres_url)
    cnnctl("submit", "lenet5", CNNCTL_DATABASE_URL=postgres_url)
    # Root still, for files, but started by somebody else.
    program = f"import os\nos.setreuid({NOBODY}, 0)\n{PROGRAM}"
    for words in (["cancel", "1"], ["priority", "1", "low"], ["users", "set", "eve", "--admin"]):
        refused = run_apart(tmp_path, *words, program=program, CNNCTL_DATABASE_URL=postgres_url, USER="root")
        assert refused.returncode == 5, refused.stderr
        assert "administrator" in refused.stderr
    seen = cnnctl("history", "1", "--json", CNNCTL_DATABASE_URL=postgres_url)
    assert [event["action"] for event in json.loads(seen.stdout)] == ["submitted"]


CAN_UNSHARE = subprocess.run(["unshare", "--user", "true"], capture_output=True, check=False).returncode == 0
WHO = """
import sys
from service.commands.people.identity import current_actor
from service.store.transaction import open_store
actor = current_actor(open_store(sys.argv[1]))
print(actor.name, actor.operator)
"""
SERVER = "postgresql://127.0.0.1/nobody-connects"


@pytest.mark.skipif(not CAN_UNSHARE, reason="this machine lets nobody make a user namespace")
@pytest.mark.parametrize(
    ("options", "on_a_server", "on_a_folder_of_ours"),
    [
        (["--map-root-user"], "root@namespace False", "root@namespace True"),
        (
            ["--map-user=1"],
            f"{pwd.getpwuid(1).pw_name}@namespace False",
            f"{pwd.getpwuid(1).pw_name}@namespace True",
        ),
        # Without a number of one's own, everybody's folder looks like one's own.
        ([], f"{name_of_user(NOBODY)}@namespace False", f"{name_of_user(NOBODY)}@namespace False"),
    ],
    ids=["root", "somebody", "nobody"],
)
def test_in_a_user_namespace_one_is_neither_root_nor_anybody_else(
    home: Path, options: list[str], on_a_server: str, on_a_folder_of_ours: str
) -> None:
    def ask(url: str) -> str:
        words = ["unshare", "--user", *options, sys.executable, "-c", WHO, url]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        return subprocess.run(
            words, env=environment, capture_output=True, text=True, check=True
        ).stdout.strip()

    assert ask(SERVER) == on_a_server
    assert ask(f"sqlite:///{home}/cnnctl.db") == on_a_folder_of_ours


@pytest.mark.skipif(not CAN_UNSHARE, reason="this machine lets nobody make a user namespace")
def test_what_is_done_in_a_user_namespace_is_not_done_by_root(cnnctl: Cnnctl, home: Path) -> None:
    cnnctl("submit", "lenet5")
    program = "import os, sys\nwords = [sys.executable, '-m', 'service.cli.main', *sys.argv[1:]]\n"
    program += "os.execvp('unshare', ['unshare', '--user', *words])"
    for words in (["users", "set", "bob", "--admin"], ["cancel", "1"]):
        refused = run_apart(home, *words, program=program)
        assert refused.returncode == 5, refused.stderr
        assert "@namespace" in refused.stderr


def test_a_dataset_outside_of_the_roots_is_refused_before_anything_looks_at_it(
    cnnctl: Cnnctl, photographs: Path, tmp_path: Path
) -> None:
    roots = f"{tmp_path / 'a'}:{tmp_path / 'b'}"
    for place in (f"folder:{photographs}", f"npz:{tmp_path}/nowhere.npz"):
        for words in (["submit"], ["submit", "--dry-run"], ["run"]):
            refused = cnnctl(*words, "mlp", "--dataset", place, code=2, CNNCTL_DATA_ROOTS=roots)
            assert f"does not lie below {tmp_path / 'a'} or {tmp_path / 'b'}" in refused.stderr
    assert json.loads(cnnctl("status", "--json").stdout) == []
    cnnctl("submit", "mlp", "--dataset", f"folder:{photographs}", CNNCTL_DATA_ROOTS=str(tmp_path))


def test_a_dataset_of_links_to_other_peoples_files_says_nothing_of_them(
    cnnctl: Cnnctl, photographs: Path, tmp_path: Path
) -> None:
    secret = tmp_path / "secret"
    secret.write_text("password=apple\n")
    (photographs / "split.csv").symlink_to(secret)
    refused = cnnctl("submit", "mlp", "--dataset", f"folder:{photographs}", code=2)
    assert "split.csv does not lie below" in refused.stderr
    assert "apple" not in refused.output


def test_an_unknown_setting_is_named(cnnctl: Cnnctl) -> None:
    assert "Unknown setting CNNCTL_GPU" in cnnctl("status", code=2, CNNCTL_GPU="2").stderr


def test_what_is_found_in_a_folder_is_said_at_submission_and_kept(
    cnnctl: Cnnctl, photographs: Path, tmp_path: Path
) -> None:
    (photographs / "class1" / "gone.jpg").symlink_to("/nowhere")
    found = (
        "120 images in 3 classes (class0 … class2), 96 to train on, 24 to test (every 5th of a class); "
        "1 left out: class1/gone.jpg is a link that leads out of the folder or nowhere"
    )
    dataset = f"folder:{photographs}"
    submitted = cnnctl("submit", "mlp", "--dataset", dataset)
    assert f"Dataset: {found}." in submitted.stderr
    assert json.loads(cnnctl("history", "1", "--json").stdout)[0]["detail"] == found
    rehearsal = cnnctl("submit", "--dry-run", "mlp", "--dataset", dataset, "--json")
    assert json.loads(rehearsal.stdout)["found"] == found
    x, y = np.zeros((40, 8, 8), np.uint8), np.arange(40) % 2
    np.savez(tmp_path / "a.npz", x_train=x, y_train=y, x_test=x, y_test=y)
    for _ in range(2):  # the second time from what was kept
        submitted = cnnctl("submit", "mlp", "--dataset", f"npz:{tmp_path / 'a.npz'}")
        assert "Dataset: 80 images in 2 classes, 40 to train on, 40 to test." in submitted.stderr
    assert "Dataset:" not in cnnctl("submit", "mlp", "--dataset", "digits").stderr


def test_a_batch_larger_than_the_training_images_is_refused_at_submission(
    cnnctl: Cnnctl, home: Path, photographs: Path, sound_npz: Path
) -> None:
    # What an older version kept of the file says nothing of its images, nor does a line that was cut short.
    about = sound_npz.stat()
    stamp = json.dumps(f"{sound_npz} {about.st_size} {about.st_mtime_ns} 0.1")
    home.mkdir(exist_ok=True)
    (home / "datasets-checked").write_text(f'{stamp}\t"40 images"\n{stamp}\t{{"found"\n{stamp}\n')
    for dataset, most in ((f"folder:{photographs}", 86), (f"npz:{sound_npz}", 36)):
        for words in (["submit"], ["submit", "--dry-run"], ["run"], ["submit"]):
            words = [*words, "mlp", "--dataset", dataset, "--batch-size", str(most + 1)]
            assert (
                f"training.batch_size must be at most the {most} training images of {dataset}. Received: "
                f"{most + 1}"
            ) in cnnctl(*words, code=2).stderr
        cnnctl("submit", "mlp", "--dataset", dataset, "--batch-size", str(most), "--hold")
    assert len(json.loads(cnnctl("status", "--json").stdout)) == 2
    assert [path.name for path in home.glob("datasets-checked*")] == ["datasets-checked"]


def test_a_share_to_hold_out_is_refused_where_the_dataset_has_images_for_the_validation(
    cnnctl: Cnnctl, photographs: Path
) -> None:
    rows = [
        f"class{label}/{number}.jpg,{label},{'val' if number < 8 else 'test' if number < 16 else 'train'}"
        for label in range(3)
        for number in range(40)
    ]
    (photographs / "split.csv").write_text("\n".join(["file,label,split", *rows]))
    words = ["submit", "mlp", "--dataset", f"folder:{photographs}"]
    refused = cnnctl(*words, "--set", "data.validation_fraction=0.1", code=2)
    assert "data.validation_fraction would have no effect: folder:" in refused.stderr
    cnnctl(*words)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("class0/1.jpg,caf\xe9,train\n".encode("cp1252"), "line 2, byte 17: not UTF-8"),
        (b"class0/1.jpg,a,train\nclass0/2.jpg\n", "line 3: a row is a file"),
        (b"x" * 200_000 + b",a,train\n", "line 2: no row of a CSV file"),
        (b"class0/1.jpg,a,train\nclass0/1.jpg,a,test\n", "line 3: the file of line 2 again"),
    ],
    ids=["encoding", "short", "huge", "twice"],
)
def test_a_table_with_a_bad_row_queues_nothing(
    cnnctl: Cnnctl, photographs: Path, table: bytes, message: str
) -> None:
    (photographs / "split.csv").write_bytes(b"file,label,split\n" + table)
    assert message in cnnctl("submit", "mlp", "--dataset", f"folder:{photographs}", code=2).stderr
    assert json.loads(cnnctl("status", "--json").stdout) == []


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["usage", "--user", "\udcff"], 2),
        (["notify", "add", "--mail", "\udcff@example.org"], 2),
        (["notify", "add", "--webhook", "https://example.org/\udcff"], 2),
        (["submit", "mlp", "--project", "\udcff"], 2),
        (["users", "set", "\udcff", "--max-gpus", "1"], 2),
        (["gpus", "drain", "x:0", "--reason", "\udcff"], 3),
        (["predict", "1", "\udcff.png"], 3),
    ],
    ids=lambda value: "-".join(value[:2]) if isinstance(value, list) else "",
)
def test_words_that_are_no_text_get_an_answer(home: Path, words: list[str], code: int) -> None:
    program = [sys.executable, "-m", "service.cli.main", *words]
    done = subprocess.run(
        program, env={**os.environ, "CNNCTL_HOME": str(home)}, cwd=ROOT, capture_output=True
    )
    assert b"Traceback" not in done.stderr, done.stderr.decode()
    assert done.returncode == code, done.stderr.decode()
