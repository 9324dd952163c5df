"""Starts the API in children of one Python that has imported it: to import it anew takes a second."""

import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from tests.stack import ROOT

PROGRAM = """
import atexit, gc, json, os, signal, sys, threading, traceback
import service.api.server, service.cli.ops.api, service.web.site
from service.cli.main import main

gc.freeze()  # a collection in a child would copy all that was imported
signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # else children that have ended would be there still
for line in sys.stdin:
    if not (pid := os.fork()):
        break
    print(pid, flush=True)
else:
    sys.exit()
signal.signal(signal.SIGCHLD, signal.SIG_DFL)
environment, log = json.loads(line)
os.environ.clear()
os.environ.update(environment)
said = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
for stream, source in enumerate((os.open(os.devnull, os.O_RDONLY), said, said)):
    os.dup2(source, stream)
try:
    main(["api"])
except BaseException as end:
    isinstance(end, SystemExit) or traceback.print_exc()
threading._shutdown()
atexit._run_exitfuncs()
sys.stdout.flush()
sys.stderr.flush()
os._exit(0)  # to take all modules apart, which the children share, took more than to start
"""


class ApiProcess:
    """A child of another process, which can be waited for as if it were ours."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self._file = os.pidfd_open(pid)

    def has_ended(self, *, within_seconds: float = 0) -> bool:
        return bool(select.select([self._file], [], [], within_seconds)[0])

    def end(self, number: signal.Signals) -> None:
        """Send a signal and wait for the end."""
        signal.pidfd_send_signal(self._file, number)
        assert self.has_ended(within_seconds=30)
        os.close(self._file)


@cache
def _warm_python() -> "subprocess.Popen[str]":
    """It ends with this process, when its input does; what it has started does not."""
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def start_api(environment: Mapping[str, str], *, log: Path) -> ApiProcess:
    """Start `cnnctl api` with this environment alone; a file gets its output."""
    python = _warm_python()
    assert python.stdin is not None
    assert python.stdout is not None
    print(json.dumps([dict(environment), str(log)]), file=python.stdin, flush=True)
    return ApiProcess(int(python.stdout.readline()))
