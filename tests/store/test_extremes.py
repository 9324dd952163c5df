"""Nobody's numbers stop the scheduler or the lists that all look at."""

import io
import json
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timezone
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as st
from sqlalchemy import update

from cnnctl.views.codec import to_json
from service.cli.display.job_page import job_page
from service.cli.display.job_table import job_table
from service.cli.terminal import make_console
from service.commands.jobs.job_list import list_job_page
from service.commands.jobs.status import get_job_view
from service.commands.jobs.submit import submit
from service.commands.people.usage import list_usage_views
from service.db.tables import jobs as jobs_table
from service.dispatch.dispatcher import Dispatcher
from service.domain.bounds import MEMORY_MIB, SPEC
from service.domain.jobs import Attempt, JobId
from service.domain.scheduling_options import SchedulingOptions
from service.domain.spec_request import resolve_spec
from service.domain.states import Action, Channel, JobState, Occasion, StopRequest
from service.errors import SpecError
from service.scheduler import faulty_jobs
from service.scheduler.loop import Scheduler
from service.scheduler.policy import planner, wait_reasons
from service.settings import Settings
from service.store.jobs import attempts, jobs
from service.store.people import audit, hooks, outbox
from service.store.transaction import Store
from tests.conftest import ADA

FOREVER = datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=timezone.utc)
NUMBERS = sorted(set(SPEC) - {"data.dataset"})


@pytest.fixture
def scheduler(store: Store, settings: Settings, add_host: Callable[..., None]) -> Scheduler:
    add_host(gpus=1)
    return Scheduler(store, settings, Dispatcher(settings))


def submit_extreme(
    store: Store, settings: Settings, path: str, value: object, scheduling: SchedulingOptions
) -> None:
    with suppress(SpecError):
        submit(
            store,
            settings,
            "lenet5",
            {"data.dataset": "synthetic", path: value},
            owner=ADA,
            scheduling=scheduling,
        )


@examples(deadline=None, max_examples=40, suppress_health_check=list(HealthCheck), derandomize=True)
@given(data=st.data())
def test_the_extremes_of_every_field_are_refused_or_planned_and_shown(
    store: Store, settings: Settings, scheduler: Scheduler, data: Any
) -> None:
    path = data.draw(st.sampled_from(NUMBERS))
    bound = SPEC[path]
    whole = float(bound.most).is_integer() and float(bound.least).is_integer()
    ends = [bound.least, bound.most, bound.most + 1, -1, 10**400, 1e308]
    value = data.draw(st.sampled_from([*map(int, ends), *map(float, ends[:4])] if whole else ends))
    not_before = data.draw(st.sampled_from([None, FOREVER, datetime.min.replace(tzinfo=timezone.utc)]))
    submit_extreme(store, settings, path, value, SchedulingOptions(not_before=not_before))
    scheduler.tick()
    for view in list_job_page(store).items:
        json.dumps(to_json(get_job_view(store, JobId(view.job))))


def test_a_network_that_no_gpu_could_hold_is_refused_even_where_gpus_are_simulated(
    store: Store, settings: Settings, add_host: Callable[..., None]
) -> None:
    add_host()
    with pytest.raises(SpecError, match=MEMORY_MIB.why):
        submit(
            store, settings, "alexnet", {"data.dataset": "synthetic", "model.padding": 2**31 - 1}, owner=ADA
        )


def test_the_longest_path_of_a_dataset_is_stored_and_a_longer_one_refused(store: Store) -> None:
    longest = ("npz:" + "/é" * 510).ljust(int(SPEC["data.dataset"].most), "x")
    with store.transaction() as tx:
        number = jobs.create_job(
            tx, resolve_spec("lenet5", {"data.dataset": longest}), owner="ada", reason=""
        )
    with store.reading() as tx:
        assert jobs.get_job(tx, number).dataset == longest
    relative = "npz:" + "x/" * 509 + "y"  # of 1,023 characters, before the current folder is put in front
    for path in (longest + "x", relative):
        with pytest.raises(SpecError, match=SPEC["data.dataset"].why):
            resolve_spec("lenet5", {"data.dataset": path})


def store_as_an_older_one_did(store: Store, number: JobId, **columns: object) -> None:
    """Write what was stored before there were bounds."""
    with store.transaction() as tx:
        tx.connection.execute(update(jobs_table).where(jobs_table.c.id == number).values(**columns))


def with_epochs(count: int) -> str:
    tree = json.loads(resolve_spec("lenet5", {}).to_json())
    tree["training"]["epochs"] = "EPOCHS"
    return json.dumps(tree).replace('"EPOCHS"', str(count))


@pytest.mark.parametrize("count", [10**15, 10**400])
def test_a_stored_job_without_bounds_delays_nobody(
    store: Store, scheduler: Scheduler, add_job: Callable[..., JobId], count: int
) -> None:
    poisoned, other = add_job(), add_job()
    store_as_an_older_one_did(store, poisoned, spec=with_epochs(count), not_before=FOREVER)
    for _ in range(3):
        scheduler.tick()
    with store.reading() as tx:
        assert jobs.get_job(tx, other).state is JobState.RUNNING
    assert {view.job for view in list_job_page(store).items} == {poisoned, other}
    json.dumps(to_json(get_job_view(store, poisoned)))


def test_a_job_that_cannot_be_planned_is_set_aside_and_its_owner_is_told(
    store: Store,
    scheduler: Scheduler,
    add_job: Callable[..., JobId],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    others = [add_job() for _ in range(5)]
    poisoned = add_job()
    others += [add_job() for _ in range(5)]
    with store.transaction() as tx:
        hooks.add_hook(tx, "ada", channel=Channel.WEBHOOK, address="http://x", occasions=[Occasion.FAILURE])
    explain = wait_reasons.find_postponement

    def explain_all_but_one(job: Any, now: datetime) -> Any:
        if job.id == poisoned:
            raise OverflowError("date value out of range")
        return explain(job, now)

    monkeypatch.setattr(wait_reasons, "find_postponement", explain_all_but_one)
    scheduler.tick()
    with store.reading() as tx:
        job = jobs.get_job(tx, poisoned)
        states = {jobs.get_job(tx, number).state for number in others}
        assert outbox.list_owners_due(tx) == ["ada"]
    assert (job.state, states) == (JobState.PAUSED, {JobState.RUNNING, JobState.QUEUED})
    assert "set aside because it cannot be planned (OverflowError: date value out of range)" in job.reason


def test_a_running_job_for_which_planning_fails_is_asked_to_pause_its_owner_is_told_and_others_start(
    store: Store,
    settings: Settings,
    claimed: Callable[..., Attempt],
    add_job: Callable[..., JobId],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    poisoned = claimed().job_id
    scheduler = Scheduler(store, settings, Dispatcher(settings))
    other, third = add_job(), add_job()
    with store.transaction() as tx:
        hooks.add_hook(tx, "ada", channel=Channel.WEBHOOK, address="http://x", occasions=[Occasion.FAILURE])
    compute = planner.plan

    def compute_nothing_with_one(snapshot: Any, now: datetime, **options: Any) -> Any:
        if any(job.id == poisoned and not job.stopping for job in snapshot.running):
            raise OverflowError("date value out of range")
        return compute(snapshot, now, **options)

    monkeypatch.setattr(planner, "plan", compute_nothing_with_one)
    for _ in range(2):
        scheduler.tick()
    with store.reading() as tx:
        attempt = attempts.find_live_attempt(tx, poisoned)
        assert attempt is not None
        assert attempt.stop_request is StopRequest.PAUSE
        assert f"cannot be planned (OverflowError: date value out of range); cnnctl cancel {poisoned}" in (
            attempt.stop_reason
        )
        assert outbox.list_owners_due(tx) == ["ada"]
        assert [jobs.get_job(tx, number).state for number in (other, third)] == [
            JobState.RUNNING,
            JobState.QUEUED,
        ]
        assert "told to stop" in jobs.get_job(tx, third).reason


def test_where_planning_fails_whatever_is_left_out_every_waiting_job_says_so(
    store: Store,
    scheduler: Scheduler,
    add_job: Callable[..., JobId],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    waiting = [add_job(), add_job()]

    def fail(*_words: Any, **_options: Any) -> None:
        raise ZeroDivisionError("division by zero")

    monkeypatch.setattr(planner, "plan", fail)
    scheduler.tick()
    with store.reading() as tx:
        found = [jobs.get_job(tx, number) for number in waiting]
    assert {job.state for job in found} == {JobState.QUEUED}
    assert all("cannot plan (ZeroDivisionError: division by zero)" in job.reason for job in found)


def test_many_jobs_that_cannot_be_planned_hold_up_a_tick_for_a_moment_only(
    store: Store,
    scheduler: Scheduler,
    add_job: Callable[..., JobId],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(faulty_jobs, "LONGEST_SEARCH_SECONDS", 0.0)
    good = add_job()
    poisoned = {add_job() for _ in range(3)}
    explain = wait_reasons.find_postponement

    def explain_the_good(job: Any, now: datetime) -> Any:
        if job.id in poisoned:
            raise OverflowError("date value out of range")
        return explain(job, now)

    monkeypatch.setattr(wait_reasons, "find_postponement", explain_the_good)
    for ticks in (1, 2, 3):
        scheduler.tick()
        with store.reading() as tx:
            states = [jobs.get_job(tx, number).state for number in poisoned]
            assert jobs.get_job(tx, good).state is JobState.RUNNING
        assert states.count(JobState.PAUSED) == ticks


def test_a_forecast_that_fails_is_nobodys_but_its_jobs(
    store: Store, scheduler: Scheduler, add_job: Callable[..., JobId]
) -> None:
    first, second = add_job(), add_job()
    store_as_an_older_one_did(store, first, spec="[]")
    scheduler.tick()
    with store.reading() as tx:
        assert jobs.get_job(tx, second).state is JobState.RUNNING
    views = {view.job: view for view in list_job_page(store).items}
    assert "cannot be shown" in views[first].reason
    assert views[second].state == "running"


UNREADABLE = {
    "nothing": "",
    "list": "[]",
    "number": "5",
    "words": "no JSON",
    "deep": '{"training":' * 5000,
    "section": '{"training": 5}',
    "version": '{"schema_version": []}',
}


@pytest.mark.parametrize("spec", UNREADABLE.values(), ids=UNREADABLE)
def test_a_job_whose_spec_cannot_be_read_is_shown_with_all_the_rest(
    store: Store, scheduler: Scheduler, add_job: Callable[..., JobId], spec: str
) -> None:
    number, other = add_job(), add_job()
    store_as_an_older_one_did(store, number, spec=spec)
    scheduler.tick()
    view = get_job_view(store, number)
    assert view.owner == "ada"
    assert get_job_view(store, other).reason != view.reason
    assert "cannot be shown" in view.reason or "cannot be planned" in view.reason
    assert len(view.reason) < 1000
    console = make_console(file=io.StringIO())
    console.print(job_page(view))
    console.print(job_table(list_job_page(store).items, []))


@pytest.mark.parametrize("progress", ["", "[]", "no JSON", '"x"'])
def test_progress_that_cannot_be_read_hides_nothing(
    store: Store, settings: Settings, claimed: Callable[..., Attempt], progress: str
) -> None:
    attempt = claimed()
    with store.transaction() as tx:
        attempts.write(tx, attempt, progress=progress)
    Scheduler(store, settings, Dispatcher(settings)).tick()
    assert get_job_view(store, attempt.job_id).state == "running"
    assert list_usage_views(store)[0].attempts == 1


def test_a_running_job_whose_forecast_fails_is_asked_once_to_stop(
    store: Store, settings: Settings, claimed: Callable[..., Attempt], add_job: Callable[..., JobId]
) -> None:
    poisoned = claimed().job_id
    store_as_an_older_one_did(store, poisoned, spec="[]")
    add_job(gpus=2)  # somebody waits, so there is a plan
    scheduler = Scheduler(store, settings, Dispatcher(settings))
    for _ in range(3):
        scheduler.tick()
    with store.reading() as tx:
        actions = [entry.action for entry in audit.list_entries(tx, poisoned)]
    assert actions.count(Action.PAUSE_REQUESTED) == 1
