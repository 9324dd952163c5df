"""Predicts the devices, memory, time and queue position of a submission. Stores nothing."""

import json
import math
from collections.abc import Collection, Mapping, Sequence
from time import monotonic

from cnnctl.views.access import HealthView
from cnnctl.views.dry_run import CandidateHost, DryRunView, MemoryParts
from service.commands.fleet.eligible_gpus import capacity_mib, find_limit, list_eligible_gpus
from service.commands.fleet.health import read_health
from service.commands.jobs.dataset_check import check_dataset
from service.commands.jobs.dataset_size import measure_dataset
from service.commands.jobs.job_memory import MIB, Fit, Needs, predict_needs
from service.commands.jobs.queue_position import HELD, QueuePosition, get_queue_position
from service.commands.jobs.request import complete_request
from service.commands.jobs.submit import check_submission
from service.domain.gpus import Gpu, explain_unusable
from service.domain.jobs import JobId
from service.domain.labels import NO_LABELS, Labels, clean_labels
from service.domain.people import Actor
from service.domain.scheduling_options import NOTHING_GIVEN, GivenScheduling, SchedulingOptions
from service.domain.spec import Spec
from service.domain.spec_notices import list_notices
from service.domain.states import GpuState
from service.scheduler.runtime_forecasts import Pace, RuntimeForecasts
from service.settings import Settings
from service.store.fleet import leases, readings
from service.store.transaction import Store, Transaction


def dry_run_job(
    store: Store,
    settings: Settings,
    architecture: str | None,
    assignments: Mapping[str, object],
    *,
    owner: Actor,
    scheduling: SchedulingOptions | GivenScheduling = NOTHING_GIVEN,
    after: Collection[JobId] = (),
    labels: Labels = NO_LABELS,
    like: JobId | None = None,
    hold: bool = False,
) -> DryRunView:
    """Check a submission as `submit` does, and predict its devices, memory, time and start; queue nothing.

    Raises:
        SpecError, JobNotFound, NotAllowed: as `submit` would.
    """
    clean_labels(labels)
    request = complete_request(store, architecture, assignments, scheduling=scheduling, like=like)
    spec, options = request.spec, request.scheduling
    notices: list[str] = []
    found = check_dataset(spec, settings, given=assignments, report=notices.append)
    found = "; ".join(filter(None, [request.notice, found]))
    notices += list_notices(spec, request.chosen)
    needs = predict_needs(spec, measure_dataset(spec.data, datasets_dir=settings.datasets_dir))
    with store.reading() as tx:
        check_submission(tx, spec, needs, owner=owner, scheduling=options, after=after)
        health = read_health(tx, settings)
        forecasts = RuntimeForecasts(clock=monotonic)
        forecasts.learn(tx)
        position = HELD
        if not hold:
            position = get_queue_position(
                tx,
                settings,
                spec,
                needs,
                owner=owner,
                scheduling=options,
                after=after,
                health=health,
                forecasts=forecasts,
            )
        pace = forecasts.find_pace(json.loads(spec.to_json()), hosts=options.hosts)
        return _view(
            tx,
            spec,
            needs,
            options,
            found=found,
            health=health,
            pace=pace,
            position=position,
            notices=notices,
        )


def _view(
    tx: Transaction,
    spec: Spec,
    needs: Needs,
    scheduling: SchedulingOptions,
    *,
    found: str,
    health: HealthView,
    pace: Pace | None,
    position: QueuePosition,
    notices: Sequence[str],
) -> DryRunView:
    devices = list_eligible_gpus(tx, scheduling, gpus=spec.resources.gpus)
    limit = find_limit(devices, gpus=spec.resources.gpus, hosts=scheduling.hosts)
    parts = _count_memory(needs, devices)
    return DryRunView(
        dry_run=True,
        network=spec.model.architecture,
        dataset=spec.data.dataset,
        image_size=spec.data.image_size,
        batch_size=spec.training.batch_size,
        gpus=spec.resources.gpus,
        epochs=spec.training.epochs,
        found=found,
        hosts=_list_hosts(tx, devices, health.hosts, needs, gpus=spec.resources.gpus // scheduling.hosts),
        memory_mib=MemoryParts(**{name: round(count / MIB, 1) for name, count in parts.items()}),
        total_memory_mib=round(sum(parts.values()) / MIB, 1),
        device_memory_mib=limit.memory_mib if limit and math.isfinite(capacity_mib(limit)) else None,
        epoch_seconds=round(pace.epoch_seconds, 3) if pace else None,
        training_seconds=round(pace.epoch_seconds * spec.training.epochs, 3) if pace else None,
        like_jobs=pace.jobs if pace else 0,
        starts_now=position.starts_now,
        reason=position.reason,
        queue_position=position.queue_position,
        estimated_start_at=position.estimated_start_at,
        notices=notices,
    )


def _count_memory(needs: Needs, devices: Sequence[Gpu]) -> Mapping[str, int]:
    """Bytes that are needed on each GPU, by purpose; a simulated GPU has no context."""
    nothing = {"context": 0} if all(gpu.simulated for gpu in devices) else {}
    return {**needs.expected.parts, **nothing}


def _list_hosts(
    tx: Transaction, devices: Sequence[Gpu], alive: Collection[str], needs: Needs, *, gpus: int
) -> Sequence[CandidateHost]:
    """The hosts with enough GPUs, whether these have the memory, and which of them are free now."""
    held, outsiders = leases.list_holders(tx), readings.list_outsiders(tx)
    free = [
        gpu
        for gpu in devices
        if gpu.host_name in alive
        and gpu.uuid not in held
        and not explain_unusable(gpu, outsiders.get(gpu.uuid, ()))
        and needs.fit(gpu) is not Fit.NOT
    ]
    views = []
    for name in sorted({gpu.host_name for gpu in devices}):
        own = [gpu for gpu in devices if gpu.host_name == name and gpu.state is GpuState.AVAILABLE]
        limit = find_limit(own, gpus=gpus)
        if limit is not None:
            views.append(
                CandidateHost(
                    host=name,
                    fits=needs.fit(limit).value,
                    up=name in alive,
                    models=sorted({gpu.model for gpu in own}),
                    gpus=len(own),
                    free=[gpu.uuid for gpu in free if gpu.host_name == name],
                )
            )
    return views
