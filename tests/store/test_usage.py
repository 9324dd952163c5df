"""GPU-hours are counted where they were used, and what came to nothing is named."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from cnnctl.views.codec import to_json
from cnnctl.views.people import UsageView
from service.commands.jobs.control import pause
from service.commands.people.usage import list_usage_day_views, list_usage_views
from service.domain.jobs import Attempt, JobId, Progress
from service.domain.people import SCHEDULER
from service.domain.states import Cause, Outcome
from service.errors import SpecError
from service.store.fleet import leases
from service.store.jobs import attempts
from service.store.jobs.endings import end_attempt
from service.store.transaction import Store
from tests.conftest import ADA, HOST, Clock

Claim = Callable[..., Attempt]
HOUR = 3600.0


def start(store: Store, attempt: Attempt, *, step: int = 0) -> None:
    with store.transaction() as tx:
        attempts.set_running_if_starting(tx, attempt, start_step=step)


def reach(store: Store, attempt: Attempt, step: int) -> None:
    rest = {"epoch": 1, "epochs": 9, "steps_per_epoch": 99, "images_per_second": 1.0}
    with store.transaction() as tx:
        attempts.write_progress(tx, attempt, Progress(step=step, loss=None, accuracy=None, **rest))  # type: ignore[arg-type]


def end(store: Store, attempt: Attempt, outcome: Outcome, cause: Cause | None = None) -> None:
    with store.transaction() as tx:
        assert end_attempt(tx, attempt, outcome, cause=cause, reason="", actor=SCHEDULER, retry_limit=3)


def hours(view: UsageView) -> dict[str, float]:
    return {name: value for name, value in to_json(view).items() if name.endswith("_hours") and value}


def test_time_before_the_first_step_and_while_stopping_is_idle(
    store: Store, clock: Clock, claimed: Claim
) -> None:
    attempt = claimed()
    clock.advance(HOUR)
    start(store, attempt)
    clock.advance(3 * HOUR)
    pause(store, attempt.job_id, actor=ADA)
    clock.advance(HOUR / 2)
    end(store, attempt, Outcome.INTERRUPTED)
    clock.advance(HOUR)
    (view,) = list_usage_views(store)
    assert (view.owner, view.project, view.outcome, view.attempts) == (
        "ada",
        "",
        "interrupted",
        1,
    )
    assert hours(view) == {"gpu_hours": 4.5, "idle_hours": 1.5, "wasted_hours": 1.5}


def test_steps_that_were_done_again_after_a_loss_are_wasted(
    store: Store, clock: Clock, claimed: Claim
) -> None:
    first = claimed()
    start(store, first)
    clock.advance(4 * HOUR)
    reach(store, first, 100)
    end(store, first, Outcome.LOST, Cause.KILLED)
    second = claimed(first.job_id)  # this one ends before its first step
    end(store, second, Outcome.INTERRUPTED)
    third = claimed(first.job_id)
    start(store, third, step=75)
    clock.advance(HOUR)
    views = {view.outcome: hours(view) for view in list_usage_views(store)}
    assert views == {
        "lost": {"gpu_hours": 4.0, "redone_hours": 1.0, "wasted_hours": 1.0},
        "interrupted": {},
        "running": {"gpu_hours": 1.0},
    }


def test_failed_attempts_are_wasted_whole_and_never_started_ones_idle(
    store: Store, clock: Clock, claimed: Claim
) -> None:
    failed, never = claimed(), claimed(gpu=f"{HOST}-1")
    clock.advance(HOUR)
    start(store, failed)
    clock.advance(HOUR)
    end(store, failed, Outcome.FAILED, Cause.NAN_LOSS)
    end(store, never, Outcome.CANCELLED)
    views = {view.outcome: hours(view) for view in list_usage_views(store)}
    assert views == {
        "failed": {"gpu_hours": 2.0, "failed_hours": 2.0, "wasted_hours": 2.0},
        "cancelled": {"gpu_hours": 2.0, "idle_hours": 2.0, "wasted_hours": 2.0},
    }


def test_only_the_time_since_a_moment_counts_and_only_that_persons(
    store: Store, clock: Clock, claimed: Claim, add_job: Callable[..., JobId]
) -> None:
    old = claimed()
    start(store, old)
    clock.advance(HOUR)
    end(store, old, Outcome.SUCCEEDED)
    across = claimed(add_job(owner="grace"))
    start(store, across)
    clock.advance(3 * HOUR)
    (view,) = list_usage_views(store, since=clock.now - timedelta(hours=2))
    assert (view.owner, hours(view)) == ("grace", {"gpu_hours": 2.0})
    (view,) = list_usage_views(store, owner="ada")
    assert hours(view) == {"gpu_hours": 1.0}
    assert list_usage_views(store, owner="nobody") == []


def test_a_job_on_two_gpus_counts_twice(store: Store, clock: Clock, claimed: Claim) -> None:
    attempt = claimed()
    with store.transaction() as tx:
        leases.acquire(tx, attempt.id, [f"{HOST}-1"])
    start(store, attempt)
    clock.advance(HOUR)
    (view,) = list_usage_views(store)
    assert hours(view) == {"gpu_hours": pytest.approx(2.0)}


def test_hours_are_counted_on_the_day_on_which_they_were_used(
    store: Store, clock: Clock, claimed: Claim, add_job: Callable[..., JobId]
) -> None:
    attempt = claimed()  # at noon on the first of January
    with store.transaction() as tx:
        leases.acquire(tx, attempt.id, [f"{HOST}-1"])
    clock.advance(38 * HOUR)
    end(store, attempt, Outcome.SUCCEEDED)
    claimed(add_job(owner="grace"))
    clock.advance(HOUR)
    found = [(view.day, view.owner, view.gpu_hours) for view in list_usage_day_views(store)]
    assert found == [
        ("2026-01-01", "ada", 24),
        ("2026-01-02", "ada", 48),
        ("2026-01-03", "ada", 4),
        ("2026-01-03", "grace", 1),
    ]
    late = list_usage_day_views(store, since=clock.now - timedelta(hours=5))
    assert [(view.day, view.gpu_hours) for view in late] == [
        ("2026-01-02", 4),
        ("2026-01-03", 4),
        ("2026-01-03", 1),
    ]
    total = sum(view.gpu_hours for view in list_usage_day_views(store))
    assert total == pytest.approx(sum(view.gpu_hours for view in list_usage_views(store)))
    with pytest.raises(SpecError, match="--since"):
        list_usage_day_views(store, since=clock.now + timedelta(days=2))
