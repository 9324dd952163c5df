"""Jobs over several hosts: all or nothing, even shares, and nobody starves them."""

from dataclasses import replace

from service.domain.jobs import JobId
from service.domain.states import Priority
from service.scheduler.policy.decisions import Placement
from service.scheduler.policy.planner import plan
from service.scheduler.policy.settings import PolicySettings
from service.scheduler.policy.situation import Host
from tests.unit.policy_cases import NOW, host, queued, running, snapshot

WITHOUT_PREEMPTION = PolicySettings(preemption=False)


def test_each_host_gives_the_same_share_and_the_tightest_hosts_give_it() -> None:
    job = queued(1, 4, hosts=2)
    made = plan(snapshot([job], [host("a", 8), host("b", 2), host("c", 3)]), NOW)
    assert made.placements == [
        Placement(job_id=job.id, host_name="b", gpu_uuids=("b-0", "b-1", "c-0", "c-1"), other_hosts=("c",))
    ]


def test_it_starts_only_when_every_host_has_its_share() -> None:
    held = running(9, "b", [0])
    made = plan(
        snapshot([queued(1, 4, hosts=2)], [host("a", 8), host("b", 2)], running=[held]),
        NOW,
        settings=WITHOUT_PREEMPTION,
    )
    assert made.placements == []
    (waiting,) = made.waiting
    assert waiting.reason == "waits for 2 GPUs on each of 2 hosts: 8 free on a, 1 free on b; first in line"


def test_too_few_hosts_of_the_size_are_named() -> None:
    (waiting,) = plan(snapshot([queued(1, 4, hosts=2)], [host("a", 8), host("b", 1)]), NOW).waiting
    assert waiting.reason == "waits for 2 hosts with 2 GPUs each: only a can give them"


def with_unusable(made: Host, *numbers: int) -> Host:
    """The host with these GPUs drained."""
    return replace(
        made,
        gpus=tuple(
            replace(gpu, usable=False, why=f"GPU {number} is drained") if number in numbers else gpu
            for number, gpu in enumerate(made.gpus)
        ),
    )


def test_gpus_out_of_use_are_named_with_their_host_where_it_would_be_large_enough_with_them() -> None:
    job = queued(1, 4, hosts=2)
    there = [
        with_unusable(host("a", 4), 0),
        with_unusable(host("b", 2), 1),
        with_unusable(host("c", 1), 0),
    ]
    (waiting,) = plan(snapshot([job], there), NOW).waiting
    assert waiting.reason == (
        "waits for 2 hosts with 2 GPUs each: only a can give them; on b: GPU 1 is drained"
    )
    held = running(9, "d", [0, 1])
    (waiting,) = plan(
        snapshot([job], [*there, host("d", 2)], running=[held]), NOW, settings=WITHOUT_PREEMPTION
    ).waiting
    assert waiting.reason == (
        "waits for 2 GPUs on each of 2 hosts: 3 free on a, 0 free on d; first in line; "
        "on a: GPU 0 is drained; on b: GPU 1 is drained"
    )


def test_mig_instances_are_named_where_they_keep_a_host_from_being_one_of_several() -> None:
    instances = host("b", 3)
    instances = replace(instances, gpus=tuple(replace(gpu, mig=True) for gpu in instances.gpus))
    (waiting,) = plan(snapshot([queued(1, 4, hosts=2)], [host("a", 2), instances]), NOW).waiting
    assert waiting.reason.endswith("; on b: its 3 MIG instances take jobs on one GPU only")


def test_what_becomes_free_on_one_host_is_kept_until_the_other_has_its_share_too() -> None:
    gang, small = queued(1, 4, hosts=2), queued(2, 1)
    made = plan(
        snapshot([gang, small], [host("a", 2), host("b", 2)], running=[running(9, "b", [0, 1])]),
        NOW,
        settings=WITHOUT_PREEMPTION,
    )
    assert made.placements == []


def test_a_small_job_that_will_have_ended_in_time_may_use_what_is_kept() -> None:
    gang, small = queued(1, 4, hosts=2), queued(2, 1, limit_seconds=60)
    held = running(9, "b", [0, 1], limit_seconds=600)
    made = plan(
        snapshot([gang, small], [host("a", 2), host("b", 2)], running=[held]),
        NOW,
        settings=WITHOUT_PREEMPTION,
    )
    assert [placement.job_id for placement in made.placements] == [small.id]


def test_others_are_stopped_on_every_host_where_that_makes_room_and_else_on_none() -> None:
    urgent = queued(1, 4, hosts=2, priority=Priority.HIGH)
    there = [host("a", 2), host("b", 2)]
    low = [running(8, "a", [0, 1]), running(9, "b", [0])]
    made = plan(snapshot([urgent], there, running=low), NOW)
    assert {one.job_id for one in made.preemptions} == {8, 9}
    assert "starts on a and b" in made.waiting[0].reason or "starts on b and a" in made.waiting[0].reason
    firm = [low[0], running(9, "b", [0], priority=Priority.HIGH, held_seconds=1)]
    assert plan(snapshot([urgent], there, running=firm), NOW).preemptions == []


def test_a_job_over_hosts_is_stopped_once_and_frees_the_gpus_of_all() -> None:
    wide = running(9, "a", [0, 1], other_hosts=("b",), gpu_uuids=("a-0", "a-1", "b-0", "b-1"))
    urgent = [queued(n, 2, priority=Priority.HIGH) for n in (1, 2)]
    made = plan(snapshot(urgent, [host("a", 2), host("b", 2)], running=[wide]), NOW)
    assert [one.job_id for one in made.preemptions] == [JobId(9)]
    assert all("as soon as the jobs told to stop" in one.reason for one in made.waiting)


def test_nobody_is_stopped_for_room_that_a_job_over_several_hosts_makes_alone() -> None:
    urgent = queued(1, 4, hosts=2, priority=Priority.HIGH)
    there = [host("a", 2), host("b", 2), host("c", 2)]
    wide = running(8, "a", [0, 1], other_hosts=("b",), gpu_uuids=("a-0", "a-1", "b-0", "b-1"))
    last = running(9, "c", [0, 1], held_seconds=1, priority=Priority.LOW)
    made = plan(snapshot([urgent], there, running=[wide, last]), NOW)
    assert [one.job_id for one in made.preemptions] == [wide.id]
    assert "starts on a and b" in made.waiting[0].reason


def test_of_two_jobs_that_would_make_room_on_a_host_each_the_one_that_makes_it_on_both_is_enough() -> None:
    urgent = queued(1, 4, hosts=2, priority=Priority.HIGH)
    wide = running(8, "a", [0, 1], other_hosts=("b",), gpu_uuids=("a-0", "a-1", "b-0", "b-1"))
    last = running(9, "a", [2, 3], held_seconds=1, priority=Priority.LOW)
    made = plan(snapshot([urgent], [host("a", 4), host("b", 2)], running=[wide, last]), NOW)
    assert [one.job_id for one in made.preemptions] == [wide.id]


def test_a_host_with_too_little_memory_for_its_share_is_named() -> None:
    hosts = [host("a", 1, memory_mib=80_000), host("b", 1, memory_mib=40_000)]
    made = plan(snapshot([queued(1, 2, hosts=2, memory_mib=50_000)], hosts), NOW)
    assert made.waiting[0].reason == (
        "waits for 2 hosts with 1 GPU each: only a can give them; "
        "on b: 1 has too little memory: the job may need 50,000 MiB on each"
    )
