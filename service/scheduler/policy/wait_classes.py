"""Sorts the reasons of `wait_reasons` and of submissions into a few classes, for counting."""

from collections.abc import Sequence

LINE = "line"
DEPENDENCY = "dependency"
TIME = "time"
QUOTA = "quota"
HOST = "host"
CAPACITY = "capacity"
GPUS = "gpus"
STOPPING = "stopping"
SCHEDULER = "scheduler"
OTHER = "other"
MEANINGS = {
    LINE: "another job goes first",
    DEPENDENCY: "another job has to succeed first",
    TIME: "it was submitted for later",
    QUOTA: "its owner holds all GPUs that they may hold at once",
    HOST: "no worker is running where it could run",
    CAPACITY: "no host that is up could hold it, even with all its GPUs free",
    GPUS: "it is first in line for GPUs that are in use",
    STOPPING: "jobs are being stopped for it",
    SCHEDULER: "the scheduler has not looked at it yet",
    OTHER: "any other reason, such as a preemption or a lost attempt that was just now",
}

# Patterns of SQL's LIKE; the first that fits counts.
PATTERNS: Sequence[tuple[str, str]] = (
    ("waits for the scheduler%", SCHEDULER),
    ("waits for job %, which needs %", LINE),
    ("waits for job % and more than % others", LINE),
    ("waits for job %", DEPENDENCY),
    ("waits for jobs %", DEPENDENCY),
    ("waits until %", TIME),
    ("waits for the quota:%", QUOTA),
    ("waits for a host:%", HOST),
    ("waits for host %", HOST),
    ("starts on % as soon as %", STOPPING),
    ("waits for %; first in line%", GPUS),
    ("waits for % on one host:%", CAPACITY),
    ("waits for % hosts with %", CAPACITY),
)
