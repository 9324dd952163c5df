"""Ties a long-running process to the one that started it: when that is gone, this one stops."""

import os
import signal
import sys
import threading


def stop_when_parent_ends() -> None:
    """Send SIGTERM to this process when its standard input, a pipe from the parent, is closed."""
    threading.Thread(target=_wait, daemon=True).start()


def _wait() -> None:
    # Not by way of sys.stdin: its lock, which this thread holds, makes Python abort when the process ends.
    while os.read(sys.stdin.fileno(), 1):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
