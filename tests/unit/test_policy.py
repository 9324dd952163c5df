"""What the policy decides in single situations, and what it says to those who wait."""

from datetime import timedelta

import pytest

from service.domain.jobs import JobId
from service.domain.states import JobState, Priority
from service.scheduler.policy.decisions import Plan
from service.scheduler.policy.planner import plan
from service.scheduler.policy.settings import PolicySettings
from service.scheduler.policy.situation import Host, HostGpu, Owner, QueuedJob
from tests.unit.policy_cases import NOW, ago, host, queue, queued, running, snapshot

LATE = 10_000.0  # attained GPU-seconds far beyond the first band
FULL = [running(number, "a", [number - 1], attained_gpu_seconds=LATE) for number in (1, 2, 3, 4)]


def placed(made: Plan) -> dict[int, tuple[str, ...]]:
    return {placement.job_id: placement.gpu_uuids for placement in made.placements}


def stopped(made: Plan) -> list[int]:
    return [preemption.job_id for preemption in made.preemptions]


def reason(made: Plan, number: int) -> str:
    return next(waiting.reason for waiting in made.waiting if waiting.job_id == number)


def test_jobs_are_placed_in_the_order_of_submission() -> None:
    made = plan(snapshot(queue(1, 1, 1), [host("a", 2)]), NOW)
    assert placed(made) == {1: ("a-0",), 2: ("a-1",)}
    assert [waiting.job_id for waiting in made.waiting] == [3]


def test_a_gang_that_does_not_fit_keeps_the_free_gpus_from_those_behind_it() -> None:
    fresh = running(9, "a", [1], held_seconds=5)
    made = plan(snapshot(queue(2, 1), [host("a", 2)], running=[fresh]), NOW)
    assert placed(made) == {}
    assert [waiting.reason for waiting in made.waiting] == [
        "waits for 2 GPUs on one host: 1 free on a; first in line",
        "waits for job 1, which needs 2 GPUs and goes first; place 2 in line",
    ]


def test_a_job_that_ends_in_time_passes_a_gang_and_a_longer_one_does_not() -> None:
    limited = running(9, "a", [1], held_seconds=5, limit_seconds=100.0)
    short, long = (queued(number, limit_seconds=seconds) for number, seconds in ((2, 90.0), (3, 110.0)))
    made = plan(snapshot([queued(1, 2), long], [host("a", 2)], running=[limited]), NOW)
    assert placed(made) == {}
    made = plan(snapshot([queued(1, 2), short], [host("a", 2)], running=[limited]), NOW)
    assert list(placed(made)) == [2]


def test_all_gpus_of_a_job_are_on_one_host() -> None:
    busy = [running(8, "a", [1], held_seconds=1), running(9, "b", [1], held_seconds=1)]
    assert placed(plan(snapshot(queue(2), [host("a", 2), host("b", 2)], running=busy), NOW)) == {}


def test_the_host_that_fits_most_tightly_is_taken() -> None:
    made = plan(snapshot(queue(2), [host("a", 4), host("b", 2), host("c", 3)]), NOW)
    assert made.placements[0].host_name == "b"


def test_a_named_host_and_a_gpu_model_are_kept_to() -> None:
    hosts = [host("a", 2, model="A100"), host("b", 4, model="H200")]
    made = plan(snapshot([queued(1, host="b"), queued(2, gpu_model="H200")], hosts), NOW)
    assert [placement.host_name for placement in made.placements] == ["b", "b"]
    made = plan(snapshot([queued(1, 3, gpu_model="A100"), queued(2, host="c")], hosts), NOW)
    assert reason(made, 1) == (
        "waits for 3 GPUs of model A100 on one host: a, the largest host that is up, has 2 usable"
    )
    assert reason(made, 2) == "waits for host c: its worker is not running"


def test_a_job_gets_gpus_with_memory_enough_for_it_only() -> None:
    hosts = [host("a", 2, memory_mib=16_000), host("b", 4, memory_mib=80_000)]
    large, small = queued(1, memory_mib=30_000), queued(2, memory_mib=8_000)
    made = plan(snapshot([large, small], hosts), NOW)
    assert [placement.host_name for placement in made.placements] == ["b", "a"]


def test_a_smaller_job_starts_where_one_waits_that_needs_more_memory_than_is_free() -> None:
    hosts = [host("a", 1, memory_mib=16_000), host("b", 1, memory_mib=80_000)]
    held = running(9, "b", [0], held_seconds=1)
    made = plan(
        snapshot([queued(1, memory_mib=30_000), queued(2, memory_mib=8_000)], hosts, running=[held]), NOW
    )
    assert placed(made) == {2: ("a-0",)}


def test_a_job_that_needs_more_memory_than_is_there_says_so() -> None:
    hosts = [host("a", 2, memory_mib=16_000), host("b", 1, memory_mib=80_000)]
    made = plan(snapshot([queued(1, 2, memory_mib=30_000)], hosts), NOW)
    assert reason(made, 1) == ("waits for 2 GPUs on one host: b, the largest host that is up, has 1 usable")
    made = plan(snapshot([queued(1, memory_mib=90_000)], hosts[:1]), NOW)
    assert reason(made, 1) == (
        "waits for 1 GPU on one host: a, the largest host that is up, has 0 usable; "
        "2 have too little memory: the job may need 90,000 MiB on each"
    )


def test_of_one_host_a_job_gets_the_smallest_gpus_that_are_large_enough() -> None:
    sizes = (80_000, 24_000, 24_000)
    mixed = Host(name="a", gpus=tuple(HostGpu(uuid=f"a-{n}", memory_mib=mib) for n, mib in enumerate(sizes)))
    made = plan(snapshot([queued(1, memory_mib=2_000), queued(2, memory_mib=50_000)], [mixed]), NOW)
    assert placed(made) == {1: ("a-1",), 2: ("a-0",)}


def test_a_start_is_guessed_from_gpus_that_are_large_enough() -> None:
    hosts = [host("a", 1, memory_mib=16_000), host("b", 1, memory_mib=80_000)]
    soon = running(8, "a", [0], held_seconds=1, expected_seconds=60.0)
    late = running(9, "b", [0], held_seconds=1, expected_seconds=700.0)
    made = plan(snapshot([queued(1, memory_mib=30_000)], hosts, running=[soon, late]), NOW)
    assert made.waiting[0].estimated_start_at == NOW + timedelta(seconds=700)


def test_gpus_used_from_outside_the_queue_get_no_job() -> None:
    made = plan(snapshot(queue(1, 1), [host("a", 2, unusable=1)]), NOW)
    assert placed(made) == {1: ("a-0",)}


def test_an_exclusive_job_shares_its_host_with_nobody() -> None:
    alone = queued(1, exclusive=True)
    hosts = [host("a", 2), host("b", 2)]
    made = plan(snapshot([alone, queued(2)], hosts, running=[running(9, "a", [0])]), NOW)
    assert placed(made) == {1: ("b-0",), 2: ("a-1",)}
    holds_b = running(1, "b", [0], exclusive=True)
    made = plan(snapshot(queue(1, 1, 1), hosts, running=[holds_b]), NOW)
    assert all(uuid.startswith("a-") for uuids in placed(made).values() for uuid in uuids)


def test_a_job_waits_for_the_jobs_it_comes_after_and_for_its_time() -> None:
    later = NOW + timedelta(hours=1)
    made = plan(
        snapshot(
            [queued(1, unmet={JobId(7): JobState.RUNNING}), queued(2, not_before=later)], [host("a", 2)]
        ),
        NOW,
    )
    assert placed(made) == {}
    assert reason(made, 1) == "waits for job 7 to succeed"
    assert reason(made, 2) == "waits until 2026-01-01 01:00:00 UTC, as asked with --not-before"
    assert made.wake_at == later + timedelta(microseconds=1)


def test_nobody_gets_more_gpus_at_once_than_the_quota_allows() -> None:
    owners = {"ada": Owner(quota_gpus=2)}
    jobs = [*queue(1, 1), queued(3, owner="bob")]
    made = plan(snapshot(jobs, [host("a", 4)], running=[running(9, "a", [0])], owners=owners), NOW)
    assert sorted(placed(made)) == [1, 3]
    assert reason(made, 2) == "waits for the quota: ada may hold 2 GPUs at once and holds 2"


def test_a_new_job_stops_the_one_that_has_had_most_and_stays_meant_for_its_gpus() -> None:
    hosts = [host("a", 4)]
    most = [*FULL[:3], running(4, "a", [3], attained_gpu_seconds=100 * LATE)]
    made = plan(snapshot([queued(7)], hosts, running=most), NOW)
    assert (placed(made), stopped(made)) == ({}, [4])
    stopping = [*FULL[:3], running(4, "a", [3], attained_gpu_seconds=100 * LATE, stopping=True)]
    made = plan(snapshot([queued(7), queued(8)], hosts, running=stopping), NOW)
    assert len(stopped(made)) == 1  # for job 8: what job 4 holds is meant for job 7
    assert made.preemptions[0].for_job_id == 8
    assert reason(made, 7) == "starts on a as soon as the jobs told to stop have stopped"


@pytest.mark.parametrize(
    "safe",
    [
        {"held_seconds": 20},
        {"preempted_at": tuple(ago(minutes * 60) for minutes in range(50, 44, -1))},
        {"priority": Priority.HIGH},
        {"attained_gpu_seconds": 100.0},
    ],
    ids=["within the quantum", "stopped often enough this hour", "of a higher class", "of the first band"],
)
def test_a_job_is_not_stopped_while_it_is(safe: dict[str, object]) -> None:
    fields = {"attained_gpu_seconds": LATE, **safe}
    one = running(1, "a", [0], **fields)  # type: ignore[arg-type]
    assert stopped(plan(snapshot([queued(7)], [host("a", 1)], running=[one]), NOW)) == []


def test_a_higher_class_waits_for_no_quantum() -> None:
    fresh = running(1, "a", [0], held_seconds=1)
    made = plan(snapshot([queued(7, priority=Priority.HIGH)], [host("a", 1)], running=[fresh]), NOW)
    assert stopped(made) == [1]


def test_nobody_is_stopped_where_that_would_not_make_room() -> None:
    mixed = [*FULL[:3], running(4, "a", [3], held_seconds=5)]
    assert stopped(plan(snapshot([queued(7, 4)], [host("a", 4)], running=mixed), NOW)) == []


def test_a_job_that_has_waited_for_longer_than_the_patience_goes_first() -> None:
    old = queued(1, attained_gpu_seconds=LATE * 100, queued_at=ago(86_400 * 3), submitted_at=ago(86_400 * 9))
    assert list(placed(plan(snapshot([old, queued(2)], [host("a", 1)]), NOW))) == [1]
    impatient = queued(1, attained_gpu_seconds=LATE * 100, submitted_at=ago(86_400 * 9))
    assert list(placed(plan(snapshot([impatient, queued(2)], [host("a", 1)]), NOW))) == [2]


def test_of_jobs_that_have_run_before_the_one_that_will_end_sooner_goes_first() -> None:
    long, short = (queued(n, attained_gpu_seconds=LATE, gittins_seconds=p) for n, p in ((1, 9e4), (2, 60.0)))
    assert list(placed(plan(snapshot([long, short], [host("a", 1)]), NOW))) == [2]


def test_who_holds_more_than_their_share_gives_way_to_who_holds_less() -> None:
    fresh = [running(number, "a", [number - 1], held_seconds=31) for number in (1, 2, 3, 4)]
    made = plan(snapshot([queued(7, owner="bob")], [host("a", 4)], running=fresh), NOW)
    assert len(stopped(made)) == 1
    made = plan(snapshot([queued(7, owner="ada")], [host("a", 4)], running=fresh), NOW)
    assert stopped(made) == []


def test_without_a_host_the_reason_says_how_to_start_one() -> None:
    assert "no worker is running" in reason(plan(snapshot(queue(1), []), NOW), 1)


def test_a_job_that_no_host_could_hold_lets_those_behind_it_pass() -> None:
    made = plan(snapshot(queue(4, 2), [host("a", 3)]), NOW)
    assert list(placed(made)) == [2]
    assert reason(made, 1) == "waits for 4 GPUs on one host: a, the largest host that is up, has 3 usable"


def test_a_start_is_estimated_from_what_is_expected_of_those_who_run() -> None:
    one = running(1, "a", [0], held_seconds=5, expected_seconds=300.0)
    made = plan(snapshot([queued(7), queued(8, expected_seconds=60.0)], [host("a", 1)], running=[one]), NOW)
    assert made.waiting[0].estimated_start_at == NOW + timedelta(seconds=300)


def test_without_preemption_nobody_is_stopped() -> None:
    settings = PolicySettings(preemption=False)
    jobs: list[QueuedJob] = [queued(7, priority=Priority.HIGH)]
    assert stopped(plan(snapshot(jobs, [host("a", 4)], running=FULL), NOW, settings=settings)) == []


def test_a_small_victim_is_spared_when_a_large_one_makes_room_alone() -> None:
    small = running(1, "a", [0], attained_gpu_seconds=100 * LATE)
    large = running(2, "a", [1, 2, 3, 4], attained_gpu_seconds=10 * LATE)
    made = plan(snapshot([queued(7, 4)], [host("a", 5)], running=[small, large]), NOW)
    assert stopped(made) == [2]


def test_a_job_of_several_gpus_gets_no_mig_instance_and_says_so() -> None:
    split = Host(name="a", gpus=tuple(HostGpu(uuid=f"a-{n}", mig=n < 3) for n in range(4)))
    gang, alone = queued(1, 2), queued(2, 4, exclusive=True)
    made = plan(snapshot([gang, alone], [split]), NOW)
    assert reason(made, 1) == (
        "waits for 2 GPUs on one host: a, the largest host that is up, has 1 usable; "
        "its 3 MIG instances take jobs on one GPU only"
    )
    assert "MIG" in reason(made, 2)
    small = plan(snapshot(queue(1, 1, 1, 1), [split]), NOW)
    assert len(small.placements) == 4
    whole = Host(name="b", gpus=(*split.gpus, HostGpu(uuid="b-4")))
    assert placed(plan(snapshot([gang], [whole]), NOW)) == {1: ("a-3", "b-4")}
