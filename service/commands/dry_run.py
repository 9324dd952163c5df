"""Says what a submission would come to: devices, memory, time and place in the queue. Stores nothing."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict
from time import monotonic
from typing import Any

from service.commands.dataset_check import check_dataset
from service.commands.dataset_size import measure_dataset
from service.commands.health import read_health
from service.commands.job_memory import JobMemory, find_roomiest, list_right_gpus, predict_job_memory
from service.commands.submit import check_submission
from service.commands.turn import HELD, Turn, find_turn
from service.domain.gpus import Gpu
from service.domain.jobs import JobId
from service.domain.people import Actor
from service.domain.spec_request import resolve_spec
from service.domain.states import GpuState
from service.domain.terms import NO_TERMS, Terms
from service.scheduler.forecasts import Forecasts, Pace
from service.settings import Settings
from service.store import leases
from service.store.transaction import Store, Transaction

MIB = 1024 * 1024
View = Mapping[str, Any]


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
    memory = predict_job_memory(spec, size)
    with store.reading() as tx:
        check_submission(tx, spec, size, owner=owner, terms=terms, after=after)
        health = read_health(tx, settings)
        devices = list_right_gpus(tx, terms)
        forecasts = Forecasts(clock=monotonic)
        forecasts.learn(tx)
        asked = {"owner": owner, "terms": terms, "after": after, "health": health, "forecasts": forecasts}
        turn = HELD if hold else find_turn(tx, settings, spec, **asked)  # type: ignore[arg-type]
        return {
            "dry_run": True,
            "network": spec.model.architecture,
            "dataset": spec.data.dataset,
            "image_size": spec.data.image_size,
            "batch_size": spec.training.batch_size,
            "gpus": spec.resources.gpus,
            "epochs": spec.training.epochs,
            "hosts": _list_hosts(tx, devices, health.hosts, memory, gpus=spec.resources.gpus // terms.hosts),
            **_view_memory(memory, devices, gpus=spec.resources.gpus // terms.hosts),
            **_view_time(forecasts.find_pace(spec.model_dump(mode="json")), epochs=spec.training.epochs),
            **_view_turn(turn),
        }


def _view_memory(memory: JobMemory, devices: Sequence[Gpu], *, gpus: int) -> View:
    limit = find_roomiest(devices, gpus=gpus)
    parts = memory.parts if any(not gpu.simulated for gpu in devices) else {**memory.parts, "context": 0}
    return {
        "memory_mib": {name: round(count / MIB, 1) for name, count in parts.items()},
        "total_memory_mib": round(sum(parts.values()) / MIB, 1),
        "device_memory_mib": limit.memory_mib if limit else None,
    }


def _view_time(pace: Pace | None, *, epochs: int) -> View:
    return {
        "epoch_seconds": round(pace.epoch_seconds, 3) if pace else None,
        "training_seconds": round(pace.epoch_seconds * epochs, 3) if pace else None,
        "like_jobs": pace.jobs if pace else 0,
    }


def _view_turn(turn: Turn) -> View:
    moment = turn.estimated_start_at
    return {**asdict(turn), "estimated_start_at": moment.isoformat(timespec="seconds") if moment else None}


def _list_hosts(
    tx: Transaction, devices: Sequence[Gpu], heard: Collection[str], memory: JobMemory, *, gpus: int
) -> Sequence[View]:
    """The hosts with enough GPUs, whether these have the memory, and which of them are free now."""
    held = leases.list_holders(tx)
    views = []
    for name in sorted({gpu.host_name for gpu in devices}):
        own = [gpu for gpu in devices if gpu.host_name == name and gpu.state is GpuState.AVAILABLE]
        if len(own) < gpus:
            continue
        least = find_roomiest(own, gpus=gpus)
        views.append(
            {
                "host": name,
                "fits": least is None or memory.total <= least.memory_mib * MIB,
                "up": name in heard,
                "models": sorted({gpu.model for gpu in own}),
                "gpus": len(own),
                "free": [gpu.uuid for gpu in own if name in heard and gpu.uuid not in held],
            }
        )
    return views
