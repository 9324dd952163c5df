"""Users of the operating system for the tests, who run cnnctl as themselves."""

import atexit
import os
import pwd
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
CLI = ("-m", "service.cli.main")


class OsUser:
    """A user of this machine: another one, or the one that runs the tests."""

    def __init__(self, other: str = "", *, python: str = sys.executable) -> None:
        self.name = other or pwd.getpwuid(os.getuid()).pw_name
        self._is_other = bool(other)
        self._python = python

    def words(self, *words: str, group: str = "") -> Sequence[str]:
        """A cnnctl command as this user, whose first group is another one if it is given."""
        become = ["setpriv", f"--reuid={self.name}", f"--regid={group or self.name}", "--init-groups"]
        return [*(become if self._is_other else []), self._python, *CLI, *words]

    def environment(self, settings: Mapping[str, str]) -> Mapping[str, str]:
        """With these settings and none of the tests' own."""
        paths = os.pathsep.join((str(ROOT), sysconfig.get_path("purelib")))
        libraries = str(Path(self._python).parents[1] / "lib")  # of a copied Python
        own = {"PATH": os.environ["PATH"], "HOME": "/", "PYTHONPATH": paths, "LD_LIBRARY_PATH": libraries}
        return {**own, **settings}

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


@cache
def find_python() -> str | None:
    """This Python where every user may start it, copied if it is in somebody's home; None: it cannot be."""
    if _others_may_start(sys.executable):
        return sys.executable
    prefix, folder = Path(sys.base_prefix), Path(tempfile.mkdtemp(prefix="cnnctl-python-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    folder.chmod(0o755)
    name = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    needless = shutil.ignore_patterns("test", "site-packages", "__pycache__")
    shutil.copytree(prefix / "lib" / name, folder / "lib" / name, ignore=needless)
    for library in (prefix / "lib").glob("libpython*"):
        shutil.copy(library, folder / "lib")
    (folder / "bin").mkdir()
    copy = str(shutil.copy(prefix / "bin" / name, folder / "bin"))
    return copy if _others_may_start(copy) else None


def _others_may_start(python: str) -> bool:
    words = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", python, "-c"]
    # setpriv itself starts what nobody may, so ask whether this Python could start another.
    probe = "import os, sys; assert os.access(sys.executable, os.X_OK); import service, click, ssl"
    environment = OsUser(python=python).environment({})
    done = subprocess.run([*words, probe], env=environment, cwd="/", capture_output=True, check=False)
    return done.returncode == 0


def why_no_users() -> str:
    """Why no user can be made here; empty: one can."""
    if os.geteuid() != 0 or not all(map(shutil.which, ("useradd", "userdel", "setpriv"))):
        return "only root makes users"
    return "" if find_python() else "no Python that other users may start"


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
