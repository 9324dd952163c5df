"""Lists of jobs, page by page."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from cnnctl.views.jobs import JobCounts, JobPage, JobSummary
from cnnctl.views.requests import JobSort
from service.domain.bounds import check_option
from service.domain.job_filter import ALL_JOBS, JOB, PAGE, JobFilter, clean_filter
from service.domain.jobs import Attempt, AttemptId, Job, JobId
from service.domain.states import JobState
from service.domain.stored_spec import load_spec_tree
from service.store.jobs import attempts, jobs, labels, members
from service.store.transaction import Store, Transaction

PAGE_LENGTH = 50
MOST_AT_ONCE = 1000
LONGEST_ERROR = 200
UNREADABLE = "{}"  # in the place of a spec that cannot be read


def list_job_page(
    store: Store,
    *,
    filter: JobFilter = ALL_JOBS,
    limit: int = PAGE_LENGTH,
    before: JobId | None = None,
    sort: JobSort = "newest",
) -> JobPage:
    """A page of the jobs that pass the filter, in an order; it goes on after the last job `before` it.

    Raises:
        SpecError: the filter, the limit or the number of the job is beyond its bounds.
    """
    PAGE.check("limit", limit)
    JOB.check("before", before)
    with store.reading() as tx:
        _check_since(tx, filter)
        found = jobs.list_jobs(tx, filter=clean_filter(filter), limit=limit + 1, before=before, sort=sort)
        items = list(summarize_jobs(tx, found[:limit]))
    return JobPage(items=items, next=items[-1].job if len(found) > limit else None)


def count_job_states(store: Store, *, filter: JobFilter = ALL_JOBS) -> JobCounts:
    """How many jobs pass the filter, by state.

    Raises:
        SpecError: the filter is beyond its bounds.
    """
    with store.reading() as tx:
        _check_since(tx, filter)
        counts = jobs.count_jobs(tx, clean_filter(filter))
    states = {state.value: counts.get(state, 0) for state in JobState}
    return JobCounts(total=sum(counts.values()), states=states)


def _check_since(tx: Transaction, filter: JobFilter) -> None:
    for option, since in (("--since", filter.since), ("--ended-since", filter.ended_since)):
        if since is not None:
            check_option(option, (tx.now - since).total_seconds() / 86400)


def summarize_jobs(tx: Transaction, found: Sequence[Job]) -> Iterator[JobSummary]:
    """Summaries of jobs, in batches: a statement can name only so many jobs."""
    parts = members.list_live_members(tx)
    hosts_of = {attempt_id: [part.host_name for part in of_one] for attempt_id, of_one in parts.items()}
    for start in range(0, len(found), MOST_AT_ONCE):
        some = found[start : start + MOST_AT_ONCE]
        ids = [job.id for job in some]
        latest = {attempt.job_id: attempt for attempt in attempts.list_latest_attempts(tx, ids)}
        tags = labels.list_tags(tx, ids)
        for job in some:
            yield _summarize_whatever_it_is(job, tags.get(job.id, ()), latest.get(job.id), hosts_of)


def _summarize_whatever_it_is(
    job: Job,
    tags: Sequence[str],
    attempt: Attempt | None,
    hosts_of: Mapping[AttemptId, Sequence[str]],
) -> JobSummary:
    """One job that cannot be read must not hide all others."""
    try:
        return _summarize(job, tags, attempt, hosts_of)
    except Exception as error:
        return _summarize(without_spec(job, error), tags, None, hosts_of)


def _summarize(
    job: Job,
    tags: Sequence[str],
    attempt: Attempt | None,
    hosts_of: Mapping[AttemptId, Sequence[str]],
) -> JobSummary:
    progress = attempt.progress if attempt else None
    running = job.state is JobState.RUNNING
    on_hosts = hosts_of.get(attempt.id, [attempt.host_name]) if attempt and running else []
    return JobSummary(
        job=job.id,
        state=job.state.value,
        owner=job.owner,
        name=job.name,
        tags=tags,
        priority=job.scheduling.priority.value,
        project=job.scheduling.project,
        architecture=job.architecture,
        dataset=job.dataset,
        gpus=job.gpus,
        host=on_hosts[0] if on_hosts else None,
        on_hosts=on_hosts,
        epochs=attempt.epochs_completed if attempt else 0,
        epochs_wanted=load_spec_tree(job.spec).get("training", {}).get("epochs", 0),
        loss=progress.loss if progress else None,
        accuracy=progress.accuracy if progress else None,
        images_per_second=progress.images_per_second if progress and running else None,
        submitted_at=job.submitted_at,
        ended_at=job.ended_at,
        reason=job.reason,
        estimated_start_at=job.estimated_start_at,
    )


def without_spec(job: Job, error: Exception) -> Job:
    """The job with words in the place of what cannot be read."""
    words = str(error)[:LONGEST_ERROR]
    reason = f"cannot be shown ({type(error).__name__}: {words}); {job.reason}"
    return replace(job, spec=UNREADABLE, reason=reason)
