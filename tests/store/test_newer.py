"""What a newer cnnctl has stored harms nobody: its jobs wait for an upgrade, and all else is read."""

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, update

from cnnctl.views.codec import to_json
from service.cli.display.job_page import job_page
from service.cli.display.job_table import job_table
from service.cli.terminal import make_console
from service.commands.fleet.gpus import list_gpu_views
from service.commands.jobs.job_list import list_job_page
from service.commands.jobs.status import get_job_view
from service.commands.ops.doctor_jobs import check_leases
from service.commands.people.usage import list_usage_views
from service.db.tables import jobs as jobs_table
from service.db.tables import metadata
from service.dispatch.dispatcher import Dispatcher
from service.domain.gpus import Outsider, Reading
from service.domain.jobs import Attempt, JobId, Progress
from service.domain.people import SCHEDULER
from service.domain.run_folder import EVENTS_FILE
from service.domain.scheduling_options import SchedulingOptions
from service.domain.spec_request import resolve_spec
from service.domain.states import JobState, Outcome
from service.scheduler.loop import Scheduler
from service.settings import Settings, load_settings
from service.store.fleet import hosts, readings
from service.store.jobs import attempts, jobs
from service.store.transaction import Store, open_store
from tests.conftest import HOST
from workers.attempts.ingest import Ingester
from workers.host_agent import HostAgent

Change = Callable[[dict[str, Any]], object]


def replace_all(spec: dict[str, Any]) -> None:
    """Leave nothing of the shape that is known."""
    spec.clear()
    spec.update(schema_version=2, recipe=["nobody knows"])


CHANGES: Mapping[str, Change] = {
    "model.stochastic_depth": lambda spec: spec["model"].update(stochastic_depth=0.1),
    "training.early_stopping.metric": lambda spec: spec["training"]["early_stopping"].update(metric="loss"),
    "distillation": lambda spec: spec.update(distillation={"teacher": 7}),
    "schema_version 2": replace_all,
}


def stored(tx_store: Store, job_id: JobId) -> str:
    with tx_store.reading() as tx:
        return jobs.get_job(tx, job_id).spec


def set_spec(store: Store, job_id: JobId, text: str) -> None:
    with store.transaction() as tx:
        tx.connection.execute(update(jobs_table).where(jobs_table.c.id == job_id).values(spec=text))


def make_newer(store: Store, job_id: JobId, change: Change) -> str:
    """Store a job's spec as a newer cnnctl would have; returns what was stored before."""
    before = stored(store, job_id)
    spec = json.loads(before)
    change(spec)
    set_spec(store, job_id, json.dumps(spec))
    return before


def state_and_reason(store: Store, job_id: JobId) -> tuple[JobState, str]:
    with store.reading() as tx:
        job = jobs.get_job(tx, job_id)
    return job.state, job.reason


def show_all(store: Store) -> str:
    """Everything that `status` and `status JOB` print, also as JSON."""
    console = make_console()
    with console.capture() as pages:
        views = list_job_page(store).items
        console.print(job_table(views, []))
        for view in views:
            page = get_job_view(store, JobId(view.job))
            json.dumps(to_json(page))
            console.print(job_page(page))
    return str(pages.get())


def new_scheduler(store: Store, settings: Settings) -> Scheduler:
    return Scheduler(store, settings, Dispatcher(settings))


@pytest.mark.parametrize("what", CHANGES)
def test_a_job_of_a_newer_cnnctl_waits_shows_why_and_runs_after_the_upgrade(
    store: Store, settings: Settings, add_host: Callable[..., None], add_job: Callable[..., JobId], what: str
) -> None:
    add_host(gpus=2)
    newer, other = add_job(), add_job()
    known = make_newer(store, newer, CHANGES[what])
    scheduler = new_scheduler(store, settings)
    for _ in range(2):
        scheduler.tick()
    state, reason = state_and_reason(store, newer)
    assert state is JobState.QUEUED
    assert reason == f"made by a newer cnnctl ({what}): upgrade cnnctl where the scheduler runs"
    assert state_and_reason(store, other)[0] is JobState.RUNNING
    assert "cannot be shown" not in show_all(store)
    set_spec(store, newer, known)  # as if the scheduler that starts now knew all of it
    new_scheduler(store, settings).tick()
    assert state_and_reason(store, newer)[0] is JobState.RUNNING


class NoTrainers:
    """A starter on a host that has no process left."""

    def start(self, run_dir: Path) -> None:
        raise OSError(f"no process for {run_dir}")


@pytest.fixture
def start_worker(store: Store, tmp_path: Path) -> Iterator[Callable[[str], HostAgent]]:
    """The worker of a host, which takes what it is told to and nothing else."""
    started: list[HostAgent] = []

    def start(host: str) -> HostAgent:
        named = {"CNNCTL_HOME": str(tmp_path), "CNNCTL_HOST": host, "CNNCTL_GPUS": "sim:2"}
        started.append(HostAgent(store, load_settings(named), NoTrainers()))  # type: ignore[arg-type]
        return started[-1]

    yield start
    for agent in started:
        agent.stop()


def use_new_optimizer(spec: dict[str, Any]) -> None:
    """A value that is new, in a field that is not."""
    spec["optimizer"]["name"] = "lion"


def test_a_worker_that_does_not_know_all_of_a_spec_gives_the_job_back_until_it_is_upgraded(
    store: Store,
    settings: Settings,
    add_host: Callable[..., None],
    add_job: Callable[..., JobId],
    start_worker: Callable[[str], HostAgent],
) -> None:
    job = add_job()
    make_newer(store, job, use_new_optimizer)
    scheduler = new_scheduler(store, settings)
    old = start_worker(HOST)
    add_host(worker=old.worker)
    scheduler.tick()
    with store.reading() as tx:
        (attempt,) = attempts.list_live_attempts(tx)
    old.run_attempt(attempt.id)
    with store.reading() as tx:
        ended = attempts.get_attempt(tx, attempt.id)
    assert ended.outcome is Outcome.INTERRUPTED
    assert not Path(ended.run_dir).exists()
    for _ in range(3):
        scheduler.tick()
    state, reason = state_and_reason(store, job)
    assert state is JobState.QUEUED
    assert reason.startswith(f"made by a newer cnnctl than runs on {HOST} (optimizer.name: input should be")
    assert reason.endswith("upgrade cnnctl there")
    with store.transaction() as tx:
        hosts.set_disk_full(tx, HOST, worker=old.worker)
    scheduler.tick()
    add_host(worker=old.worker)  # it has room again, and is as old as before
    scheduler.tick()
    with store.reading() as tx:
        assert len(attempts.list_attempts(tx, job)) == 1
    add_host(worker="upgraded")
    scheduler.tick()
    assert state_and_reason(store, job)[0] is JobState.RUNNING


def test_a_host_beside_the_chiefs_that_does_not_know_all_of_a_spec_gives_the_job_back(
    store: Store,
    settings: Settings,
    add_host: Callable[..., None],
    start_worker: Callable[[str], HostAgent],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("workers.attempts.supervisor.refuse_newer", lambda *_, **__: None)  # upgraded
    chief, other = start_worker("a"), start_worker("b")
    add_host("a", worker=chief.worker)
    add_host("b", worker=other.worker)
    with store.transaction() as tx:
        spec = resolve_spec("lenet5", {"resources.gpus": 4})
        job = jobs.create_job(tx, spec, owner="ada", reason="", scheduling=SchedulingOptions(hosts=2))
    make_newer(store, job, use_new_optimizer)
    scheduler = new_scheduler(store, settings)
    scheduler.tick()
    with store.reading() as tx:
        (attempt,) = attempts.list_live_attempts(tx)
    following = threading.Thread(target=chief.run_attempt, args=(attempt.id,))
    following.start()
    other.run_attempt(attempt.id)
    following.join(60)
    for _ in range(3):
        scheduler.tick()
    state, reason = state_and_reason(store, job)
    assert state is JobState.QUEUED
    assert reason.startswith("made by a newer cnnctl than runs on b (optimizer.name")
    with store.reading() as tx:
        assert len(attempts.list_attempts(tx, job)) == 1


# Every column of JSON, and how a newer cnnctl may have filled it.
UNKNOWN: Mapping[tuple[str, str], Callable[[Any], Any]] = {
    ("jobs", "spec"): lambda spec: {**spec, "distillation": {"teacher": 7}},
    ("attempts", "progress"): lambda progress: {**progress, "learning_rate": 0.1, "queue": [1]},
    ("gpu_readings", "outsiders"): lambda outsiders: [{**one, "container": "c1"} for one in outsiders],
}
PROGRESS = {
    "epoch": 1,
    "epochs": 2,
    "step": 3,
    "steps_per_epoch": 40,
    "images_per_second": 1.0,
    "loss": 0.5,
    "accuracy": None,
}


def change_column(store: Store, table: str, column: str, change: Callable[[Any], Any]) -> None:
    """Rewrite the JSON in a column of all rows."""
    cells = metadata.tables[table]
    with store.transaction() as tx:
        for text in set(tx.connection.execute(select(cells.c[column])).scalars()):
            changed = update(cells).where(cells.c[column] == text)
            tx.connection.execute(changed.values({column: json.dumps(change(json.loads(text)))}))


def look_at_everything(store: Store, settings: Settings) -> None:
    """Whatever reads those columns: pages, lists, usage, doctor, heartbeat and scheduler."""
    show_all(store)
    list_gpu_views(store, settings)
    list_usage_views(store)
    list(check_leases(store, settings))
    new_scheduler(store, settings).tick()
    with store.transaction() as tx:
        (live,) = attempts.list_live_attempts(tx)
        assert attempts.heartbeat(tx, [live.id], worker="w1") == attempts.list_live_attempts(tx)


@pytest.fixture
def busy(store: Store, claimed: Callable[..., Attempt], add_job: Callable[..., JobId]) -> Attempt:
    """A running attempt with progress and a GPU that somebody else uses, and a job that waits."""
    attempt = claimed()
    with store.transaction() as tx:
        attempts.set_running_if_starting(tx, attempt, start_step=0)
        attempts.write_progress(tx, attempt, Progress(**PROGRESS))  # type: ignore[arg-type]
        readings.set_readings(tx, {f"{HOST}-1": Reading(outsiders=(Outsider(pid=7, user="bob"),))})
    add_job(gpus=2)
    return attempt


@pytest.mark.parametrize("cell", UNKNOWN, ids=".".join)
def test_unknown_keys_in_every_column_of_json_are_passed_over(
    store: Store, settings: Settings, busy: Attempt, cell: tuple[str, str]
) -> None:
    change_column(store, *cell, UNKNOWN[cell])
    look_at_everything(store, settings)
    with store.reading() as tx:
        assert attempts.get_attempt(tx, busy.id).progress == Progress(**PROGRESS)  # type: ignore[arg-type]
        (outsider,) = readings.list_outsiders(tx)[f"{HOST}-1"]
    assert (outsider.pid, outsider.user) == (7, "bob")


def test_progress_that_lacks_what_is_known_here_is_not_shown(
    store: Store, settings: Settings, busy: Attempt
) -> None:
    change_column(store, "attempts", "progress", lambda progress: {"phase": "warm-up"})
    look_at_everything(store, settings)
    with store.reading() as tx:
        assert attempts.get_attempt(tx, busy.id).progress is None


def test_every_column_of_json_is_among_those_that_are_tried(golden: Path) -> None:
    with closing(open_store(f"sqlite:///{golden / 'cnnctl.db'}")) as old:
        old.upgrade()
        with old.reading() as tx:
            found = {
                (table.name, column.name)
                for table in metadata.tables.values()
                for column in table.columns
                for cell in tx.connection.execute(select(column)).scalars()
                if isinstance(cell, str) and cell.startswith(("{", "["))
            }
    assert found == set(UNKNOWN)


@pytest.mark.parametrize(
    "events",
    [
        [{"kind": "weather", "at": 0, "degrees": 7}],
        [{"kind": "progress", "at": 0, **PROGRESS, "learning_rate": 0.1}],
        [{"kind": "progress", "at": 0, "phase": "warm-up"}],
        [{"kind": "started", "at": 0, "step": 0, "exact": True, "warm": True}],
        [{"kind": "stage", "at": 0, "text": "reading", "of": 7}],
    ],
)
def test_events_of_a_newer_trainer_are_taken_in(
    store: Store, claimed: Callable[..., Attempt], tmp_path: Path, events: list[Any]
) -> None:
    attempt = claimed(runs_dir=str(tmp_path))
    folder = Path(attempt.run_dir)
    folder.mkdir(parents=True)
    (folder / EVENTS_FILE).write_text("".join(json.dumps(event) + "\n" for event in events))
    ingester = Ingester(store, attempt, actor=SCHEDULER)
    assert ingester.ingest()
    assert not ingester.ingest()
