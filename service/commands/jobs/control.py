"""What people do to jobs: cancel, pause, hold, resume, retry, and change how urgent they are."""

from service.commands.jobs.admission import check_high_priority, check_waiting
from service.commands.jobs.dataset_version import keep_dataset
from service.commands.people.permissions import check_may_change
from service.domain.jobs import Job, JobId
from service.domain.people import Actor
from service.domain.states import RETRYABLE, Action, JobState, Priority, StopRequest
from service.errors import JobConflict
from service.store.jobs import attempts, checkpoints, jobs, stop_requests
from service.store.people import audit, outbox, users
from service.store.transaction import Store, Transaction

RETRY_REASON = "waits for the scheduler, to be tried again"
RESUME_REASON = "waits for the scheduler, to go on"


def cancel(store: Store, job_id: JobId, *, actor: Actor) -> JobState:
    """Cancel a job: at once if it is not running, else its worker is asked to stop it.

    Returns the job's state after that: `cancelled`, or `running` while its trainer stops.

    Raises:
        JobNotFound: there is no such job.
        JobConflict: it has ended already.
        NotAllowed: it is somebody else's.
    """
    with store.transaction() as tx:
        return cancel_in(tx, _get_job(tx, job_id, actor), actor=actor)


def cancel_in(tx: Transaction, job: Job, *, actor: Actor) -> JobState:
    """As `cancel`, in a transaction; that `actor` may do it is known."""
    where = "in the queue" if job.state is JobState.QUEUED else "while it was paused"
    reason = f"cancelled by {actor.name} {where}"
    if job.state in (JobState.QUEUED, JobState.PAUSED) and jobs.set_state_if(
        tx, job.id, job.state, JobState.CANCELLED, reason=reason
    ):
        audit.add_entry(tx, job.id, Action.CANCELLED, actor=actor)
        outbox.enqueue(tx, job, JobState.CANCELLED, attempt_id=None, reason=reason)
        return JobState.CANCELLED
    return _ask(tx, job, StopRequest.CANCEL, actor=actor, verb="cancelled")


def pause(store: Store, job_id: JobId, *, actor: Actor) -> JobState:
    """Pause a job until somebody resumes it; a running one writes a checkpoint first.

    Returns the job's state after that: `paused`, or `running` while its trainer stops.

    Raises:
        JobNotFound: there is no such job.
        JobConflict: it is paused already, or has ended.
        NotAllowed: it is somebody else's.
    """
    with store.transaction() as tx:
        job = _get_job(tx, job_id, actor)
        if job.state is JobState.QUEUED and _pause_queued(tx, job, actor=actor):
            return JobState.PAUSED
        return _ask(tx, job, StopRequest.PAUSE, actor=actor, verb="paused")


def hold(store: Store, job_id: JobId, *, actor: Actor) -> JobState:
    """Keep a queued job from starting until somebody resumes it; returns its state after that.

    Raises:
        JobNotFound: there is no such job.
        JobConflict: it is not queued; a running one can be paused.
        NotAllowed: it is somebody else's.
    """
    with store.transaction() as tx:
        job = _get_job(tx, job_id, actor)
        if job.state is not JobState.QUEUED or not _pause_queued(tx, job, actor=actor):
            state = jobs.get_job(tx, job_id).state
            step = f"pause {job_id}" if state is JobState.RUNNING else f"status {job_id}"
            raise JobConflict(
                f"Job {job_id} cannot be held: it is {state.value}. Only queued jobs can be. "
                f"{'To stop it after a checkpoint' if state is JobState.RUNNING else 'See'}: cnnctl {step}"
            )
    return JobState.PAUSED


def resume(store: Store, job_id: JobId, *, actor: Actor, from_start: bool = False) -> JobState:
    """Queue a paused job again; it continues from its newest valid checkpoint.

    With `from_start` its checkpoints are forgotten, though not deleted, and it begins again at step 0.

    Raises:
        JobNotFound: there is no such job.
        JobConflict: it is not paused.
        NotAllowed: it is somebody else's.
    """
    with store.transaction() as tx:
        resume_in(tx, _get_job(tx, job_id, actor), actor=actor, from_start=from_start)
    return JobState.QUEUED


def resume_in(tx: Transaction, job: Job, *, actor: Actor, from_start: bool = False) -> None:
    """As `resume`, in a transaction; that `actor` may do it is known."""
    if job.state is not JobState.PAUSED or not jobs.set_state_if(
        tx, job.id, JobState.PAUSED, JobState.QUEUED, reason=RESUME_REASON
    ):
        raise JobConflict(
            f"Job {job.id} cannot be resumed: it is {job.state.value}. "
            f"Only paused jobs can be. See: cnnctl status {job.id}"
        )
    forgotten = checkpoints.forget_checkpoints(tx, job.id) if from_start else 0
    detail = f"from step 0; {forgotten} checkpoints are forgotten, their files stay" if forgotten else ""
    audit.add_entry(tx, job.id, Action.RESUMED, actor=actor, detail=detail)


def retry(store: Store, job_id: JobId, *, actor: Actor) -> JobState:
    """Queue a failed or cancelled job again; it continues from its newest valid checkpoint.

    Raises:
        JobNotFound: there is no such job.
        JobConflict: it has not failed and was not cancelled.
        NotAllowed: it is somebody else's, or of high priority without the right to it.
        SpecError: its owner has as many jobs waiting as the quota allows.
        DatasetConflict: its dataset was removed.
    """
    with store.transaction() as tx:
        retry_in(tx, _get_job(tx, job_id, actor), actor=actor)
    return JobState.QUEUED


def retry_in(tx: Transaction, job: Job, *, actor: Actor) -> None:
    """As `retry`, in a transaction; that the job is `actor`'s to change is known."""
    if job.state in RETRYABLE:
        check_waiting(tx, users.get_user(tx, job.owner))
        keep_dataset(tx, job.dataset, job=f"Job {job.id}")
    if job.state not in RETRYABLE or not jobs.set_state_if(
        tx, job.id, job.state, JobState.QUEUED, reason=RETRY_REASON
    ):
        raise JobConflict(
            f"Job {job.id} cannot be retried: it is {job.state.value}. "
            f"Only failed or cancelled jobs can be. See: cnnctl status {job.id}"
        )
    if job.scheduling.priority is Priority.HIGH:
        check_high_priority(tx, actor)
    jobs.set_lost_attempts(tx, job.id, 0)
    audit.add_entry(tx, job.id, Action.RETRIED, actor=actor)


def set_priority(store: Store, job_id: JobId, priority: Priority, *, actor: Actor) -> JobState:
    """Change the priority of a job that has not ended.

    Raises:
        JobNotFound: there is no such job.
        JobConflict: it has ended.
        NotAllowed: it is somebody else's, or `actor` has no right to high priority.
    """
    with store.transaction() as tx:
        job = _get_job(tx, job_id, actor)
        if priority is Priority.HIGH:
            check_high_priority(tx, actor)
        if not jobs.set_priority_if_unfinished(tx, job_id, priority):
            raise JobConflict(
                f"The priority of job {job_id} cannot be changed: it is already {job.state.value}. "
                "Only that of queued, paused or running jobs can be"
            )
        change = f"{job.scheduling.priority.value} → {priority.value}"
        was, now = {"priority": job.scheduling.priority.value}, {"priority": priority.value}
        audit.add_entry(
            tx, job_id, Action.PRIORITY_CHANGED, actor=actor, detail=change, before=was, after=now
        )
        return job.state


def _get_job(tx: Transaction, job_id: JobId, actor: Actor) -> Job:
    job = jobs.get_job(tx, job_id)
    check_may_change(tx, job, actor)
    return job


def _pause_queued(tx: Transaction, job: Job, *, actor: Actor) -> bool:
    reason = f"paused by {actor.name} in the queue; cnnctl resume {job.id}"
    if not jobs.set_state_if(tx, job.id, JobState.QUEUED, JobState.PAUSED, reason=reason):
        return False
    audit.add_entry(tx, job.id, Action.PAUSED, actor=actor)
    return True


def _ask(tx: Transaction, job: Job, stop_request: StopRequest, *, actor: Actor, verb: str) -> JobState:
    """Ask a running job's attempt to stop; the job's state after that."""
    attempt = attempts.find_live_attempt(tx, job.id)
    if attempt is None:
        able = "queued, paused or running" if stop_request is StopRequest.CANCEL else "queued or running"
        raise JobConflict(
            f"Job {job.id} cannot be {verb}: it is already {jobs.get_job(tx, job.id).state.value}. "
            f"Only {able} jobs can be. See: cnnctl status {job.id}"
        )
    if not stop_requests.request_stop(
        tx, attempt, stop_request, reason=f"{verb} by {actor.name}", actor=actor
    ):
        raise JobConflict(
            f"Job {job.id} is being cancelled, or changed just now. "
            f"See its state, then try again: cnnctl status {job.id}"
        )
    return jobs.get_job(tx, job.id).state
