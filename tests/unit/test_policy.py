"""First come, first served, all or nothing, with a reason for everybody who waits."""

from hypothesis import given
from hypothesis import strategies as st

from service.domain.jobs import JobId
from service.scheduler.policy import FreeHost, QueuedJob, Snapshot, plan


def queue(*gpus: int) -> list[QueuedJob]:
    return [QueuedJob(id=JobId(number), gpus=count) for number, count in enumerate(gpus, start=1)]


def host(name: str, free: int, total: int | None = None) -> FreeHost:
    uuids = tuple(f"{name}-{number}" for number in range(free))
    return FreeHost(name=name, free=uuids, total=free if total is None else total)


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
    assert set(given_out) <= {uuid for one in hosts for uuid in one.free}
    placed = [p.job_id for p in made.placements]
    assert placed == list(range(1, len(placed) + 1))
    assert [w.job_id for w in made.waiting] == list(range(len(placed) + 1, len(gpus) + 1))
    for placement in made.placements:
        assert len(placement.gpu_uuids) == gpus[placement.job_id - 1]
        assert all(uuid.startswith(f"{placement.host_name}-") for uuid in placement.gpu_uuids)
    assert plan(snapshot) == made
