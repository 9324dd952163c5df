"""Says what a submission would come to: devices, memory, time and place in the queue. Stores nothing."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from time import monotonic
from typing import Any

from service.commands.dataset_check import check_dataset
from service.commands.dataset_size import measure_dataset
from service.commands.epoch_time import EpochTime, find_epoch_time
from service.commands.health import read_health
from service.commands.job_memory import JobMemory, find_roomiest, list_right_gpus, predict_job_memory
from service.commands.submit import check_submission
from service.domain.gpus import Gpu
from service.domain.jobs import JobId
from service.domain.people import Actor
from service.domain.spec import Spec
from service.domain.spec_request import resolve_spec
from service.domain.states import GpuState, JobState
from service.domain.terms import NO_TERMS, Terms
from service.scheduler import policy
from service.scheduler.forecasts import Forecasts
from service.scheduler.policy_settings import PolicySettings
from service.scheduler.situation import QueuedJob
from service.scheduler.snapshot import take_snapshot
from service.scheduler.used import Used
from service.settings import Settings
from service.store import jobs, leases
from service.store.transaction import Store, Transaction

MIB = 1024 * 1024
# The number of the job that is not there: the last one, as ties go to the lower number.
IMAGINED = JobId(jobs.LARGEST_ID)

View = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """When a job would start: at once, at about a moment, or nobody knows; `place` counts waiting jobs."""

    starts_now: bool
    reason: str
    place: int | None = None
    estimated_start_at: datetime | None = None


def rehearse(
    store: Store,
    settings: Settings,
    architecture: str,
    assignments: Mapping[str, object],
    *,
    owner: Actor,
    terms: Terms = NO_TERMS,
    after: Collection[JobId] = (),
    hold: bool = False,
) -> View:
    """Do all that `submit` does but queue the job; returns what `cnnctl submit --dry-run --json` prints.

    Raises:
        SpecError, NotAllowed: as `submit` would.
    """
    spec = resolve_spec(architecture, assignments)
    check_dataset(spec, settings)
    size = measure_dataset(spec.data)
    with store.reading() as tx:
        check_submission(tx, spec, size, owner=owner, terms=terms, after=after)
        heard = read_health(tx, settings).hosts
        devices = list_right_gpus(tx, terms)
        time = find_epoch_time(tx, spec, models={gpu.model for gpu in devices})
        turn = _HELD if hold else _find_turn(tx, settings, spec, owner=owner, terms=terms, after=after)
        return {
            "dry_run": True,
            "network": spec.model.architecture,
            "dataset": spec.data.dataset,
            "image_size": spec.data.image_size,
            "batch_size": spec.training.batch_size,
            "gpus": spec.resources.gpus,
            "epochs": spec.training.epochs,
            "hosts": _list_hosts(tx, devices, heard, gpus=spec.resources.gpus),
            **_view_memory(predict_job_memory(spec, size), devices, gpus=spec.resources.gpus),
            **_view_time(time, epochs=spec.training.epochs),
            **_view_turn(turn),
        }


_HELD = Turn(starts_now=False, reason="on hold until somebody resumes it")


def _view_memory(memory: JobMemory, devices: Sequence[Gpu], *, gpus: int) -> View:
    limit = find_roomiest(devices, gpus=gpus)
    parts = memory.parts if any(not gpu.simulated for gpu in devices) else {**memory.parts, "context": 0}
    return {
        "memory_mib": {name: round(count / MIB, 1) for name, count in parts.items()},
        "total_memory_mib": round(sum(parts.values()) / MIB, 1),
        "device_memory_mib": limit.memory_mib if limit else None,
    }


def _view_time(time: EpochTime | None, *, epochs: int) -> View:
    return {
        "epoch_seconds": round(time.epoch_seconds, 3) if time else None,
        "training_seconds": round(time.epoch_seconds * epochs, 3) if time else None,
        "images_per_second": round(time.images_per_second, 1) if time else None,
        "like_jobs": time.jobs if time else 0,
        "like_jobs_same_spec": time.same_spec if time else None,
        "like_jobs_gpu_model": time.gpu_model if time else None,
    }


def _view_turn(turn: Turn) -> View:
    moment = turn.estimated_start_at
    return {**asdict(turn), "estimated_start_at": moment.isoformat(timespec="seconds") if moment else None}


def _list_hosts(
    tx: Transaction, devices: Sequence[Gpu], heard: Collection[str], *, gpus: int
) -> Sequence[View]:
    """The hosts that could hold the job if nobody else were there, and which of their GPUs are free now."""
    held = leases.list_holders(tx)
    views = []
    for name in sorted({gpu.host_name for gpu in devices}):
        own = [gpu for gpu in devices if gpu.host_name == name and gpu.state is GpuState.AVAILABLE]
        if len(own) < gpus:
            continue
        views.append(
            {
                "host": name,
                "up": name in heard,
                "models": sorted({gpu.model for gpu in own}),
                "gpus": len(own),
                "free": [gpu.uuid for gpu in own if name in heard and gpu.uuid not in held],
            }
        )
    return views


def _find_turn(
    tx: Transaction,
    settings: Settings,
    spec: Spec,
    *,
    owner: Actor,
    terms: Terms,
    after: Collection[JobId],
) -> Turn:
    """Ask the policy, with the job put at the end of the queue, as the scheduler would see it now."""
    waits_for = _list_unmet(tx, after)
    if waits_for:
        named = ", ".join(map(str, waits_for))
        return Turn(starts_now=False, reason=f"waits for job {named} to succeed")
    health = read_health(tx, settings)
    rules = PolicySettings(quantum_seconds=settings.quantum_seconds)
    used = Used(half_life_seconds=rules.half_life_seconds, clock=monotonic).by_owner(tx)
    forecasts = Forecasts(clock=monotonic)
    forecasts.learn(tx)
    queued = jobs.list_jobs_in(tx, JobState.QUEUED)
    snapshot = take_snapshot(tx, queued, heard=set(health.hosts), used=used, forecasts=forecasts)
    imagined = _imagine(tx, spec, owner=owner, terms=terms)
    plan = policy.plan(replace(snapshot, queued=[*snapshot.queued, imagined]), tx.now, settings=rules)
    if not health.scheduler:
        return Turn(starts_now=False, reason=health.notices[0])
    for placement in plan.placements:
        if placement.job_id == IMAGINED:
            return Turn(starts_now=True, reason=f"starts at once on {placement.host_name}")
    for place, waiting in enumerate(plan.waiting, start=1):
        if waiting.job_id == IMAGINED:
            moment = waiting.estimated_start_at
            in_line = place if moment is not None and terms.not_before != moment else None
            return Turn(starts_now=False, reason=waiting.reason, place=in_line, estimated_start_at=moment)
    raise AssertionError("a plan says of every queued job that it starts or why it waits")


def _list_unmet(tx: Transaction, after: Collection[JobId]) -> Sequence[JobId]:
    states = jobs.list_states(tx, after)
    return sorted(number for number, state in states.items() if state is not JobState.SUCCEEDED)


def _imagine(tx: Transaction, spec: Spec, *, owner: Actor, terms: Terms) -> QueuedJob:
    minutes = spec.resources.time_limit_minutes
    return QueuedJob(
        id=IMAGINED,
        owner=owner.name,
        gpus=spec.resources.gpus,
        submitted_at=tx.now,
        queued_at=tx.now,
        priority=terms.priority,
        limit_seconds=None if minutes is None else 60 * minutes,
        not_before=terms.not_before,
        exclusive=terms.exclusive,
        gpu_model=terms.gpu_model,
        host=terms.host_name,
    )
