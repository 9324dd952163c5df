"""Users of the operating system for the tests, who run cnnctl as themselves."""

import os
import pwd
import shutil
import subprocess
import sys
import sysconfig
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
CLI = ("-m", "service.cli.main")


class OsUser:
    """A user of this machine: another one, or the one that runs the tests."""

    def __init__(self, other: str = "", *, python: str = sys.executable) -> None:
        self.name = other or pwd.getpwuid(os.getuid()).pw_name
        self._is_other = bool(other)
        self._python = python

    def words(self, *words: str) -> Sequence[str]:
        """A cnnctl command as this user."""
        become = ["setpriv", f"--reuid={self.name}", f"--regid={self.name}", "--init-groups"]
        return [*(become if self._is_other else []), self._python, *CLI, *words]

    def environment(self, settings: Mapping[str, str]) -> Mapping[str, str]:
        """With these settings and none of the tests' own."""
        paths = os.pathsep.join((str(ROOT), sysconfig.get_path("purelib")))
        return {"PATH": os.environ["PATH"], "HOME": "/", "PYTHONPATH": paths, **settings}

    def run(self, *words: str, **settings: str) -> "subprocess.CompletedProcess[str]":
        """Run a command to its end."""
        return subprocess.run(
            self.words(*words),
            env=self.environment(settings),
            cwd="/",
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )


def find_python() -> str | None:
    """A Python of this version that every user may start; None: this one is in somebody's home."""
    stranger = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"]
    probe = f"import sys; assert sys.version_info[:2] == {sys.version_info[:2]}; import service, click"
    environment = OsUser().environment({})
    for python in (sys.executable, "/usr/bin/python3"):
        words = [*stranger, python, "-c", probe]
        done = subprocess.run(words, env=environment, cwd="/", capture_output=True, check=False)
        if done.returncode == 0:
            return python
    return None


def why_no_users() -> str:
    """Why no user can be made here; empty: one can."""
    if os.geteuid() != 0 or not all(map(shutil.which, ("useradd", "userdel", "setpriv"))):
        return "only root makes users"
    return "" if find_python() else "no Python of this version that other users may start"


@contextmanager
def new_user(*, group: str = "") -> Iterator[OsUser]:
    """A new user of this machine, with a group of the same name, and in another group."""
    name = f"cnnctl-{uuid.uuid4().hex[:8]}"
    more = ["--groups", group] if group else []
    _retry(["useradd", "--system", "--user-group", "--no-create-home", *more, name])
    try:
        yield OsUser(name, python=find_python() or sys.executable)
    finally:
        _retry(["userdel", name])


def _retry(words: Sequence[str]) -> None:
    """Only one at a time may change the machine's users."""
    deadline = time.monotonic() + 30
    while (done := subprocess.run(words, capture_output=True, text=True, check=False)).returncode:
        assert time.monotonic() < deadline, done.stderr
        time.sleep(0.1)
