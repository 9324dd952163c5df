"""Finds the processes of this host that hold files open, by the links in /proc."""

import os
from collections import defaultdict
from collections.abc import Collection, Mapping
from contextlib import suppress


def list_file_holders(paths: Collection[str]) -> Mapping[str, list[int]]:
    """The processes that have each of these files open, by the file's path without links.

    Only root sees another user's processes. Paths are plain strings: the search reads thousands of links
    every few seconds.
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
    with suppress(OSError):  # the process has ended, or belongs to another user
        folder = f"/proc/{pid}/fd"
        for number in os.listdir(folder):  # noqa: PTH208
            with suppress(OSError):
                target = os.readlink(f"{folder}/{number}")  # noqa: PTH115
                if target in paths:
                    held.add(target)
    return held
