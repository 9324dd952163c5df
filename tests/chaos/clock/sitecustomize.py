"""Lets a test set the clock of a Python process: as far ahead as the file says that CHAOS_CLOCK names.

Python imports a module of this name when it starts. The warm parent of trainers is left alone, which must
have no thread.
"""

import os
import sys
import threading
import time
from pathlib import Path

import time_machine

POLL_SECONDS = 0.05


def follow(path: Path) -> None:
    """Look at the file for ever; only moments jump, a monotonic clock never does."""
    ahead, travel = 0.0, None
    while True:
        wanted = float(path.read_text() or 0) if path.exists() else 0.0
        if wanted != ahead:
            if travel is not None:
                travel.stop()
            travel = time_machine.travel(time.time() + wanted, tick=True)
            travel.start()
            ahead = wanted
        time.sleep(POLL_SECONDS)


if "CHAOS_CLOCK" in os.environ and "forkserver" not in " ".join(sys.orig_argv):
    threading.Thread(target=follow, args=(Path(os.environ["CHAOS_CLOCK"]),), daemon=True).start()
