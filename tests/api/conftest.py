"""A real API process on a real database, and people of this machine who ask it."""

import contextlib
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cnnctl.connection import Connection
from cnnctl.http_client import HttpClient
from tests.api.warm_python import ApiProcess, start_api
from tests.servers import find_free_port
from tests.stack import ROOT

START_SECONDS = 30.0


class Api:
    """`cnnctl api` in a process of its own, which can be killed and started again."""

    def __init__(self, folder: Path, store_url: str, *, port: int = 0) -> None:
        self.socket = folder / "api.sock"
        self.port = port or find_free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.home = folder / "home"
        self.log = folder / "api.log"
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("CNNCTL_")}
        self.settings = {
            "CNNCTL_HOME": str(self.home),
            "CNNCTL_DATABASE_URL": store_url,
            "CNNCTL_SOCKET": str(self.socket),
            "CNNCTL_API_ADDRESS": f"127.0.0.1:{self.port}",
        }
        self.environment = {**inherited, "PYTHONPATH": str(ROOT), **self.settings}
        self.process: ApiProcess | None = None

    def start(self) -> None:
        """Start it and wait until it answers."""
        self.process = start_api(self.environment, log=self.log)
        deadline = time.monotonic() + START_SECONDS
        while not self._answers():
            assert not self.process.has_ended(), self.log.read_text()
            assert time.monotonic() < deadline, self.log.read_text()
            time.sleep(0.02)

    def _answers(self) -> bool:
        """Whether there is somebody at the socket, also one whom a kill has left there."""
        with contextlib.suppress(OSError):
            connection = Connection.on_socket(self.socket)
            with connection.stream("version", headers={}) as response:
                return bool(response.read())
        return False

    def kill(self) -> None:
        """Kill it by `kill -9`."""
        self.stop(signal.SIGKILL)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        if self.process is not None:
            self.process.end(number)
            self.process = None

    def client(self) -> HttpClient:
        """Over the socket, as the user of this process."""
        return HttpClient.on_socket(self.socket)

    def run(
        self, *words: str, user: str | None = None, code: int = 0, typed: str = "", **settings: str
    ) -> "subprocess.CompletedProcess[str]":
        """Run a command with no setting but the socket, as a user of this machine."""
        environment = {"PATH": os.environ["PATH"], "CNNCTL_SOCKET": str(self.socket), "PYTHONPATH": str(ROOT)}
        environment |= {"HOME": str(self.home), "LANG": "C.UTF-8", **settings}
        done = subprocess.run(
            [*as_user(user), sys.executable, "-m", "service.cli.main", *words],
            env=environment,
            input=typed,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == code, done.stderr + done.stdout
        return done


def as_user(name: str | None) -> list[str]:
    """What makes a command run as a user, who may still read Python where only root may."""
    if name is None:
        return []
    keep = ["--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search"]
    entry = pwd.getpwnam(name)
    return ["setpriv", f"--reuid={entry.pw_uid}", f"--regid={entry.pw_gid}", "--clear-groups", *keep]


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder with a short path, as a socket needs, that everybody may enter."""
    with tempfile.TemporaryDirectory(prefix="cnnctl-") as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.fixture
def port() -> int:
    """Where the API of a test listens."""
    return find_free_port()


@pytest.fixture
def make_api(folder: Path, store_url: str, port: int) -> Iterator[Callable[..., Api]]:
    """Start an API with further settings."""
    started: list[Api] = []

    def make(**settings: str) -> Api:
        api = Api(folder, store_url, port=port)
        api.environment |= settings
        started.append(api)
        api.start()
        return api

    yield make
    for api in started:
        api.stop()


@pytest.fixture
def api(make_api: Callable[..., Api]) -> Api:
    return make_api()


@pytest.fixture(scope="module")
def shared_api(sqlite_with_tables: Path) -> Iterator[Api]:
    """One for all tests of a file that take what they find there."""
    with tempfile.TemporaryDirectory(prefix="cnnctl-") as name:
        Path(name).chmod(0o755)
        shutil.copyfile(sqlite_with_tables, Path(name) / "cnnctl.db")
        api = Api(Path(name), f"sqlite:///{name}/cnnctl.db")
        api.start()
        yield api
        api.stop()


@pytest.fixture
def slow_api(sqlite_with_tables: Path, folder: Path) -> Iterator[Api]:
    """One that answers a person two requests at once, and then one a second."""
    shutil.copyfile(sqlite_with_tables, folder / "cnnctl.db")
    api = Api(folder, f"sqlite:///{folder}/cnnctl.db")
    api.environment["CNNCTL_API_RATE"] = "1"
    api.start()
    yield api
    api.stop()


@pytest.fixture(scope="session")
def people() -> Iterator[tuple[str, str]]:
    """Two users of this machine, made for the tests."""
    if os.getuid() != 0 or not shutil.which("useradd") or not shutil.which("setpriv"):
        pytest.skip("needs the right to make users")
    names = (f"ada{os.getpid()}", f"bob{os.getpid()}")  # other tests may run beside these
    for name in names:
        subprocess.run(["useradd", "--no-create-home", name], check=True)
    yield names
    for name in names:
        subprocess.run(["userdel", name], check=True)
