"""Factories for snapshots of the scheduler's tests."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any

from service.domain.jobs import JobId
from service.scheduler.policy.situation import Host, HostGpu, QueuedJob, RunningJob, Snapshot

NOW = datetime(2026, 1, 1, tzinfo=timezone.utc)


def ago(seconds: float) -> datetime:
    return NOW - timedelta(seconds=seconds)


def queued(number: int, gpus: int = 1, **fields: Any) -> QueuedJob:
    """A job that was submitted a minute ago, the higher its number the later."""
    at = ago(60 - number / 1000)
    made = QueuedJob(id=JobId(number), owner="ada", gpus=gpus, submitted_at=at, queued_at=at)
    return replace(made, **fields)


def queue(*gpus: int) -> list[QueuedJob]:
    return [queued(number, count) for number, count in enumerate(gpus, start=1)]


def host(name: str, gpus: int, *, unusable: int = 0, model: str = "", memory_mib: int = 0) -> Host:
    """A host whose last GPUs are not usable."""
    return Host(
        name=name,
        gpus=tuple(
            HostGpu(
                uuid=f"{name}-{number}",
                usable=number < gpus - unusable,
                model=model,
                memory_mib=memory_mib,
            )
            for number in range(gpus)
        ),
    )


def running(
    number: int, on: str, gpus: Sequence[int], *, held_seconds: float = 600, **fields: Any
) -> RunningJob:
    """A job that holds these GPUs of a host since ten minutes."""
    made = RunningJob(
        id=JobId(number),
        owner="ada",
        host_name=on,
        gpu_uuids=tuple(f"{on}-{gpu}" for gpu in gpus),
        submitted_at=ago(held_seconds + 1),
        queued_at=ago(held_seconds + 1),
        started_at=ago(held_seconds),
        attained_gpu_seconds=held_seconds * len(gpus),
    )
    return replace(made, **fields)


def snapshot(queued: Sequence[QueuedJob], hosts: Sequence[Host], **fields: Any) -> Snapshot:
    return Snapshot(queued=queued, hosts=hosts, **fields)
