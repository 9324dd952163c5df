"""What holds of every plan, in random situations and over random histories."""

from collections import defaultdict
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.domain.jobs import JobId
from service.domain.states import URGENCY, Priority
from service.scheduler.policy.decisions import Plan
from service.scheduler.policy.planner import plan
from service.scheduler.policy.situation import Host, Owner, QueuedJob, RunningJob, Snapshot
from tests.benchmarks.simulation.engine import Costs, Simulation
from tests.benchmarks.simulation.trace import Cluster, TraceJob
from tests.properties import examples
from tests.unit.policy_cases import NOW, ago, host, queued, running

OWNERS = ("ada", "bob", "eve")
MODELS = ("A100", "H200")
bounded = settings(max_examples=examples(200), derandomize=True, deadline=None)
pytestmark = pytest.mark.property


@st.composite
def hosts(draw: st.DrawFn) -> list[Host]:
    made = []
    for name in ("a", "b", "c")[: draw(st.integers(1, 3))]:
        gpus = draw(st.integers(1, 8))
        unusable = draw(st.integers(0, 1))
        model, memory_mib = draw(st.sampled_from(MODELS)), draw(st.sampled_from((0, 16_000, 80_000)))
        made.append(host(name, gpus, unusable=min(unusable, gpus), model=model, memory_mib=memory_mib))
    return made


@st.composite
def running_on(draw: Any, there: list[Host], owners: tuple[str, ...] = OWNERS) -> list[RunningJob]:
    made: list[RunningJob] = []
    for one in there:
        left = [gpu.uuid for gpu in one.gpus]
        while draw(st.booleans()) and left:
            count = draw(st.integers(1, len(left)))
            held = draw(st.floats(0, 200_000))
            made.append(
                RunningJob(
                    id=JobId(1000 + len(made)),
                    owner=draw(st.sampled_from(owners)),
                    host_name=one.name,
                    gpu_uuids=tuple(left[:count]),
                    submitted_at=ago(held + 10),
                    queued_at=ago(held + draw(st.sampled_from((1.0, 300_000.0)))),
                    started_at=ago(held),
                    priority=draw(st.sampled_from(Priority)),
                    attained_gpu_seconds=held * count,
                    gittins_seconds=draw(st.none() | st.floats(1, 1e6)),
                    limit_seconds=draw(st.none() | st.floats(0, 1e5)),
                    preempted_at=tuple(ago(60 * n) for n in range(draw(st.sampled_from((0, 6))), 0, -1)),
                    stopping=draw(st.booleans()),
                )
            )
            left = left[count:]
    return made


@st.composite
def queued_jobs(draw: st.DrawFn, owners: tuple[str, ...] = OWNERS) -> list[QueuedJob]:
    made: list[QueuedJob] = []
    for number in range(draw(st.integers(0, 10))):
        waited = draw(st.integers(0, 400_000))
        made.append(
            QueuedJob(
                id=JobId(number + 1),
                owner=draw(st.sampled_from(owners)),
                gpus=draw(st.integers(1, 9)),
                submitted_at=ago(waited),
                queued_at=ago(waited),
                priority=draw(st.sampled_from(Priority)),
                attained_gpu_seconds=draw(st.sampled_from((0.0, 500.0, 5_000.0, 1e6))),
                gittins_seconds=draw(st.none() | st.floats(1, 1e6)),
                limit_seconds=draw(st.none() | st.floats(1, 1e5)),
                exclusive=draw(st.integers(0, 4)) == 0,
                gpu_model=draw(st.sampled_from((None, None, *MODELS))),
                memory_mib=draw(st.sampled_from((0, 8_000, 30_000))),
                host=draw(st.sampled_from((None, None, None, "a", "z"))),
                not_before=draw(st.sampled_from((None, None, NOW + timedelta(hours=1)))),
            )
        )
    return [over_hosts(job, draw(st.sampled_from((1, 1, 1, 2, 3)))) for job in made]


def over_hosts(job: QueuedJob, count: int) -> QueuedJob:
    """The job over so many hosts, where it asks for nothing that forbids it."""
    if job.exclusive or job.host:
        return job
    return replace(job, hosts=count, gpus=count * max(1, job.gpus // count))


def join_some(draw: Any, made: list[RunningJob]) -> list[RunningJob]:
    """Make one job over two hosts of the first two that are on different ones, now and then."""
    pairs = [(a, b) for a in made for b in made if a.host_name < b.host_name]
    if not pairs or draw(st.booleans()):
        return made
    first, second = pairs[0]
    uuids = (*first.gpu_uuids, *second.gpu_uuids)
    joined = replace(first, gpu_uuids=uuids, other_hosts=(second.host_name,))
    return [joined, *(job for job in made if job not in (first, second))]


@st.composite
def snapshots(draw: st.DrawFn, owners: tuple[str, ...] = OWNERS, *, joined: bool = True) -> Snapshot:
    there = draw(hosts())
    held = draw(running_on(there, owners))
    quota = st.none() | st.integers(0, 12)
    return Snapshot(
        queued=draw(queued_jobs(owners)),
        running=join_some(draw, held) if joined else held,
        hosts=there,
        owners={
            name: Owner(
                weight=draw(st.sampled_from((1.0, 3.0))),
                used_gpu_seconds=draw(st.floats(0, 1e7)),
                quota_gpus=draw(quota),
            )
            for name in owners
        },
    )


def assert_sound(situation: Snapshot, made: Plan) -> None:
    """No GPU twice, none that is held or unusable, no quota exceeded, every wish kept, nobody forgotten."""
    jobs = {job.id: job for job in situation.queued}
    gpus = {gpu.uuid: (one.name, gpu) for one in situation.hosts for gpu in one.gpus}
    held = {uuid for job in situation.running for uuid in job.gpu_uuids}
    holding: dict[str, int] = defaultdict(int)
    for other in situation.running:
        holding[other.owner] += other.gpus
    for placement in made.placements:
        job = jobs[placement.job_id]
        assert len(set(placement.gpu_uuids)) == job.gpus
        assert not held & set(placement.gpu_uuids)
        held |= set(placement.gpu_uuids)
        names = [gpus[uuid][0] for uuid in placement.gpu_uuids]
        assert set(names) == {placement.host_name, *placement.other_hosts}
        assert {names.count(name) for name in names} == {job.gpus // job.hosts}
        assert all(gpus[uuid][1].usable for uuid in placement.gpu_uuids)
        assert job.gpu_model is None or {gpus[uuid][1].model for uuid in placement.gpu_uuids} == {
            job.gpu_model
        }
        sizes = {gpus[uuid][1].memory_mib for uuid in placement.gpu_uuids} - {0}
        assert job.memory_mib <= min(sizes, default=job.memory_mib)
        assert job.host in (None, placement.host_name)
        holding[job.owner] += job.gpus
        quota = situation.owners.get(job.owner, Owner()).quota_gpus
        assert quota is None or holding[job.owner] <= quota
        if job.exclusive:
            there = {uuid for one in situation.running for uuid in one.gpu_uuids if gpus[uuid][1].usable}
            there |= {uuid for one in made.placements if one is not placement for uuid in one.gpu_uuids}
            assert placement.host_name not in {gpus[uuid][0] for uuid in there}
    told = [placement.job_id for placement in made.placements] + [one.job_id for one in made.waiting]
    assert sorted(told) == sorted(jobs)


@bounded
@given(situation=snapshots())
def test_a_plan_is_sound_and_depends_on_nothing_but_the_situation(situation: Snapshot) -> None:
    made = plan(situation, NOW)
    assert_sound(situation, made)
    assert plan(situation, NOW) == made
    turned = replace(situation, queued=situation.queued[::-1], running=situation.running[::-1])
    again = plan(turned, NOW)
    assert (again.placements, again.preemptions) == (made.placements, made.preemptions)


@bounded
@given(situation=snapshots())
def test_every_stop_is_needed_and_makes_room_for_somebody_better_off_with_it(situation: Snapshot) -> None:
    made = plan(situation, NOW)
    running = {job.id: job for job in situation.running}
    jobs = {job.id: job for job in situation.queued}
    victims = [preemption.job_id for preemption in made.preemptions]
    assert len(victims) == len(set(victims))
    assert not any(running[number].stopping for number in victims)
    usable = {gpu.uuid for one in situation.hosts for gpu in one.gpus if gpu.usable}
    for number in {preemption.for_job_id for preemption in made.preemptions}:
        mine = [running[one.job_id] for one in made.preemptions if one.for_job_id == number]
        places = [{job.host_name, *job.other_hosts} for job in mine]
        assert jobs[number].hosts > 1 or set.intersection(*places)
        assert all(URGENCY[job.priority] <= URGENCY[jobs[number].priority] for job in mine)
        assert all(set(job.gpu_uuids) & usable for job in mine)


@bounded
@given(situation=snapshots(("ada",), joined=False), gpus=st.integers(1, 8))
def test_one_waiting_job_stops_the_fewest_that_make_room(situation: Snapshot, gpus: int) -> None:
    job = QueuedJob(id=JobId(1), owner="ada", gpus=gpus, submitted_at=ago(9), queued_at=ago(9))
    alone = replace(situation, queued=[job], owners={})
    made = plan(alone, NOW)
    running = {one.id: one for one in situation.running}
    victims = [running[preemption.job_id] for preemption in made.preemptions]
    if not victims:
        return
    there = next(one for one in situation.hosts if one.name == victims[0].host_name)
    usable = {gpu.uuid for gpu in there.gpus if gpu.usable}
    kept = {uuid for one in situation.running if not one.stopping for uuid in one.gpu_uuids}
    room = len(usable - kept)
    freed = [len(usable & set(one.gpu_uuids)) for one in victims]
    assert room < gpus <= room + sum(freed)
    assert all(room + sum(freed) - count < gpus for count in freed)


@st.composite
def crowds(draw: st.DrawFn) -> Snapshot:
    """Three full hosts, most of whose jobs are over two of them."""
    there = [host(name, 3) for name in ("a", "b", "c")]
    made: list[RunningJob] = []
    left = {one.name: [gpu.uuid for gpu in one.gpus] for one in there}
    while names := [name for name in left if left[name]]:
        on = draw(st.permutations(names))[: draw(st.sampled_from((1, 2, 2)))]
        count = draw(st.integers(1, min(len(left[name]) for name in on)))
        made.append(
            running(
                100 + len(made),
                on[0],
                [],
                gpu_uuids=tuple(left[name].pop() for name in on for _ in range(count)),
                other_hosts=tuple(on[1:]),
                held_seconds=draw(st.integers(0, 900)),
                priority=draw(st.sampled_from((Priority.LOW, Priority.NORMAL))),
            )
        )
    return Snapshot(queued=[], hosts=there, running=made)


@bounded
@given(situation=crowds(), count=st.integers(2, 3), each=st.integers(1, 3))
def test_a_job_over_hosts_stops_nobody_without_whom_it_has_room(
    situation: Snapshot, count: int, each: int
) -> None:
    job = queued(1, count * each, hosts=count, priority=Priority.HIGH)
    made = plan(replace(situation, queued=[job]), NOW)
    stopped = {preemption.job_id for preemption in made.preemptions}

    def has_room(*, told: set[JobId]) -> bool:
        held = {uuid for one in situation.running if one.id not in told for uuid in one.gpu_uuids}
        free = [sum(gpu.uuid not in held for gpu in one.gpus) for one in situation.hosts]
        return sum(number >= each for number in free) >= count

    assert has_room(told=stopped)
    assert not any(has_room(told=stopped - {number}) for number in stopped)


@bounded
@given(situation=snapshots(("ada",)))
def test_lower_classes_change_nothing_for_a_higher_one(situation: Snapshot) -> None:
    situation = replace(situation, owners={})
    high = {job.id for job in situation.queued if job.priority is Priority.HIGH}
    only = replace(situation, queued=[job for job in situation.queued if job.id in high])
    made, alone = plan(situation, NOW), plan(only, NOW)
    assert [one for one in made.placements if one.job_id in high] == alone.placements
    assert [one for one in made.preemptions if one.for_job_id in high] == alone.preemptions


@bounded
@given(there=hosts(), gpus=st.integers(1, 8), data=st.data())
def test_a_high_job_never_waits_for_gpus_that_lower_ones_hold(
    there: list[Host], gpus: int, data: st.DataObject
) -> None:
    lower = [replace(job, priority=Priority.NORMAL) for job in data.draw(running_on(there))]
    job = QueuedJob(
        id=JobId(1), owner="eve", gpus=gpus, submitted_at=NOW, queued_at=NOW, priority=Priority.HIGH
    )
    made = plan(Snapshot(queued=[job], hosts=there, running=lower), NOW)
    if max(sum(gpu.usable for gpu in one.gpus) for one in there) >= gpus:
        assert made.placements or "as soon as the jobs told to stop" in made.waiting[0].reason


@bounded
@given(situation=snapshots())
def test_no_gpu_stays_free_that_nothing_is_kept_for(situation: Snapshot) -> None:
    singles = [replace(job, gpus=1, hosts=1, exclusive=False) for job in situation.queued]
    situation = replace(situation, queued=singles, owners={})
    made = plan(situation, NOW)
    taken = {uuid for one in made.placements for uuid in one.gpu_uuids}
    taken |= {uuid for one in situation.running for uuid in one.gpu_uuids}
    free = {
        (one.name, gpu.model, gpu.memory_mib)
        for one in situation.hosts
        for gpu in one.gpus
        if gpu.usable and gpu.uuid not in taken
    }
    placed = {one.job_id for one in made.placements}
    for job in singles:
        if job.id not in placed and job.not_before is None:
            assert not any(
                job.host in (None, name)
                and job.gpu_model in (None, model)
                and (not memory_mib or job.memory_mib <= memory_mib)
                for name, model, memory_mib in free
            )


@st.composite
def traces(draw: st.DrawFn) -> list[TraceJob]:
    return [
        TraceJob(
            id=JobId(number + 1),
            submitted_at=NOW + timedelta(seconds=draw(st.integers(0, 20_000))),
            seconds=draw(st.sampled_from((1.0, 60.0, 3_000.0, 40_000.0))),
            gpus=draw(st.sampled_from((1, 1, 2, 4))),
            owner=draw(st.sampled_from(OWNERS)),
            priority=draw(st.sampled_from(Priority)),
        )
        for number in range(draw(st.integers(1, 25)))
    ]


@settings(max_examples=60, derandomize=True, deadline=None)
@given(trace=traces())
def test_over_a_history_all_jobs_end_no_gpu_is_shared_and_no_work_is_lost(trace: list[TraceJob]) -> None:
    costs = Costs()

    def watch(situation: Snapshot, made: Plan, now: datetime) -> None:
        held = [uuid for job in situation.running for uuid in job.gpu_uuids]
        assert len(held) == len(set(held))
        assert_sound(situation, made)

    owners = {"ada": Owner(quota_gpus=4)}
    cluster = Cluster(hosts=2, gpus_per_host=4)
    done = Simulation(cluster=cluster, policy=plan, costs=costs, owners=owners, watch=watch).run(trace)
    assert len(done) == len(trace)
    for job in done:
        lost = job.preemptions * costs.stop_seconds + (job.attempts - 1) * costs.resume_seconds
        assert job.ended_at
        assert job.attempts == job.preemptions + 1
        assert job.job.seconds * job.job.gpus <= job.attained_gpu_seconds + 0.01
        assert job.attained_gpu_seconds <= (job.job.seconds + lost) * job.job.gpus + 0.01
