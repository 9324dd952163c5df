"""First come, first served, all or nothing, with a reason for everybody who waits."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from service.domain.jobs import JobId
from service.domain.states import Priority
from service.domain.terms import Terms
from service.scheduler.policy import Host, HostGpu, QueuedJob, Snapshot, plan


def queue(*gpus: int) -> list[QueuedJob]:
    return [QueuedJob(id=JobId(number), gpus=count) for number, count in enumerate(gpus, start=1)]


def ask(number: int, gpus: int = 1, owner: str = "ada", **terms: Any) -> QueuedJob:
    return QueuedJob(id=JobId(number), gpus=gpus, owner=owner, terms=Terms(**terms))


def host(name: str, free: int, total: int | None = None, model: str = "NVIDIA H200") -> Host:
    count = free if total is None else total
    gpus = (HostGpu(uuid=f"{name}-{n}", model=model, free=n < free) for n in range(count))
    return Host(name=name, gpus=tuple(gpus))


def starts(*queued: QueuedJob, hosts: list[Host], **rest: Any) -> list[int]:
    return [placement.job_id for placement in plan(Snapshot(queued=queued, hosts=hosts, **rest)).placements]


def reason(*queued: QueuedJob, hosts: list[Host], **rest: Any) -> str:
    """What the last of these waits for."""
    waiting = plan(Snapshot(queued=queued, hosts=hosts, **rest)).waiting
    return next(one.reason for one in waiting if one.job_id == queued[-1].id)


def test_jobs_are_placed_in_the_order_of_submission() -> None:
    made = plan(Snapshot(queued=queue(1, 1, 1), hosts=[host("a", 2)]))
    assert [(p.job_id, p.gpu_uuids) for p in made.placements] == [(1, ("a-0",)), (2, ("a-1",))]
    assert [w.job_id for w in made.waiting] == [3]


def test_a_job_that_does_not_fit_holds_back_those_behind_it() -> None:
    made = plan(Snapshot(queued=queue(2, 1), hosts=[host("a", 1, total=2)]))
    assert made.placements == []
    assert [w.reason for w in made.waiting] == [
        "waits for 2 GPUs on one host: 1 free on a; first in line",
        "waits for job 1, which needs 2 GPUs first; place 2 in line",
    ]


def test_all_gpus_of_a_job_are_on_one_host() -> None:
    made = plan(Snapshot(queued=queue(2), hosts=[host("a", 1, total=2), host("b", 1, total=2)]))
    assert made.placements == []


def test_the_host_that_fits_most_tightly_is_taken() -> None:
    made = plan(Snapshot(queued=queue(2), hosts=[host("a", 4), host("b", 2), host("c", 3)]))
    assert made.placements[0].host_name == "b"


def test_without_a_host_the_reason_says_how_to_start_one() -> None:
    made = plan(Snapshot(queued=queue(1), hosts=[]))
    assert "no worker is running" in made.waiting[0].reason


def test_a_job_larger_than_every_host_that_is_up_says_so() -> None:
    made = plan(Snapshot(queued=queue(4), hosts=[host("a", 2)]))
    assert made.waiting[0].reason == (
        "waits for 4 GPUs on one host: a, the largest that is up, has 2 that can be used"
    )


def test_a_job_that_no_host_could_hold_lets_those_behind_it_pass() -> None:
    made = plan(Snapshot(queued=queue(4, 2, 2, 1), hosts=[host("a", 3)]))
    assert [p.job_id for p in made.placements] == [2]
    assert [w.reason.partition(" on one host")[0].partition(", which")[0] for w in made.waiting] == [
        "waits for 4 GPUs",
        "waits for 2 GPUs",
        "waits for job 3",
    ]


def test_a_more_urgent_job_goes_first() -> None:
    urgent = ask(2, priority=Priority.HIGH)
    assert starts(ask(1), urgent, ask(3, priority=Priority.LOW), hosts=[host("a", 2)]) == [2, 1]
    assert "waits for job 2" in reason(urgent, ask(1), hosts=[host("a", 0, total=2)])


def test_a_job_that_asks_for_a_host_or_a_model_waits_for_that_one() -> None:
    hosts = [host("a", 2), host("b", 0, total=2, model="NVIDIA A100")]
    on_b, model = ask(1, host_name="b"), ask(1, 2, gpu_model="a100")
    assert reason(on_b, hosts=hosts) == "waits for 1 GPU on b: 0 free on b; first in line"
    assert (
        reason(model, hosts=hosts) == "waits for 2 GPUs of model a100 on one host: 0 free on b; first in line"
    )
    assert starts(on_b, ask(2, host_name="a", gpu_model="h200"), hosts=hosts) == [2]
    assert starts(model, ask(2, 2), hosts=hosts) == [2]
    assert reason(ask(1, 3, host_name="b"), hosts=hosts) == "waits for 3 GPUs on b: it has 2 that can be used"
    assert "waits for host c: no worker" in reason(ask(1, host_name="c"), hosts=hosts)


def test_an_exclusive_job_waits_for_an_empty_host_and_has_it_alone() -> None:
    alone = ask(1, exclusive=True)
    assert reason(alone, hosts=[host("a", 1, total=2)]) == (
        "waits for a host of its own, as asked with --exclusive: a; first in line"
    )
    assert starts(alone, ask(2), hosts=[host("a", 2)]) == [1]
    assert starts(alone, ask(2, 2), hosts=[host("a", 2), host("b", 1)]) == [1, 2]
    assert starts(ask(2, host_name="b"), alone, hosts=[host("a", 2), host("b", 1)]) == [2, 1]


def test_nobody_holds_more_gpus_at_once_than_the_quota_and_others_pass() -> None:
    few = {"quotas": {"ada": 3}, "held": {"ada": 2}}
    queued = (ask(1, 2), ask(2, 1), ask(3, 1), ask(4, 1, "bob"))
    assert starts(*queued, hosts=[host("a", 8)], **few) == [2, 4]
    assert reason(ask(1, 2), hosts=[host("a", 8)], **few) == (
        "waits for 2 GPUs of ada's quota: ada holds 2 and may hold 3 at once"
    )


@given(
    gpus=st.lists(st.integers(1, 5), max_size=12),
    free=st.lists(st.integers(0, 6), max_size=4),
)
def test_no_gpu_is_given_twice_and_nobody_overtakes(gpus: list[int], free: list[int]) -> None:
    hosts = [host(f"h{number}", count, total=8) for number, count in enumerate(free)]
    snapshot = Snapshot(queued=queue(*gpus), hosts=hosts)
    made = plan(snapshot)
    given_out = [uuid for placement in made.placements for uuid in placement.gpu_uuids]
    assert len(given_out) == len(set(given_out))
    assert set(given_out) <= {gpu.uuid for one in hosts for gpu in one.gpus if gpu.free}
    placed = [p.job_id for p in made.placements]
    assert placed == list(range(1, len(placed) + 1))
    assert [w.job_id for w in made.waiting] == list(range(len(placed) + 1, len(gpus) + 1))
    for placement in made.placements:
        assert len(placement.gpu_uuids) == gpus[placement.job_id - 1]
        assert all(uuid.startswith(f"{placement.host_name}-") for uuid in placement.gpu_uuids)
    assert plan(snapshot) == made
