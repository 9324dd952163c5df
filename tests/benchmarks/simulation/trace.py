"""Jobs of a real cluster, read from a trace."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from pathlib import Path

from service.domain.jobs import JobId
from service.domain.states import Priority


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceJob:
    """A job as it was: `seconds` is how long it ran, undisturbed, on `gpus` GPUs."""

    id: JobId
    submitted_at: datetime
    seconds: float
    gpus: int
    owner: str
    priority: Priority = Priority.NORMAL


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """A number of like hosts."""

    hosts: int
    gpus_per_host: int

    @property
    def gpus(self) -> int:
        return self.hosts * self.gpus_per_host


def read_trace(path: Path, *, cluster: str, largest: int) -> Sequence[TraceJob]:
    """The jobs of one cluster in the order of submission; one larger than a host counts as a whole host."""
    with path.open(newline="", encoding="utf-8") as lines:
        rows = [row for row in csv.DictReader(lines) if row["cluster"] == cluster]
    jobs = [
        TraceJob(
            id=JobId(number),
            submitted_at=datetime.fromisoformat(row["timestamp"]).replace(tzinfo=timezone.utc),
            seconds=max(1.0, float(row["duration"])),
            gpus=min(int(row["num_gpus"]), largest),
            owner=cluster,
        )
        for number, row in enumerate(rows, start=1)
    ]
    return sorted(jobs, key=lambda job: (job.submitted_at, job.id))


def load(jobs: Sequence[TraceJob], cluster: Cluster) -> float:
    """The share of the cluster's GPU time between first and last submission that the jobs ask for."""
    span = (jobs[-1].submitted_at - jobs[0].submitted_at).total_seconds()
    return sum(job.seconds * job.gpus for job in jobs) / (span * cluster.gpus)


def stretch(jobs: Sequence[TraceJob], *, times: float) -> Sequence[TraceJob]:
    """The same jobs with `times` as long between their submissions."""
    first = jobs[0].submitted_at
    return [replace(job, submitted_at=first + (job.submitted_at - first) * times) for job in jobs]
