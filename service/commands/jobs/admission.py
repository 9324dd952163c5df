"""Refuses a submission that could never run, or that its owner may not make."""

import difflib
from collections import Counter
from collections.abc import Collection, Mapping

from service.commands.fleet.eligible_gpus import list_eligible_gpus
from service.commands.people.permissions import is_administrator
from service.domain.bounds import check_option
from service.domain.gpus import is_model
from service.domain.jobs import JobId
from service.domain.people import Actor, User
from service.domain.scheduling_options import SchedulingOptions
from service.domain.states import RETRYABLE, Priority
from service.errors import NotAllowed, SpecError
from service.store.fleet import hosts
from service.store.jobs import jobs
from service.store.people import users
from service.store.transaction import Transaction


def check_admission(
    tx: Transaction, *, gpus: int, owner: Actor, scheduling: SchedulingOptions, after: Collection[JobId]
) -> None:
    """Check GPUs, host and model, the owner's quota and permissions, and the jobs to wait for.

    Raises:
        SpecError: no host could ever run it, the quota is too small, or a job to wait for will never succeed.
        NotAllowed: high priority without the right to it.
    """
    if scheduling.priority is Priority.HIGH:
        check_high_priority(tx, owner)
    _check_bounds(tx, scheduling, after)
    _check_host_and_model(tx, scheduling)
    if scheduling.hosts > 1:
        _check_hosts(tx, gpus, scheduling)
    else:
        _check_gpus(tx, gpus, scheduling)
    _check_quota(tx, gpus, owner)
    _check_after(tx, after)


def _check_bounds(tx: Transaction, scheduling: SchedulingOptions, after: Collection[JobId]) -> None:
    check_option("--project", scheduling.project)
    check_option("--after", after)
    check_option("--hosts", scheduling.hosts)
    check_option("--host", scheduling.host_name)
    check_option("--gpu-model", scheduling.gpu_model)
    if scheduling.not_before is not None:
        check_option("--not-before", max(0.0, (scheduling.not_before - tx.now).total_seconds() / 86400))


def check_high_priority(tx: Transaction, actor: Actor) -> None:
    """Refuse high priority to an actor without the right to it.

    Raises:
        NotAllowed: `actor` is no administrator either.
    """
    if not (users.get_user(tx, actor.name).may_use_high or is_administrator(tx, actor)):
        raise NotAllowed(
            f"{actor.name} has no right to priority high. Allowed: low, normal. "
            f"An administrator grants it with: cnnctl users set {actor.name} --high"
        )


def _check_host_and_model(tx: Transaction, scheduling: SchedulingOptions) -> None:
    if scheduling.host_name is not None:
        names = [host.name for host in hosts.list_hosts(tx)]
        if scheduling.host_name not in names:
            raise SpecError(
                f"--host: there is no host {scheduling.host_name}. {_nearest(scheduling.host_name, names)}"
            )
    if scheduling.gpu_model is not None:
        models = sorted({gpu.model for gpu in hosts.list_gpus(tx)})
        if not any(is_model(model, scheduling.gpu_model) for model in models):
            nearest = _nearest(scheduling.gpu_model, models)
            raise SpecError(f"--gpu-model: no GPU is a {scheduling.gpu_model}. {nearest}")


def _nearest(name: str, known: Collection[str]) -> str:
    if not known:
        return "No worker has registered yet"
    nearest = difflib.get_close_matches(name, known, n=1, cutoff=0.4)
    return (f"Did you mean {nearest[0]}? " if nearest else "") + f"Known: {', '.join(known)}"


def _check_gpus(tx: Transaction, wanted: int, scheduling: SchedulingOptions) -> None:
    largest = _largest_host(tx, wanted, scheduling)
    if largest is None or wanted <= largest[1]:
        return
    name, count = largest
    model = f" {scheduling.gpu_model}" if scheduling.gpu_model else ""
    what = f"{name} does not have" if scheduling.host_name else "no host has"
    has = f"It has {count}" if scheduling.host_name else f"The largest, {name}, has {count}"
    if wanted > 1 and _has_mig(tx, scheduling):
        has += "; MIG instances take jobs on one GPU only"
        count = max(count, 1)
    nearest = f" Nearest: --gpus {count}" if count else ""
    if count and scheduling.host_name is None and (several := _find_hosts_for(tx, wanted, scheduling)):
        nearest += f", or --gpus {wanted} --hosts {several}"
    raise SpecError(f"resources.gpus: {what} {wanted}{model} GPUs. {has}.{nearest}")


def _check_hosts(tx: Transaction, gpus: int, scheduling: SchedulingOptions) -> None:
    """Refuse a job over several hosts that no set of hosts could run."""
    if scheduling.host_name is not None or scheduling.exclusive:
        other = "--host" if scheduling.host_name is not None else "--exclusive"
        raise SpecError(f"--hosts {scheduling.hosts} cannot be combined with {other}. Leave out one of them")
    if gpus % scheduling.hosts:
        nearest = max(1, round(gpus / scheduling.hosts)) * scheduling.hosts
        raise SpecError(
            f"--hosts {scheduling.hosts} needs a number of GPUs that divides evenly among the hosts. "
            f"Received: --gpus {gpus}. Nearest: --gpus {nearest}"
        )
    each = gpus // scheduling.hosts
    counts = sorted(_count_gpus(tx, gpus, scheduling).values(), reverse=True)
    large = sum(count >= each for count in counts)
    if not counts or large >= scheduling.hosts:
        return
    model = f" {scheduling.gpu_model}" if scheduling.gpu_model else ""
    most = counts[scheduling.hosts - 1] if len(counts) >= scheduling.hosts else 0
    shared = f"--gpus {most * scheduling.hosts} --hosts {scheduling.hosts}" if most else f"--gpus {counts[0]}"
    raise SpecError(
        f"--hosts {scheduling.hosts}: each host needs {each}{model} GPUs, and {large} of "
        f"{len(counts)} hosts have that many. Nearest: {shared}"
    )


def _find_hosts_for(tx: Transaction, wanted: int, scheduling: SchedulingOptions) -> int | None:
    """The smallest number of hosts that together have the GPUs; None where none do."""
    counts = _count_gpus(tx, wanted, scheduling).values()
    ways = (n for n in range(2, len(counts) + 1) if wanted % n == 0)
    return next((n for n in ways if sum(count >= wanted // n for count in counts) >= n), None)


def _count_gpus(tx: Transaction, wanted: int, scheduling: SchedulingOptions) -> Mapping[str, int]:
    """The number of eligible GPUs of each host, for a job on this number of GPUs."""
    names = [scheduling.host_name] if scheduling.host_name else [host.name for host in hosts.list_hosts(tx)]
    found = Counter(gpu.host_name for gpu in list_eligible_gpus(tx, scheduling, gpus=wanted))
    return {name: found[name] for name in names}


def _largest_host(tx: Transaction, wanted: int, scheduling: SchedulingOptions) -> tuple[str, int] | None:
    """The host that could give a job the most GPUs, and how many; None before any worker has registered."""
    if scheduling.host_name is None and scheduling.gpu_model is None:
        return hosts.largest_host(tx, job_gpus=wanted)
    return max(_count_gpus(tx, wanted, scheduling).items(), key=lambda item: item[1], default=None)


def _has_mig(tx: Transaction, scheduling: SchedulingOptions) -> bool:
    """Whether MIG instances are among the GPUs that the scheduling options allow."""
    return any(gpu.mig for gpu in list_eligible_gpus(tx, scheduling, gpus=1))


def _check_quota(tx: Transaction, wanted: int, owner: Actor) -> None:
    user = users.get_user(tx, owner.name)
    if user.max_gpus is not None and wanted > user.max_gpus:
        raise SpecError(
            f"resources.gpus: {user.name} may hold {user.max_gpus} GPUs at once. Received: {wanted}. "
            + (f"Nearest: --gpus {user.max_gpus}" if user.max_gpus else "Ask an administrator: cnnctl users")
        )
    check_waiting(tx, user)


def check_waiting(tx: Transaction, user: User) -> None:
    """Refuse another job of a person who has as many waiting as the quota allows.

    Raises:
        SpecError: the quota is reached.
    """
    if user.max_queued is not None:
        users.lock_user(tx, user.name)
        waiting = jobs.count_waiting_jobs(tx, user.name)
        if waiting >= user.max_queued:
            raise SpecError(
                f"{user.name} may have {user.max_queued} jobs waiting, and has {waiting}. "
                "Submit again when some have started, or cancel some: cnnctl status. "
                f"An administrator can allow more: cnnctl users set {user.name} --max-queued NUMBER"
            )


def _check_after(tx: Transaction, after: Collection[JobId]) -> None:
    if not after:
        return
    states = jobs.list_states(tx, [number for number in after if 0 < number <= jobs.LARGEST_ID])
    for number in after:
        if number not in states:
            raise SpecError(
                f"--after: there is no job {number}. A job can wait for jobs that were submitted before it, "
                "never for itself or a later one. See: cnnctl status"
            )
        if states[number] in RETRYABLE:
            raise SpecError(
                f"--after: job {number} is {states[number].value} and will not succeed by itself. "
                f"First: cnnctl retry {number}"
            )
