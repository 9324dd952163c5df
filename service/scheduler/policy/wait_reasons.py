"""Explains in words why a job waits; the words change only when the situation changes."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from service.domain.gpus import format_gpus
from service.domain.jobs import Waiting
from service.domain.moments import add_seconds
from service.domain.states import RETRYABLE, JobState
from service.scheduler.policy.placement import HostCapacity, has_memory, is_right, member_of
from service.scheduler.policy.situation import Host, QueuedJob
from service.scheduler.policy.start_estimates import Blocked

MOST_TOLD = 3  # reasons that are listed one by one
COUNTED = 100  # a place further back in the line is not shown: it would change with every start


def find_postponement(job: QueuedJob, now: datetime) -> Waiting | None:
    """Why the job could not start now even if all GPUs were free: it waits for other jobs, or for a time."""
    if job.unmet:
        return Waiting(job_id=job.id, reason=_explain_unmet(job))
    if job.not_before is not None and job.not_before > now:
        reason = f"waits until {job.not_before:%Y-%m-%d %H:%M:%S} UTC, as asked with --not-before"
        return Waiting(job_id=job.id, reason=reason)
    return None


def _explain_unmet(job: QueuedJob) -> str:
    for number, state in sorted(job.unmet.items()):
        if state in RETRYABLE:
            how = "failed" if state is JobState.FAILED else "was cancelled"
            return f"waits for job {number}, which {how}; cnnctl retry {number}, or cnnctl cancel {job.id}"
    named = ", ".join(map(str, sorted(job.unmet)))
    return f"waits for {'jobs' if len(job.unmet) > 1 else 'job'} {named} to succeed"


def explain_quota(job: QueuedJob, *, held_gpus: int, quota_gpus: int) -> Waiting:
    reason = (
        f"waits for the quota: {job.owner} may hold {format_gpus(quota_gpus)} at once and holds {held_gpus}"
    )
    return Waiting(job_id=job.id, reason=reason)


def explain_unfit(job: QueuedJob, hosts: Sequence[Host]) -> Waiting:
    """Explain why no host that is up could hold the job."""
    if not hosts:
        reason = "waits for a host: no worker is running. Start one with cnnctl up or cnnctl worker"
        return Waiting(job_id=job.id, reason=reason)
    if job.host is not None and job.host not in {host.name for host in hosts}:
        return Waiting(job_id=job.id, reason=f"waits for host {job.host}: its worker is not running")
    if job.hosts > 1:
        return _explain_too_few_hosts(job, hosts)
    likely = [host for host in hosts if job.host in (None, host.name)]
    largest = max(likely, key=lambda host: _count_right(host, job))
    what = f"{format_gpus(job.gpus)}{f' of model {job.gpu_model}' if job.gpu_model else ''}"
    role = "" if job.host else ", the largest host that is up,"
    count = _count_right(largest, job)
    reason = (
        f"waits for {what} on one host: {largest.name}{role} has {count} usable"
        f"{_explain_unusable(largest, job)}"
    )
    return Waiting(job_id=job.id, reason=reason)


def _explain_too_few_hosts(job: QueuedJob, hosts: Sequence[Host]) -> Waiting:
    each = job.gpus // job.hosts
    model = f" of model {job.gpu_model}" if job.gpu_model else ""
    large = sorted(host.name for host in hosts if _count_right(host, job) >= each)
    others = [host for host in hosts if host.name not in large]
    there = f"only {', '.join(large)} can give them" if large else "no host that is up can give them"
    reason = (
        f"waits for {job.hosts} hosts with {format_gpus(each)}{model} each: {there}"
        f"{_explain_unusable_of_all(others, job)}"
    )
    return Waiting(job_id=job.id, reason=reason)


def _count_right(host: Host, job: QueuedJob) -> int:
    return sum(gpu.usable and is_right(gpu, job) for gpu in host.gpus)


def _explain_unusable(host: Host, job: QueuedJob) -> str:
    """Why the job cannot use GPUs of a host, apart from other jobs in the queue."""
    return _tell(_list_unusable(host, job))


def _explain_unusable_of_all(hosts: Sequence[Host], job: QueuedJob) -> str:
    """The same for all hosts that would be large enough with these GPUs, each with its name."""
    each = job.gpus // job.hosts
    any_size = replace(job, memory_mib=0)
    large = [host for host in hosts if sum(gpu.mig or is_right(gpu, any_size) for gpu in host.gpus) >= each]
    return _tell([f"on {host.name}: {words}" for host in large for words in _list_unusable(host, job)])


def _list_unusable(host: Host, job: QueuedJob) -> Sequence[str]:
    why = list(dict.fromkeys(gpu.why for gpu in host.gpus if gpu.why and is_right(gpu, job)))
    instances = [gpu for gpu in host.gpus if gpu.usable and gpu.mig and job.gpus > 1]
    if instances:
        why.append(f"its {len(instances)} MIG instances take jobs on one GPU only")
    small = sum(gpu.usable and gpu not in instances and not has_memory(gpu, job) for gpu in host.gpus)
    if small:
        why.append(
            f"{small} {'have' if small > 1 else 'has'} too little memory: "
            f"the job may need {job.memory_mib:,} MiB on each"
        )
    return why


def _tell(why: Sequence[str]) -> str:
    more = [f"and {len(why) - MOST_TOLD} more"] if len(why) > MOST_TOLD else []
    return "".join(f"; {words}" for words in [*why[:MOST_TOLD], *more])


def explain_line(
    line: Sequence[Blocked],
    waits: Sequence[float | None],
    capacities: Sequence[HostCapacity],
    free: Mapping[str, int],
    now: datetime,
) -> Sequence[Waiting]:
    """Explain why each job of the line waits; `free` counts each host's GPUs that this plan leaves free."""
    if not line:
        return []
    first = line[0].job
    reasons = [
        _explain(blocked, place, first, capacities, free) for place, blocked in enumerate(line[:COUNTED], 1)
    ]
    far = f"waits for job {first.id} and more than {COUNTED - 1} others"
    reasons += [_explain_freeing(blocked) if blocked.freeing_on else far for blocked in line[COUNTED:]]
    starts = [None if seconds is None else add_seconds(now, seconds) for seconds in waits]
    told = zip(line, reasons, starts, strict=True)
    return [
        Waiting(job_id=blocked.job.id, reason=reason, estimated_start_at=start)
        for blocked, reason, start in told
    ]


def _explain_freeing(blocked: Blocked) -> str:
    return f"starts on {blocked.freeing_on} as soon as the jobs told to stop have stopped"


def _explain(
    blocked: Blocked,
    place: int,
    first: QueuedJob,
    capacities: Sequence[HostCapacity],
    free: Mapping[str, int],
) -> str:
    if blocked.freeing_on:
        return _explain_freeing(blocked)
    if place > 1:
        return f"waits for job {first.id}, which needs {_need(first)} and goes first; place {place} in line"
    likely = [capacity.host.name for capacity in capacities if capacity.could_hold(member_of(blocked.job))]
    if blocked.job.hosts > 1:
        counts = ", ".join(f"{free[name]} free on {name}" for name in likely)
        kept = _explain_unusable_of_all([capacity.host for capacity in capacities], blocked.job)
        return f"waits for {_need(blocked.job)}: {counts}; first in line{kept}"
    freest = max(likely, key=lambda name: free[name])
    where = "" if blocked.job.exclusive else f" on {blocked.job.host or 'one host'}"
    host = next(capacity.host for capacity in capacities if capacity.host.name == freest)
    kept = _explain_unusable(host, blocked.job)
    return f"waits for {_need(blocked.job)}{where}: {free[freest]} free on {freest}; first in line{kept}"


def _need(job: QueuedJob) -> str:
    model = f" of model {job.gpu_model}" if job.gpu_model else ""
    if job.hosts > 1:
        return f"{format_gpus(job.gpus // job.hosts)}{model} on each of {job.hosts} hosts"
    return (
        f"{format_gpus(job.gpus)}{model}"
        if not job.exclusive
        else f"a whole host with {format_gpus(job.gpus)}{model}"
    )
