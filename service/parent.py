"""Ties a long-running process to its parent: when the parent is gone, the process stops."""

import os
import signal
import sys
import threading


def stop_when_parent_ends() -> None:
    """Send SIGTERM to this process when its standard input, a pipe from the parent, is closed."""
    threading.Thread(target=_wait, daemon=True).start()


def _wait() -> None:
    # Not through sys.stdin: this thread would hold its lock, and Python aborts at exit in that case.
    while os.read(sys.stdin.fileno(), 1):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
