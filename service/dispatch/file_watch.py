"""Waits until something is written in a folder, without polling."""

import sys
import time
from pathlib import Path

POLL_SECONDS = 0.1
SETTLE_MILLISECONDS = 5  # files written together wake it once


class FileWatch:
    """Watches one folder; on systems other than Linux, which do not notify, it polls ten times a second."""

    def __init__(self, folder: Path) -> None:
        self._inotify = None
        if sys.platform == "linux":
            from inotify_simple import INotify, flags

            self._inotify = INotify()
            self._inotify.add_watch(folder, flags.MODIFY | flags.CLOSE_WRITE | flags.MOVED_TO)

    def wait(self, seconds: float) -> None:
        """Wait until a file has been written since the last call, or until the time is up."""
        if self._inotify is None:
            time.sleep(min(seconds, POLL_SECONDS))
        else:
            self._inotify.read(timeout=int(1000 * seconds), read_delay=SETTLE_MILLISECONDS)

    def close(self) -> None:
        if self._inotify is not None:
            self._inotify.close()
