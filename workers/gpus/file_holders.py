"""Finds the processes of this host that hold files open, by the links in /proc."""

import os
from collections import defaultdict
from collections.abc import Collection, Mapping
from contextlib import suppress


def list_file_holders(paths: Collection[str]) -> Mapping[str, list[int]]:
    """The processes that have each of these files open, by its path without links.

    Another user's process is seen only by root. Plain strings, not Paths: the search goes through thousands
    of links and is made every few seconds.
    """
    found = defaultdict(list)
    with os.scandir("/proc") as entries:
        pids = sorted(int(entry.name) for entry in entries if entry.name.isdecimal())
    for pid in pids:
        for path in _held_by(pid, paths):
            found[path].append(pid)
    return found


def _held_by(pid: int, paths: Collection[str]) -> set[str]:
    held = set()
    with suppress(OSError):  # it has ended, or is somebody else's
        folder = f"/proc/{pid}/fd"
        for number in os.listdir(folder):  # noqa: PTH208
            with suppress(OSError):
                target = os.readlink(f"{folder}/{number}")  # noqa: PTH115
                if target in paths:
                    held.add(target)
    return held
