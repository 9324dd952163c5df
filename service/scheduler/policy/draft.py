"""Builds a plan: settles the waiting jobs one by one, from first to last."""

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence, Set
from math import isfinite

from service.domain.jobs import JobId, Waiting
from service.scheduler.policy import wait_reasons
from service.scheduler.policy.decisions import Placement, Preemption
from service.scheduler.policy.ordering import Ranks
from service.scheduler.policy.placement import (
    HostCapacity,
    count_suited,
    list_tightest_capacities,
    member_of,
    suits,
)
from service.scheduler.policy.preemption import (
    Holder,
    choose_victims,
    in_order_to_go,
    newcomer_yields_in_seconds,
)
from service.scheduler.policy.reservation import STOP_SECONDS, list_prospects, reserve
from service.scheduler.policy.situation import QueuedJob, Snapshot
from service.scheduler.policy.start_estimates import Blocked

Shape = tuple[int, int, bool, str | None, str | None, int]


class Draft:
    """Collects the placements and preemptions, the `line` of jobs that wait for GPUs, and the `refused` jobs.

    Free GPUs only become fewer and ranks only fall. So when a job finds no place, its shape is `_closed` for
    all later jobs, which keeps a long queue cheap. `_declined` holds jobs that may not pass a reservation.
    """

    def __init__(self, snapshot: Snapshot, ranks: Ranks, capacities: Sequence[HostCapacity]) -> None:
        self.placements: list[Placement] = []
        self.preemptions: list[Preemption] = []
        self.line: list[Blocked] = []
        self.refused: list[Waiting] = []
        self._snapshot = snapshot
        self._ranks = ranks
        self._capacities = capacities
        self._memories_mib = sorted({gpu.memory_mib for host in snapshot.hosts for gpu in host.gpus})
        self._fitting: dict[Shape, Sequence[HostCapacity]] = {}
        self._closed: set[Shape] = set()
        self._declined: set[tuple[Shape, int, float, float | None]] = set()
        self._taken_whole = {job.host_name for job in snapshot.running if job.exclusive}
        self._quotas = {name: owner.quota_gpus for name, owner in snapshot.owners.items()}
        self._held: dict[str, int] = {}
        for job in snapshot.running:
            self._held[job.owner] = self._held.get(job.owner, 0) + job.gpus

    def settle(self, job: QueuedJob, rank: int) -> None:
        """Place the job, preempt others for it, reserve GPUs for it, or leave it waiting."""
        size = bisect_left(self._memories_mib, job.memory_mib)
        shape = (job.gpus, job.hosts, job.exclusive, job.gpu_model, job.host, size)
        capacities = self._fitting.get(shape)
        if capacities is None:
            member = member_of(job)
            capacities = self._fitting[shape] = [
                capacity for capacity in self._capacities if capacity.could_hold(member)
            ]
        if len(capacities) < job.hosts:
            self.refused.append(wait_reasons.explain_unfit(job, self._snapshot.hosts))
            return
        if (over := self._over_quota(job)) is not None:
            self.refused.append(over)
            return
        key = (shape, rank, job.attained_gpu_seconds, job.limit_seconds)
        if shape in self._closed or key in self._declined:
            self.line.append(Blocked(job, rank))
        elif not self._place(capacities, job, rank):
            blocked = self._claim(capacities, job, rank)
            self.line.append(blocked)
            if blocked.seconds is None:
                held_back = any(capacity.reserved_rank is not None for capacity in capacities)
                self._declined.add(key) if held_back else self._closed.add(shape)

    def count_free(self) -> Mapping[str, int]:
        """Count the GPUs of each host that this plan leaves free, including reserved GPUs."""
        taken = {uuid for placement in self.placements for uuid in placement.gpu_uuids}
        taken |= {uuid for job in self._snapshot.running for uuid in job.gpu_uuids}
        return {
            capacity.host.name: sum(
                gpu.usable and gpu.uuid not in taken and capacity.host.name not in self._taken_whole
                for gpu in capacity.host.gpus
            )
            for capacity in self._capacities
        }

    def _over_quota(self, job: QueuedJob) -> Waiting | None:
        quota, held = self._quotas.get(job.owner), self._held.get(job.owner, 0)
        if quota is None or held + job.gpus <= quota:
            return None
        return wait_reasons.explain_quota(job, held_gpus=held, quota_gpus=quota)

    def _may_use(self, capacity: HostCapacity, job: QueuedJob, rank: int) -> bool:
        """Whether the host has no reservation, or the job surely ends before the reservation is complete."""
        if capacity.reserved_rank is None:
            return True
        seconds = newcomer_yields_in_seconds(job, rank, capacity.reserved_rank, self._ranks)
        return isfinite(seconds) and seconds <= capacity.in_seconds

    def _place(self, capacities: Sequence[HostCapacity], job: QueuedJob, rank: int) -> bool:
        member = member_of(job)
        chosen = list_tightest_capacities(
            capacities, member, count=job.hosts, may_use=lambda capacity: self._may_use(capacity, job, rank)
        )
        if not chosen:
            return False
        uuids = [
            uuid for capacity in chosen for uuid in capacity.take(member, [capacity.free, capacity.reserved])
        ]
        first, *others = (capacity.host.name for capacity in chosen)
        placement = Placement(
            job_id=job.id, host_name=first, gpu_uuids=tuple(uuids), other_hosts=tuple(others)
        )
        self.placements.append(placement)
        self._held[job.owner] = self._held.get(job.owner, 0) + job.gpus
        if job.exclusive:
            self._taken_whole.add(first)
        return True

    def _claim(self, capacities: Sequence[HostCapacity], job: QueuedJob, rank: int) -> Blocked:
        """Take GPUs that are being freed; otherwise preempt other jobs; otherwise reserve GPUs for a gang."""
        allowed = [capacity for capacity in capacities if self._may_use(capacity, job, rank)]
        member = member_of(job)
        if freeing := self._list_freeing(allowed, job, member, rank):
            for capacity in freeing:
                capacity.take(member, [capacity.free, capacity.leaving])
            names = " and ".join(capacity.host.name for capacity in freeing)
            return Blocked(job, rank, STOP_SECONDS, freeing_on=names)
        if job.gpus == 1 and not job.exclusive:
            return Blocked(job, rank)
        prospects = list_prospects(capacities, member, rank, self._ranks, count=job.hosts)
        if not prospects:
            return Blocked(job, rank)
        reserve(prospects, member, rank)
        return Blocked(job, rank, max(prospect.expected_seconds for prospect in prospects))

    def _list_freeing(
        self, capacities: Sequence[HostCapacity], job: QueuedJob, member: QueuedJob, rank: int
    ) -> Sequence[HostCapacity]:
        """List the hosts where the job will start because other jobs stop, preempting jobs if necessary."""
        if job.hosts > 1:
            return self._free_members(capacities, job, member, rank)
        capacity = self._find_leaving(capacities, job) or self._preempt(capacities, job, rank)
        return () if capacity is None else (capacity,)

    def _free_members(
        self, capacities: Sequence[HostCapacity], job: QueuedJob, member: QueuedJob, rank: int
    ) -> Sequence[HostCapacity]:
        """The hosts for the job's members, each with enough GPUs that are free, leaving or preemptible."""
        costs = []
        for number, capacity in enumerate(capacities):
            victims = self._list_victims(capacity, member, rank) if _missing(capacity, member) > 0 else ()
            if victims or _missing(capacity, member) <= 0:
                costs.append((bool(victims), _cost(victims) if victims else (0, 0, 0), number, victims))
        if len(costs) < job.hosts:
            return ()
        costs.sort(key=lambda cost: cost[:3])
        likely = [capacities[number] for _, _, number, _ in costs]
        told = _choose_needed([cost[3] for cost in costs[: job.hosts]], likely, member, count=job.hosts)
        chosen = [capacity for capacity in likely if _missing(capacity, member, told=told) <= 0][: job.hosts]
        for capacity in chosen:
            self._stop(capacity, [holder for holder in capacity.holders if holder.job.id in told], job)
        return chosen

    def _find_leaving(self, capacities: Sequence[HostCapacity], job: QueuedJob) -> HostCapacity | None:
        """The host where the GPUs of stopping jobs are enough, so that a plan keeps to the previous one."""
        enough = [capacity for capacity in capacities if capacity.leaving and _missing(capacity, job) <= 0]
        return min(enough, key=lambda capacity: len(capacity.leaving) + len(capacity.free), default=None)

    def _preempt(self, capacities: Sequence[HostCapacity], job: QueuedJob, rank: int) -> HostCapacity | None:
        """Stop the lowest-ranking jobs of one host; choose the host whose best victim ranks lowest."""
        choices = [
            (capacity, victims)
            for capacity in capacities
            if (victims := self._list_victims(capacity, job, rank))
        ]
        if not choices:
            return None
        capacity, victims = min(choices, key=lambda choice: _cost(choice[1]))
        self._stop(capacity, victims, job)
        return capacity

    def _stop(self, capacity: HostCapacity, victims: Sequence[Holder], job: QueuedJob) -> None:
        for victim in victims:
            self.preemptions.append(Preemption(job_id=victim.job.id, for_job_id=job.id))
            for one in self._capacities if victim.job.other_hosts else (capacity,):
                gone = [holder for holder in one.holders if holder.job.id == victim.job.id]
                one.leaving += [gpu for holder in gone for gpu in holder.frees]
                one.holders[:] = [holder for holder in one.holders if holder.job.id != victim.job.id]

    def _list_victims(self, capacity: HostCapacity, job: QueuedJob, rank: int) -> Sequence[Holder]:
        if not self._ranks.settings.preemption or not capacity.holders or capacity.holders[0].rank <= rank:
            return ()
        return choose_victims(
            capacity.holders,
            rank=rank,
            gpus=_missing(capacity, job),
            suits=lambda gpu: suits(gpu, job),
            ranks=self._ranks,
        )


def _choose_needed(
    victims: Iterable[Sequence[Holder]], capacities: Sequence[HostCapacity], member: QueuedJob, *, count: int
) -> Set[JobId]:
    """The victims without which fewer than the needed number of hosts would have enough GPUs.

    A job over several hosts frees GPUs on all of them, so victims found for a single host may be spared.
    """
    first_to_go = {holder.job.id: holder for of_one in victims for holder in of_one}.values()
    told = {holder.job.id for holder in first_to_go}
    for holder in sorted(first_to_go, key=in_order_to_go, reverse=True):
        without = told - {holder.job.id}
        if sum(_missing(capacity, member, told=without) <= 0 for capacity in capacities) >= count:
            told = without
    return told


def _missing(capacity: HostCapacity, job: QueuedJob, *, told: Set[JobId] = frozenset()) -> int:
    """How many GPUs the job lacks on a host once all leaving jobs, and the jobs in `told`, have left."""
    missing = capacity.need(job) - count_suited(capacity.free, job) - count_suited(capacity.leaving, job)
    if told:
        missing -= sum(
            count_suited(holder.frees, job) for holder in capacity.holders if holder.job.id in told
        )
    return missing


def _cost(victims: Sequence[Holder]) -> tuple[int, int, int]:
    freed = sum(len(victim.frees) for victim in victims)
    return -min(victim.rank for victim in victims), freed, len(victims)
