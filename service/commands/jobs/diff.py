"""In what two jobs differ: what was asked for, where it ran, and what came of it."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from cnnctl.views.codec import to_json
from cnnctl.views.jobs import DifferenceView, JobDiffView
from service.domain.gpus import Gpu
from service.domain.jobs import Attempt, Job, JobId
from service.domain.run_folder import LAUNCH_FILE, job_folder, path_within
from service.domain.stored import load_object
from service.domain.stored_spec import list_values, load_spec_tree
from service.errors import SpecError
from service.settings import Settings
from service.store.fleet import leases
from service.store.jobs import attempts, jobs, metrics
from service.store.transaction import Store, Transaction

LARGEST_LAUNCH_BYTES = 2**20

Values = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """One of the two jobs, as it is compared."""

    job: Job
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


def diff_jobs(store: Store, settings: Settings, first: JobId, second: JobId) -> JobDiffView:
    """Compare two jobs, finished or not.

    Raises:
        JobNotFound: there is no such job.
        SpecError: a stored spec cannot be read.
    """
    with store.reading() as tx:
        left, right = _read(tx, first), _read(tx, second)
    digests = left.weights_digest, right.weights_digest
    return JobDiffView(
        first=first,
        second=second,
        spec=_list_differences(read_spec_values(left.job), read_spec_values(right.job)),
        scheduling=_list_differences(_scheduling(left), _scheduling(right)),
        outcome=_list_differences(_outcome(left), _outcome(right)),
        metrics=_list_differences(left.metrics, right.metrics),
        environment=_list_differences(_environment(left, settings), _environment(right, settings)),
        weights_digest=digests,
        same_weights=None if None in digests else digests[0] == digests[1],
    )


def _read(tx: Transaction, job_id: JobId) -> Side:
    job = jobs.get_job(tx, job_id)
    tries = attempts.list_attempts(tx, job_id)
    gpus = leases.list_leased_gpus(tx, tries[-1].id) if tries else []
    return Side(job=job, tries=tries, gpus=gpus, metrics=metrics.last_values(tx, job_id))


def _list_differences(first: Values, second: Values) -> Sequence[DifferenceView]:
    return [
        DifferenceView(field=name, first=first.get(name), second=second.get(name))
        for name in {**first, **second}
        if first.get(name) != second.get(name)
    ]


def read_spec_values(job: Job) -> Values:
    """The values of a job's stored spec by dotted path.

    Raises:
        SpecError: it cannot be read.
    """
    try:
        return dict(list_values(load_spec_tree(job.spec)))
    except Exception as error:  # a stored text may be anything
        raise SpecError(f"Job {job.id} cannot be compared: its spec cannot be read") from error


def _scheduling(side: Side) -> Values:
    asked = asdict(side.job.scheduling)
    return {name: to_json(value) for name, value in asked.items()} | {"priority": asked["priority"].value}


def _outcome(side: Side) -> Values:
    last = side.newest
    return {
        "state": side.job.state.value,
        "outcome": last.outcome.value if last and last.outcome else None,
        "cause": last.cause.value if last and last.cause else None,
        "epochs": last.epochs_completed if last else 0,
        "attempts": len(side.tries),
        "preemptions": side.job.preemptions,
    }


def _environment(side: Side, settings: Settings) -> Values:
    last = side.newest
    if last is None:
        return {}
    return {
        "hosts": list(dict.fromkeys([last.host_name, *(gpu.host_name for gpu in side.gpus)])),
        "gpus": sorted(gpu.model for gpu in side.gpus),
        "threads": _read_threads(last, settings),
    }


def _read_threads(attempt: Attempt, settings: Settings) -> int | None:
    """With how many CPU threads, which change the last bit of sums, the trainer was started.

    None where its run folder is not at hand in CNNCTL_RUNS_DIR. What lies there may be a stranger's.
    """
    path = Path(attempt.run_dir) / LAUNCH_FILE
    if path_within(path, job_folder(settings.runs_dir, attempt.job_id)) != f"{attempt.number}/{LAUNCH_FILE}":
        return None
    with suppress(OSError, ValueError, RecursionError):
        if path.is_file() and path.stat().st_size <= LARGEST_LAUNCH_BYTES:
            threads = load_object(path.read_text()).get("threads")
            return threads if isinstance(threads, int) else None
    return None
