"""What the store promises, on SQLite and on PostgreSQL."""

import math
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta, timezone

import pytest
from sqlalchemy.exc import IntegrityError

from service.commands.fleet.health import read_health
from service.db.engine import make_engine
from service.domain.checkpoints import Checkpoint
from service.domain.jobs import Attempt, AttemptId, JobId, Waiting
from service.domain.metrics import Point
from service.domain.people import SCHEDULER, Actor
from service.domain.states import (
    Action,
    AttemptState,
    Cause,
    CheckpointKind,
    GpuState,
    JobState,
    Outcome,
    StopRequest,
)
from service.errors import Fenced, JobNotFound
from service.settings import load_settings
from service.store.fleet import hosts, leases, schedulers
from service.store.jobs import attempts, checkpoints, jobs, logs, metrics
from service.store.jobs.endings import end_attempt
from service.store.people import audit
from service.store.transaction import Store, Transaction
from tests.conftest import HOST, Clock, place

AddJob = Callable[..., JobId]
Claim = Callable[..., Attempt]


def test_a_job_is_read_back_as_it_was_stored(store: Store, clock: Clock, add_job: AddJob) -> None:
    number = add_job(gpus=2, owner="grace")
    with store.reading() as tx:
        job = jobs.get_job(tx, number)
    assert (job.id, job.owner, job.state, job.gpus) == (number, "grace", JobState.QUEUED, 2)
    assert job.submitted_at == clock.now
    assert job.submitted_at.tzinfo is timezone.utc


def test_a_missing_job_is_an_error_that_names_the_newest(store: Store, add_job: AddJob) -> None:
    with store.reading() as tx, pytest.raises(JobNotFound, match="None was submitted yet"):
        jobs.get_job(tx, JobId(7))
    newest = add_job()
    with (
        store.reading() as tx,
        pytest.raises(JobNotFound, match=f"There is no job 77. The newest is {newest}"),
    ):
        jobs.get_job(tx, JobId(77))


def test_a_state_changes_only_from_the_state_that_was_seen(store: Store, add_job: AddJob) -> None:
    number = add_job()
    with store.transaction() as tx:
        assert jobs.set_state_if(tx, number, JobState.QUEUED, JobState.CANCELLED, reason="x")
        assert not jobs.set_state_if(tx, number, JobState.QUEUED, JobState.RUNNING, reason="y")
        job = jobs.get_job(tx, number)
    assert (job.state, job.reason) == (JobState.CANCELLED, "x")
    assert job.ended_at is not None


def test_a_transaction_that_fails_leaves_nothing_and_sends_nothing(store: Store, add_job: AddJob) -> None:
    number = add_job()
    sent: list[int] = []

    def break_half_way() -> None:
        with store.transaction() as tx:
            jobs.set_waits(tx, [Waiting(job_id=number, reason="changed")])
            tx.after_commit(lambda: sent.append(number))
            raise RuntimeError("half way")

    with pytest.raises(RuntimeError, match="half way"):
        break_half_way()
    with store.transaction() as tx:
        assert jobs.get_job(tx, number).reason == "waits"
        tx.after_commit(lambda: sent.append(number))
        assert sent == []
    assert sent == [number]


def test_of_many_claimers_one_wins(store: Store, add_job: AddJob, add_host: Callable[..., None]) -> None:
    add_host()
    number = add_job()
    with store.transaction() as tx:
        attempt = place(tx, number, f"{HOST}-0")
    ready = threading.Barrier(4)

    def claim(worker: int) -> Attempt | None:
        ready.wait()
        with store.transaction() as tx:
            return attempts.claim(tx, attempt.id, worker=f"w{worker}", host_name=HOST, runs_dir="/runs")

    with ThreadPoolExecutor(4) as pool:
        won = [taken for taken in pool.map(claim, range(4)) if taken]
    assert len(won) == 1
    assert (won[0].token, won[0].state, won[0].run_dir) == (1, AttemptState.STARTING, f"/runs/{number}/1")


def test_another_host_claims_nothing(store: Store, add_job: AddJob, add_host: Callable[..., None]) -> None:
    add_host()
    with store.transaction() as tx:
        attempt = place(tx, add_job_in(tx), f"{HOST}-0")
        assert attempts.claim(tx, attempt.id, worker="w", host_name="gpu02", runs_dir="/runs") is None


def add_job_in(tx: object) -> JobId:
    from service.domain.spec_request import resolve_spec
    from service.store.transaction import Transaction

    assert isinstance(tx, Transaction)
    return jobs.create_job(tx, resolve_spec("lenet5", {}), owner="ada", reason="")


def test_a_late_writer_changes_nothing(store: Store, claimed: Claim) -> None:
    old = claimed()
    with store.transaction() as tx:
        new = attempts.adopt(tx, old, worker="w2")
    with pytest.raises(Fenced), store.transaction() as tx:
        attempts.write(tx, old, trainer_pid=1)
    with store.transaction() as tx:
        attempts.write(tx, new, trainer_pid=2)
        assert not attempts.end_if_live(tx, old, Outcome.FAILED, reason="late")
        assert attempts.get_attempt(tx, new.id).trainer_pid == 2


def test_nothing_is_written_for_an_attempt_that_has_ended(store: Store, claimed: Claim) -> None:
    attempt = claimed()
    with store.transaction() as tx:
        assert attempts.end_if_live(tx, attempt, Outcome.SUCCEEDED, reason="")
        assert not attempts.end_if_live(tx, attempt, Outcome.FAILED, reason="again")
        with pytest.raises(Fenced):
            attempts.write(tx, attempt, trainer_pid=1)


def test_the_database_allows_one_live_lease_a_gpu_and_one_live_attempt_a_job(
    store: Store, claimed: Claim, add_job: AddJob
) -> None:
    attempt = claimed()
    with pytest.raises(IntegrityError), store.transaction() as tx:
        place(tx, add_job_in(tx), f"{HOST}-0")
    with pytest.raises(IntegrityError), store.transaction() as tx:
        attempts.create_attempt(tx, attempt.job_id, host_name=HOST)
    with store.transaction() as tx:
        leases.release(tx, attempt.id)
        place(tx, add_job_in(tx), f"{HOST}-0")


@pytest.mark.parametrize(
    ("outcome", "state", "action"),
    [
        (Outcome.SUCCEEDED, JobState.SUCCEEDED, Action.SUCCEEDED),
        (Outcome.FAILED, JobState.FAILED, Action.FAILED),
        (Outcome.CANCELLED, JobState.CANCELLED, Action.CANCELLED),
        (Outcome.INTERRUPTED, JobState.QUEUED, Action.REQUEUED),
        (Outcome.LOST, JobState.QUEUED, Action.REQUEUED),
    ],
)
def test_an_attempts_end_moves_its_job_frees_its_gpus_and_is_in_the_audit(
    store: Store, claimed: Claim, outcome: Outcome, state: JobState, action: Action
) -> None:
    attempt = claimed()
    with store.transaction() as tx:
        assert end_attempt(tx, attempt, outcome, reason="why", actor=SCHEDULER, retry_limit=3)
        assert not end_attempt(tx, attempt, outcome, reason="twice", actor=SCHEDULER, retry_limit=3)
        assert jobs.get_job(tx, attempt.job_id).state is state
        assert leases.list_holders(tx) == {}
        assert [e.action for e in audit.list_entries(tx, attempt.job_id)] == [action]


def lose(tx: Transaction, attempt: Attempt, *, retry_limit: int) -> None:
    end_attempt(
        tx,
        attempt,
        Outcome.LOST,
        cause=Cause.KILLED,
        reason="gone",
        actor=SCHEDULER,
        retry_limit=retry_limit,
    )


def test_a_job_fails_when_more_attempts_than_the_limit_are_lost(store: Store, claimed: Claim) -> None:
    first = claimed()
    with store.transaction() as tx:
        end_attempt(
            tx,
            first,
            Outcome.LOST,
            cause=Cause.KILLED,
            reason="gone",
            actor=SCHEDULER,
            retry_limit=1,
        )
    second = claimed(first.job_id)
    with store.transaction() as tx:
        end_attempt(
            tx,
            second,
            Outcome.LOST,
            cause=Cause.KILLED,
            reason="gone",
            actor=SCHEDULER,
            retry_limit=1,
        )
        job = jobs.get_job(tx, first.job_id)
    assert job.state is JobState.FAILED
    assert "gone; 2 attempts in a row" in job.reason


def test_heartbeats_renew_only_a_workers_own_attempts_and_bring_wishes(
    store: Store, clock: Clock, claimed: Claim
) -> None:
    attempt, other = claimed(), claimed(gpu=f"{HOST}-1")
    clock.advance(60)
    with store.transaction() as tx:
        attempts.set_stop_request(tx, attempt.id, StopRequest.CANCEL)
        assert attempts.heartbeat(tx, [attempt.id], worker="another") == []
        (renewed,) = attempts.heartbeat(tx, [attempt.id], worker="w1")
        alive = {a.id: a.heartbeat_at for a in attempts.list_claimed_attempts(tx)}
    assert renewed.stop_request is StopRequest.CANCEL
    assert alive == {attempt.id: clock.now, other.id: clock.now - timedelta(seconds=60)}


def test_an_attempt_is_unclaimed_until_it_is_claimed(
    store: Store, clock: Clock, add_job: AddJob, add_host: Callable[..., None]
) -> None:
    add_host()
    number = add_job()
    with store.transaction() as tx:
        attempt = place(tx, number, f"{HOST}-0")
    clock.advance(10)
    with store.transaction() as tx:
        attempts.set_sent(tx, attempt.id)
        assert {a.id: a.sent_at for a in attempts.list_unclaimed_attempts(tx)} == {attempt.id: clock.now}
        attempts.claim(tx, attempt.id, worker="w1", host_name=HOST, runs_dir="/runs")
        assert attempts.list_unclaimed_attempts(tx) == []


def test_an_attempt_that_left_a_checkpoint_begins_the_count_of_lost_ones_anew(
    store: Store, claimed: Claim
) -> None:
    first = claimed()
    checkpoint = Checkpoint(
        step=10, epoch=1, kind=CheckpointKind.LAST, bytes=1, digest="0" * 64, path="/runs/1/1/checkpoints"
    )
    with store.transaction() as tx:
        jobs.set_lost_attempts(tx, first.job_id, 3)
        checkpoints.add_checkpoint(tx, first.id, checkpoint)
        end_attempt(
            tx,
            first,
            Outcome.LOST,
            cause=Cause.KILLED,
            reason="gone",
            actor=SCHEDULER,
            retry_limit=3,
        )
        job = jobs.get_job(tx, first.job_id)
    assert (job.state, job.lost_attempts) == (JobState.QUEUED, 1)


@pytest.mark.parametrize("cause", Cause)
def test_only_what_another_try_may_mend_is_tried_again(store: Store, claimed: Claim, cause: Cause) -> None:
    attempt = claimed()
    with store.transaction() as tx:
        end_attempt(tx, attempt, Outcome.FAILED, cause=cause, reason="why", actor=SCHEDULER, retry_limit=3)
        job = jobs.get_job(tx, attempt.job_id)
        ended = attempts.get_attempt(tx, attempt.id)
    undone = cause in (Cause.DEVICE_ERROR, Cause.KILLED, Cause.LOST_HOST)
    assert job.state is (JobState.QUEUED if undone else JobState.FAILED)
    assert ended.cause is cause


def test_a_quarantine_and_a_missing_gpu_are_remembered_when_a_host_registers_again(
    store: Store, add_host: Callable[..., None]
) -> None:
    add_host(gpus=3)
    with store.transaction() as tx:
        hosts.quarantine_gpu(tx, f"{HOST}-1", reason="a process is still there")
    add_host(gpus=2, worker="w2")
    with store.reading() as tx:
        found = hosts.list_gpus(tx)
        assert hosts.largest_host(tx) == (HOST, 2)
    assert [(g.uuid, g.state) for g in found] == [
        (f"{HOST}-0", GpuState.AVAILABLE),
        (f"{HOST}-1", GpuState.QUARANTINED),
    ]


def test_a_host_that_ever_had_real_gpus_is_known_by_that(store: Store, add_host: Callable[..., None]) -> None:
    add_host()
    with store.transaction() as tx:
        assert not hosts.had_real_gpus(tx, HOST)
        real = replace(hosts.list_gpus(tx)[0], uuid="GPU-1", simulated=False)
        hosts.register_host(tx, HOST, worker="w2", cores=2, devices=[real])
    add_host(worker="w3")
    with store.reading() as tx:
        assert all(gpu.simulated for gpu in hosts.list_gpus(tx))
        assert hosts.had_real_gpus(tx, HOST)
        assert not hosts.had_real_gpus(tx, "gpu02")


def test_a_host_is_heard_until_it_leaves_or_falls_silent(
    store: Store, clock: Clock, add_host: Callable[..., None]
) -> None:
    def alive() -> list[str]:
        with store.reading() as tx:
            return list(read_health(tx, load_settings({"CNNCTL_HOME": "/nowhere"})).hosts)

    add_host()
    assert alive() == [HOST]
    clock.advance(31)
    assert alive() == []
    clock.advance(-3600)  # a heartbeat from the future says nothing
    assert alive() == []
    with store.transaction() as tx:
        assert hosts.heartbeat(tx, HOST, worker="w1")
        assert not hosts.heartbeat(tx, HOST, worker="an earlier one")
    assert alive() == [HOST]
    with store.transaction() as tx:
        hosts.leave(tx, HOST, worker="w1")
    assert alive() == []


def test_a_resumed_jobs_series_has_no_gap_and_no_doubled_point(store: Store, claimed: Claim) -> None:
    first = claimed()
    with store.transaction() as tx:
        attempts.set_running_if_starting(tx, first, start_step=0)
        metrics.add_points(tx, first.id, [Point("loss", step, float(step)) for step in (10, 20, 30)])
        end_attempt(
            tx,
            first,
            Outcome.LOST,
            cause=Cause.KILLED,
            reason="",
            actor=SCHEDULER,
            retry_limit=3,
        )
    second = claimed(first.job_id)
    with store.transaction() as tx:
        attempts.set_running_if_starting(tx, second, start_step=20)
        points = [Point("loss", 30, -30.0), Point("loss", 40, None), Point("lr", 40, math.pi)]
        metrics.add_points(tx, second.id, points)
        series = metrics.list_series(tx, first.job_id)
        last = metrics.last_values(tx, first.job_id)
        only = metrics.list_series(tx, first.job_id, names=("lr",))
    assert series == {"loss": [(10, 10.0), (20, 20.0), (30, -30.0), (40, None)], "lr": [(40, math.pi)]}
    assert last == {"loss": None, "lr": math.pi}
    assert only == {"lr": [(40, math.pi)]}


def test_there_is_one_best_checkpoint(store: Store, claimed: Claim) -> None:
    attempt = claimed()

    def checkpoint(step: int, kind: CheckpointKind) -> Checkpoint:
        return Checkpoint(step=step, epoch=1, kind=kind, bytes=5, digest="d" * 64, path=f"/runs/{step}")

    with store.transaction() as tx:
        for step in (1, 2):
            checkpoints.add_checkpoint(tx, attempt.id, checkpoint(step, CheckpointKind.BEST))
        checkpoints.add_checkpoint(tx, attempt.id, checkpoint(3, CheckpointKind.LAST))
        found = [(c.step, c.kind) for c in checkpoints.list_checkpoints(tx, attempt.job_id)]
        checkpoints.remove_checkpoint(tx, attempt.job_id, path="/runs/1")
        left = [c.step for c in checkpoints.list_checkpoints(tx, attempt.job_id)]
    assert found == [(3, CheckpointKind.LAST), (2, CheckpointKind.BEST), (1, CheckpointKind.LAST)]
    assert left == [3, 2]


def test_a_log_with_nul_is_stored_and_replaced(store: Store, claimed: Claim) -> None:
    attempt = claimed()
    with store.transaction() as tx:
        assert logs.get_log_tail(tx, attempt.id) == ""
        logs.set_log_tail(tx, attempt.id, "a\x00b")
        logs.set_log_tail(tx, attempt.id, "c\x00d")
        assert logs.get_log_tail(tx, attempt.id) == "c␀d"


def test_one_scheduler_at_a_time_decides(store: Store, store_url: str) -> None:
    other = Store(make_engine(store_url))
    with store.transaction() as tx:
        assert schedulers.lock_tick(tx)
        if store_url.startswith("postgresql"):  # on SQLite the other one waits for the write lock
            with other.transaction() as second:
                assert not schedulers.lock_tick(second)
    with other.transaction() as second:
        assert schedulers.lock_tick(second)
    other.close()


def test_two_writers_lose_no_update(store: Store, add_job: AddJob) -> None:
    number = add_job()

    def add_one(_: int) -> None:
        with store.transaction() as tx:
            # PostgreSQL does not lock what is only read: the decision that matters takes the tick's lock.
            while not schedulers.lock_tick(tx):
                pass
            jobs.set_lost_attempts(tx, number, jobs.get_job(tx, number).lost_attempts + 1)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(add_one, range(40)))
    with store.reading() as tx:
        assert jobs.get_job(tx, number).lost_attempts == 40


def test_the_audit_grows_and_keeps_its_order(store: Store, add_job: AddJob) -> None:
    number = add_job()
    with store.transaction() as tx:
        assert audit.newest_entry_id(tx) == 0
        for action in (Action.SUBMITTED, Action.CANCELLED):
            audit.add_entry(tx, number, action, actor=Actor(name="ada"), attempt_id=None)
        assert audit.newest_entry_id(tx) > 0
        assert [e.action for e in audit.list_entries(tx, number)] == [Action.SUBMITTED, Action.CANCELLED]


def test_attempts_are_numbered_within_their_job(store: Store, claimed: Claim) -> None:
    first = claimed()
    with store.transaction() as tx:
        end_attempt(tx, first, Outcome.INTERRUPTED, reason="", actor=SCHEDULER, retry_limit=0)
    second = claimed(first.job_id)
    with store.reading() as tx:
        assert [a.number for a in attempts.list_attempts(tx, first.job_id)] == [1, 2]
        (latest,) = attempts.list_latest_attempts(tx, [first.job_id])
        assert attempts.find_live_attempt(tx, first.job_id) == latest
    assert latest.id == AttemptId(second.id)


def test_an_attempt_that_will_go_on_from_a_checkpoint_has_its_epochs_before_it_starts(
    store: Store, claimed: Claim
) -> None:
    first = claimed()
    kept = Checkpoint(step=30, epoch=4, kind=CheckpointKind.LAST, bytes=1, digest="0" * 64, path="/30")
    with store.transaction() as tx:
        assert first.epochs_completed == 0
        attempts.write(tx, first, epochs_completed=4)  # the fourth is done, and no checkpoint has it yet
        checkpoints.add_checkpoint(tx, first.id, kept)
        end_attempt(tx, first, Outcome.LOST, cause=Cause.KILLED, reason="", actor=SCHEDULER, retry_limit=3)
    assert claimed(first.job_id).epochs_completed == 3


def test_a_wish_to_cancel_holds_when_the_worker_is_lost(store: Store, claimed: Claim) -> None:
    attempt = claimed()
    with store.transaction() as tx:
        assert attempts.set_stop_request(tx, attempt.id, StopRequest.CANCEL)
        end_attempt(
            tx,
            attempt,
            Outcome.LOST,
            cause=Cause.KILLED,
            reason="gone",
            actor=SCHEDULER,
            retry_limit=3,
        )
        assert jobs.get_job(tx, attempt.job_id).state is JobState.CANCELLED
        assert not attempts.set_stop_request(tx, attempt.id, StopRequest.CANCEL)


def test_a_jobs_best_checkpoint_is_one_over_all_its_attempts(store: Store, claimed: Claim) -> None:
    first = claimed()
    best = Checkpoint(step=1, epoch=1, kind=CheckpointKind.BEST, bytes=5, digest="d" * 64, path="/1")
    with store.transaction() as tx:
        checkpoints.add_checkpoint(tx, first.id, best)
        end_attempt(
            tx,
            first,
            Outcome.LOST,
            cause=Cause.KILLED,
            reason="",
            actor=SCHEDULER,
            retry_limit=3,
        )
    second = claimed(first.job_id)
    with store.transaction() as tx:
        checkpoints.add_checkpoint(tx, second.id, replace(best, step=2))
        kinds = [(c.step, c.kind) for c in checkpoints.list_checkpoints(tx, first.job_id)]
    assert kinds == [(2, CheckpointKind.BEST), (1, CheckpointKind.LAST)]


def test_a_reason_to_wait_is_given_to_queued_jobs_only(store: Store, add_job: AddJob) -> None:
    number = add_job()
    with store.transaction() as tx:
        jobs.set_state_if(tx, number, JobState.QUEUED, JobState.CANCELLED, reason="cancelled by ada")
        jobs.set_waits(tx, [Waiting(job_id=number, reason="waits")])
        assert jobs.get_job(tx, number).reason == "cancelled by ada"


def test_each_of_many_jobs_gets_its_own_reason_and_start_or_none(
    store: Store, clock: Clock, add_job: AddJob
) -> None:
    starts = [clock.now, None, clock.now + timedelta(days=400)]
    waits = [
        Waiting(job_id=add_job(), reason=f"waits, {number}: {{'\"\\,NULL", estimated_start_at=start)
        for number, start in enumerate(starts)
    ]
    other = add_job()
    with store.transaction() as tx:
        jobs.set_waits(tx, [])
        jobs.set_waits(tx, list(reversed(waits)))
        jobs.set_waits(tx, [Waiting(job_id=other, reason="alone")])
        stored = jobs.get_jobs(tx, [*(wait.job_id for wait in waits), other])
    told = [(job.id, job.reason, job.estimated_start_at) for job in stored]
    assert told == [(w.job_id, w.reason, w.estimated_start_at) for w in waits] + [(other, "alone", None)]


@pytest.mark.parametrize("number", [0, -1, 2**31, 10**20])
def test_a_number_that_no_job_can_have_is_not_found(store: Store, number: int) -> None:
    with store.reading() as tx, pytest.raises(JobNotFound):
        jobs.get_job(tx, JobId(number))


def test_a_wish_to_cancel_holds_when_the_last_try_is_lost(store: Store, claimed: Claim) -> None:
    attempt = claimed()
    with store.transaction() as tx:
        attempts.set_stop_request(tx, attempt.id, StopRequest.CANCEL)
        lose(tx, attempt, retry_limit=0)
        assert jobs.get_job(tx, attempt.job_id).state is JobState.CANCELLED


def test_an_interrupted_attempt_that_came_further_begins_the_count_anew(store: Store, claimed: Claim) -> None:
    first = claimed()
    with store.transaction() as tx:
        lose(tx, first, retry_limit=1)
    second = claimed(first.job_id)
    further = Checkpoint(step=1, epoch=1, kind=CheckpointKind.LAST, bytes=5, digest="d" * 64, path="/1")
    with store.transaction() as tx:
        checkpoints.add_checkpoint(tx, second.id, further)
        end_attempt(tx, second, Outcome.INTERRUPTED, reason="", actor=SCHEDULER, retry_limit=1)
    third = claimed(first.job_id)
    with store.transaction() as tx:
        lose(tx, third, retry_limit=1)
        assert jobs.get_job(tx, first.job_id).state is JobState.QUEUED
