"""Runs scheduler and worker as children, on SQLite and message files: the whole service in one command."""

import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime

from cnnctl.find import API_SOCKET
from service.commands.ops.child_log import ChildLog
from service.errors import AlreadyRunning, CnnctlError, DatabaseGone
from service.file_lock import is_locked, try_lock
from service.own_python import FOLDER, own_environment, own_words
from service.private_files import tighten
from service.settings import Settings
from service.store.fleet import hosts, schedulers
from service.store.transaction import Store

START_SECONDS = 120.0
POLL_SECONDS = 0.1
GONE_SECONDS = 60.0  # the stack ends when its database file has been gone for so long

# In the order in which they are stopped: the worker needs a moment to checkpoint its trainers.
PROGRAMS = {
    "worker": ["workers", "--stop-with-stdin"],
    "scheduler": ["service.cli.main", "scheduler", "--stop-with-stdin"],
}
API = {"api": ["service.cli.main", "api", "--stop-with-stdin"]}


class EmbeddedStack:
    """The running children; `stop` ends them in order and waits."""

    def __init__(self, store: Store, settings: Settings, *, api_address: str = "") -> None:
        programs = {**(API if api_address else {}), **PROGRAMS}
        self._api_address = api_address
        self._store = store
        self._settings = settings
        self._gone_since: float | None = None
        self._logs = {name: ChildLog(settings.logs_dir / f"{name}.log") for name in programs}
        self._children = {name: self._start(name, words) for name, words in programs.items()}

    def supervise(self) -> str:
        """Check the children and the database; returns what is wrong in words, else an empty text.

        Call it again and again while the stack is up.

        Raises:
            CnnctlError: a child has ended by itself; the message has its last lines.
            DatabaseGone: the database has been gone for too long.
        """
        for log in self._logs.values():
            log.rotate_if_large()
        loss = self._explain_loss()
        for name, child in self._children.items():
            if child.poll() is not None:
                raise CnnctlError("\n".join(filter(None, [loss, self.explain_end(name)])))
        return loss

    def _explain_loss(self) -> str:
        """Say that the database is gone; for a while it may come back."""
        loss, now = self._store.explain_loss(), time.monotonic()
        if not loss:
            self._gone_since = None
            return ""
        self._gone_since = self._gone_since or now
        if now > self._gone_since + GONE_SECONDS:
            raise DatabaseGone(f"{loss}, for {GONE_SECONDS:g} s. Nothing can be stored, so the stack ends")
        return f"{loss}. Put it back, or the stack ends within {GONE_SECONDS:g} s"

    def explain_end(self, name: str) -> str:
        """The last lines that a child has written since its start, and where its log is."""
        log, code = self._logs[name], self._children[name].poll()
        ended = "is not ready" if code is None else f"has stopped (exit status {code})"
        return "\n".join([f"The {name} {ended}. Its last lines, from {log.path}:", *log.read_tail()])

    def stop(self) -> None:
        """Stop the children one after the other; trainers checkpoint, their jobs go back to the queue."""
        for child in self._children.values():
            child.terminate()
            try:
                child.wait(timeout=self._settings.grace_seconds + 10)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
            assert child.stdin
            child.stdin.close()

    def _start(self, name: str, words: list[str]) -> "subprocess.Popen[bytes]":
        with self._logs[name].open() as log:
            return subprocess.Popen(
                own_words(*words),
                cwd=FOLDER,
                env={**own_environment(self._settings), **self._api_settings()},
                stdin=subprocess.PIPE,  # never written to: its end tells the child that this process is gone
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C reaches this process alone, which stops them in order
            )

    def _api_settings(self) -> Mapping[str, str]:
        if not self._api_address:
            return {}
        socket = str(self._settings.home_dir / API_SOCKET)
        return {"CNNCTL_SOCKET": socket, "CNNCTL_API_ADDRESS": self._api_address}


@contextmanager
def running_stack(
    store: Store,
    settings: Settings,
    *,
    api_address: str = "",
    on_wait: Callable[[], object] = lambda: None,
) -> Iterator[EmbeddedStack]:
    """Start the stack, wait until it is ready, and stop it at the end of the block.

    With an address it has an API, too, on a socket in the data folder and at the address.

    Raises:
        AlreadyRunning: another one serves the same data folder.
        CnnctlError: a child ended while starting; the message names its log.
    """
    settings.home_dir.mkdir(parents=True, exist_ok=True)
    with (settings.home_dir / "up.lock").open("a") as lock:
        if not try_lock(lock):
            raise AlreadyRunning(
                f"An embedded stack already serves {settings.home_dir}. Use it, stop it where it runs, "
                "or set CNNCTL_HOME to another folder"
            )
        tighten(settings)
        store.upgrade()
        with store.reading() as tx:
            begun = tx.now
        stack = EmbeddedStack(store, settings, api_address=api_address)
        try:
            _wait_until_ready(store, settings, stack, on_wait, since=begun)
            yield stack
        finally:
            stack.stop()


def refuse_new_database(settings: Settings) -> None:
    """Refuse to make an embedded database where one was deleted under processes that use it.

    Raises:
        DatabaseGone: such a process runs.
    """
    locks = [settings.home_dir / "up.lock"]
    if settings.runs_dir.is_dir() and any(settings.runs_dir.iterdir()):
        locks += settings.home_dir.glob(
            "worker-*.lock"
        )  # without runs, a worker may wait for its first database
    if not settings.database and any(is_locked(lock) for lock in locks):
        raise DatabaseGone(
            f"There is no database in {settings.home_dir}, though a stack runs: somebody has deleted it. "
            "Put it back, or stop the stack; after that, cnnctl up begins a new one"
        )


def are_alive(store: Store, settings: Settings, *, since: datetime) -> bool:
    """Whether scheduler and worker have sent a heartbeat since a moment: those before it do not count."""
    with store.reading() as tx:
        latest = schedulers.find_latest(tx)
        own = [host.heartbeat_at for host in hosts.list_hosts(tx) if host.name == settings.host_name]
    alive = [latest.heartbeat_at if latest else None, *own]
    return len(alive) == 2 and all(moment is not None and moment >= since for moment in alive)


def _wait_until_ready(
    store: Store,
    settings: Settings,
    stack: EmbeddedStack,
    on_wait: Callable[[], object],
    *,
    since: datetime,
) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not are_alive(store, settings, since=since):
        stack.supervise()
        if time.monotonic() > deadline:
            raise CnnctlError(stack.explain_end("worker"))
        on_wait()
        time.sleep(POLL_SECONDS)
