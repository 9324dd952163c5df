"""What a submission asks for, made whole: by defaults, or by the job that it is to be like."""

from collections.abc import Mapping, Set
from dataclasses import dataclass

from service.commands.jobs.dataset_version import PATH, pin_dataset
from service.domain.jobs import Job, JobId
from service.domain.scheduling_options import GivenScheduling, SchedulingOptions, complete
from service.domain.spec import Spec, read_spec
from service.domain.spec_like import list_choices, resolve_like
from service.domain.spec_request import resolve_spec
from service.errors import NewerSpec, SpecError
from service.store.jobs import jobs
from service.store.transaction import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A spec and how it is to be run."""

    spec: Spec
    scheduling: SchedulingOptions
    chosen: Set[str]
    """The fields that the person or the job to be like has chosen, for `spec_notices.list_notices`."""
    notice: str
    """How its images differ from those of an older version that was asked for; empty: not."""


def complete_request(
    store: Store,
    architecture: str | None,
    assignments: Mapping[str, object],
    *,
    scheduling: SchedulingOptions | GivenScheduling,
    like: JobId | None,
) -> Request:
    """Resolve what was given; `like` is the job that says the rest.

    Raises:
        SpecError: as `resolve_spec` and `resolve_like` do; neither an architecture nor a job was named, or
            the job's spec cannot be read here.
        JobNotFound: there is no such job.
    """
    assignments, notice = pin_dataset(store, assignments)
    if like is None:
        if architecture is None:
            raise SpecError("Name an architecture, or a job to be like. All architectures: cnnctl list")
        spec = resolve_spec(architecture, assignments)
        return Request(spec=spec, scheduling=complete(scheduling), chosen=assignments.keys(), notice=notice)
    with store.reading() as tx:
        job = jobs.get_job(tx, like)
    base = _read_spec_of(job)
    choices = list_choices(base)
    if PATH not in assignments:  # its images may be gone
        pinned, notice = pin_dataset(store, {PATH: base.data.dataset})
        choices = {**choices, **pinned}
    return Request(
        spec=resolve_like(base, architecture, assignments, choices=choices),
        scheduling=complete(scheduling, job.scheduling),
        chosen=assignments.keys() | choices.keys(),
        notice=notice,
    )


def _read_spec_of(job: Job) -> Spec:
    try:
        return read_spec(job.spec)
    except NewerSpec as error:
        raise SpecError(
            f"No job can be made like job {job.id} by this cnnctl: only a newer one knows its "
            f"{error}. Upgrade cnnctl here"
        ) from error
    except Exception as error:  # a stored text may be anything
        raise SpecError(f"No job can be made like job {job.id}: its spec cannot be read") from error
