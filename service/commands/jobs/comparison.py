"""In what jobs differ: what was asked for, where it ran, and what came of it."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from cnnctl.views.codec import to_json
from cnnctl.views.jobs import ComparisonView, VariedField
from service.bound import Bound
from service.domain.gpus import Gpu
from service.domain.jobs import Attempt, Job, JobId
from service.domain.run_folder import LAUNCH_FILE, job_folder, path_within
from service.domain.stored import load_object
from service.domain.stored_spec import load_spec_tree, read_values
from service.errors import SpecError
from service.settings import Settings
from service.store.fleet import leases
from service.store.jobs import attempts, jobs, labels, metrics
from service.store.transaction import Store, Transaction

LARGEST_LAUNCH_BYTES = 2**20
LONGEST_DRIVER = 64  # characters of a version
COMPARED = Bound(least=2, most=100, why="one has nothing to differ from, and nobody reads more")

Values = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """One of the jobs, as it is compared."""

    job: Job
    tags: Sequence[str]
    tries: Sequence[Attempt]
    gpus: Sequence[Gpu]
    """Of the newest attempt."""
    metrics: Values

    @property
    def newest(self) -> Attempt | None:
        return self.tries[-1] if self.tries else None

    @property
    def weights_digest(self) -> str | None:
        return self.newest.weights_digest if self.newest else None


def compare_jobs(store: Store, settings: Settings, job_ids: Sequence[JobId]) -> ComparisonView:
    """Compare jobs, finished or not, in the order given.

    Raises:
        JobNotFound: there is no such job.
        SpecError: they are too few or too many, or a stored spec cannot be read.
    """
    COMPARED.check("job", job_ids)
    with store.reading() as tx:
        found = _read(tx, job_ids)

    def vary(read: Callable[[Compared], Values]) -> Sequence[VariedField]:
        return list_varied([read(one) for one in found])

    return ComparisonView(
        jobs=[one.job.id for one in found],
        labels=vary(_labels),
        spec=vary(lambda one: read_spec_values(one.job)),
        scheduling=vary(_scheduling),
        outcome=vary(_outcome),
        metrics=vary(lambda one: one.metrics),
        environment=vary(lambda one: _environment(one, settings)),
        weights_digest=[one.weights_digest for one in found],
        metric_names=sorted({name for one in found for name in one.metrics}),
    )


def _read(tx: Transaction, job_ids: Sequence[JobId]) -> Sequence[Compared]:
    of_id = {job.id: job for job in jobs.get_jobs(tx, dict.fromkeys(job_ids))}
    tags, compared = labels.list_tags(tx, list(of_id)), {}
    for job_id, job in of_id.items():
        tries = attempts.list_attempts(tx, job_id)
        compared[job_id] = Compared(
            job=job,
            tags=tags.get(job_id, ()),
            tries=tries,
            gpus=leases.list_leased_gpus(tx, tries[-1].id) if tries else [],
            metrics=metrics.last_values(tx, job_id),
        )
    return [compared[job_id] for job_id in job_ids]


def list_varied(of_jobs: Sequence[Values]) -> Sequence[VariedField]:
    """The fields of which not all jobs have the same value."""
    names = dict.fromkeys(name for values in of_jobs for name in values)
    fields = [VariedField(field=name, values=[values.get(name) for values in of_jobs]) for name in names]
    return [one for one in fields if any(value != one.values[0] for value in one.values)]


def _labels(one: Compared) -> Values:
    return {"owner": one.job.owner, "name": one.job.name, "tags": list(one.tags)}


def read_spec_values(job: Job) -> Values:
    """The values of a job's stored spec by dotted path.

    Raises:
        SpecError: it cannot be read.
    """
    try:
        return read_values(load_spec_tree(job.spec))
    except Exception as error:  # a stored text may be anything
        raise SpecError(f"Job {job.id} cannot be compared: its spec cannot be read") from error


def _scheduling(one: Compared) -> Values:
    asked = asdict(one.job.scheduling)
    return {name: to_json(value) for name, value in asked.items()} | {"priority": asked["priority"].value}


def _outcome(one: Compared) -> Values:
    last = one.newest
    return {
        "state": one.job.state.value,
        "outcome": last.outcome.value if last and last.outcome else None,
        "cause": last.cause.value if last and last.cause else None,
        "epochs": last.epochs_completed if last else 0,
        "attempts": len(one.tries),
        "preemptions": one.job.preemptions,
    }


def _environment(one: Compared, settings: Settings) -> Values:
    last = one.newest
    if last is None:
        return {}
    return {
        "hosts": list(dict.fromkeys([last.host_name, *(gpu.host_name for gpu in one.gpus)])),
        "gpus": sorted(gpu.model for gpu in one.gpus),
        **_read_launch(last, settings),
    }


def _read_launch(attempt: Attempt, settings: Settings) -> Values:
    """What the trainer was started with that changes the last bit of sums: CPU threads, and the GPUs' driver.

    None where its run folder is not at hand in CNNCTL_RUNS_DIR, or says nothing of it. What lies there may
    be a stranger's.
    """
    launch = _load_launch(attempt, settings)
    threads, drivers = launch.get("threads"), launch.get("drivers")
    is_list = isinstance(drivers, list) and all(
        isinstance(one, str) and len(one) <= LONGEST_DRIVER for one in drivers
    )
    return {
        "threads": threads if isinstance(threads, int) else None,
        "drivers": drivers if drivers and is_list else None,
    }


def _load_launch(attempt: Attempt, settings: Settings) -> Values:
    path = Path(attempt.run_dir) / LAUNCH_FILE
    if path_within(path, job_folder(settings.runs_dir, attempt.job_id)) != f"{attempt.number}/{LAUNCH_FILE}":
        return {}
    with suppress(OSError, ValueError, RecursionError):
        if path.is_file() and path.stat().st_size <= LARGEST_LAUNCH_BYTES:
            return load_object(path.read_text())
    return {}
