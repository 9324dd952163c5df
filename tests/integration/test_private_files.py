"""What the service writes is closed to everybody but its own user, or a group that a setting names."""

import grp
import os
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from service.commands.ops.doctor import examine
from service.private_files import list_open, tighten
from service.settings import load_settings
from tests.servers import wait_until
from tests.stack import Stack

GROUP = "daemon"
STRANGER = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"]
MEMBER = ["setpriv", "--reuid=nobody", "--regid=nogroup", f"--groups={grp.getgrnam(GROUP).gr_gid}"]
only_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture
def home() -> Iterator[Path]:
    """A data folder that is yet to be made, not among pytest's, which are closed to others anyway."""
    with tempfile.TemporaryDirectory(prefix="cnnctl-private-") as folder:
        Path(folder).chmod(0o755)
        yield Path(folder) / "home"


@pytest.fixture
def stack(home: Path) -> Iterator[Stack]:
    """Nothing of it runs yet, and its folder is not made."""
    stack = Stack(home.with_name("logs"))
    stack.environment["CNNCTL_HOME"] = str(home)
    yield stack
    for name in list(stack.processes):
        stack.stop(name)


def can_open(path: Path, words: list[str], *, how: str) -> bool:
    """Whether somebody can open a file, with which they could lock it; `how` is < or >>."""
    done = subprocess.run([*words, "sh", "-c", f'exec 3{how}"$0"', path], capture_output=True, check=False)
    return done.returncode == 0


def take_old_rights(home: Path) -> None:
    """The modes that an older cnnctl left under the usual umask."""
    for path in [home, *home.rglob("*")]:
        path.chmod(0o755 if path.is_dir() else 0o644)


@only_root
def test_nobody_else_can_open_what_commands_and_scheduler_write(stack: Stack, home: Path) -> None:
    stack.cnnctl("submit", "lenet5")
    stack.start("scheduler")
    wait_until(lambda: (home / "broker" / "messages").is_dir())
    assert list_open(load_settings({"CNNCTL_HOME": str(home)})) == []
    assert {mode(path) & 0o077 for path in [home, *home.rglob("*")]} == {0}
    assert not can_open(home / "cnnctl.db", STRANGER, how="<")


@only_root
def test_what_an_older_cnnctl_left_open_is_closed_at_the_start_and_named_before(
    stack: Stack, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stack.cnnctl("submit", "lenet5")
    for name in ("broker/messages", "logs", "runs/1/1", "runs/.surveys", "devices", "notes"):
        (home / name).mkdir(parents=True)
    for name in ("up.lock", "worker-testhost.lock", "runs/1/1/model.keras", "notes/mine.txt"):
        (home / name).touch()
    take_old_rights(home)
    assert can_open(home / "cnnctl.db", STRANGER, how="<")
    monkeypatch.setenv("CNNCTL_HOME", str(home))
    (finding,) = [finding for finding in examine() if finding.subject == "private files"]
    assert "cnnctl.db" in finding.found
    stack.start("scheduler")
    wait_until(lambda: not can_open(home / "runs" / "1" / "1" / "model.keras", STRANGER, how="<"))
    for name in ("cnnctl.db", "up.lock", "worker-testhost.lock"):
        assert not can_open(home / name, STRANGER, how="<"), name
    # What the service did not write is not its to close.
    assert can_open(home / "notes" / "mine.txt", STRANGER, how="<")
    assert not [finding for finding in examine() if finding.subject == "private files"]


def test_run_folders_that_are_not_there_or_closed_stop_nobody(tmp_path: Path) -> None:
    assert tighten(load_settings({"CNNCTL_HOME": str(tmp_path / "gone")})) == []
    (tmp_path / "file").touch()
    assert tighten(load_settings({"CNNCTL_HOME": str(tmp_path), "CNNCTL_RUNS_DIR": f"{tmp_path}/file"})) == []


def test_only_what_the_service_wrote_is_closed_and_no_link_is_followed(tmp_path: Path) -> None:
    runs, foreign = tmp_path / "scratch", tmp_path / "foreign"
    for folder in (runs / "7", runs / "data", runs / ".surveys", foreign):
        folder.mkdir(parents=True, mode=0o755)
    (runs / "8").symlink_to(foreign)
    settings = load_settings({"CNNCTL_HOME": str(tmp_path / "home"), "CNNCTL_RUNS_DIR": str(runs)})
    for path in (runs, runs / "7", runs / "data", runs / ".surveys", foreign):
        path.chmod(0o755)
    assert set(tighten(settings)) == {runs / "7", runs / ".surveys"}
    assert {path.name: mode(path) for path in (runs, runs / "7", runs / "data", foreign)} == {
        "scratch": 0o755,
        "7": 0o700,
        "data": 0o755,
        "foreign": 0o755,
    }
    assert tighten(settings) == []


@only_root
def test_a_group_that_is_named_works_with_the_embedded_stack_and_others_do_not(
    stack: Stack, home: Path
) -> None:
    stack.environment["CNNCTL_GROUP"] = GROUP
    stack.cnnctl("submit", "lenet5")
    stack.start("scheduler")
    wait_until(lambda: (home / "broker" / "messages").is_dir())
    assert mode(home) == 0o2770
    assert {path.stat().st_gid for path in [home, *home.rglob("*")]} == {grp.getgrnam(GROUP).gr_gid}
    for path in (home / "cnnctl.db", *home.glob("cnnctl.db-*")):
        assert (can_open(path, MEMBER, how=">>"), can_open(path, STRANGER, how="<")) == (True, False), path
    assert list_open(load_settings({"CNNCTL_HOME": str(home), "CNNCTL_GROUP": GROUP})) == []


@only_root
def test_a_folder_from_before_the_group_is_named_with_what_mends_it(
    stack: Stack, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stack.cnnctl("submit", "lenet5")
    monkeypatch.setenv("CNNCTL_HOME", str(home))
    monkeypatch.setenv("CNNCTL_GROUP", GROUP)
    (finding,) = [f for f in examine() if f.subject == "private files" and str(home) in f.remedy.split()]
    subprocess.run(["sh", "-c", finding.remedy], check=True)
    assert not [f for f in examine() if f.subject == "private files" and str(home) in f.remedy.split()]
    assert can_open(home / "cnnctl.db", MEMBER, how="<")


WRITE = """
import os, sys
from pathlib import Path
from service.private_files import open_to_group
from service.settings import load_settings
settings = load_settings()
open_to_group(settings, folders=[settings.home_dir, settings.runs_dir])
(settings.runs_dir / "1").mkdir()
(settings.runs_dir / "1" / "trainer.log").touch()
"""


@only_root
def test_with_a_server_the_group_reads_run_folders_and_changes_nothing(stack: Stack, home: Path) -> None:
    stack.environment |= {"CNNCTL_GROUP": GROUP, "CNNCTL_DATABASE_URL": "postgresql://127.0.0.1/x"}
    stack.python(WRITE)
    assert (mode(home / "runs"), mode(home / "runs" / "1")) == (0o2750, 0o2750)
    log = home / "runs" / "1" / "trainer.log"
    assert can_open(log, MEMBER, how="<")
    assert not can_open(log, MEMBER, how=">>")
    assert not can_open(log, STRANGER, how="<")


def test_what_a_person_asks_for_has_the_persons_own_umask(tmp_path: Path) -> None:
    program = "from service.private_files import close_umask; import os, subprocess, sys\n"
    program += "close_umask(); print(oct(close_umask()), oct(os.umask(0)))"
    done = subprocess.run(
        [sys.executable, "-c", program], umask=0o027, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["0o27", "0o77"]
