"""Two jobs side by side: told is only what differs of what was asked for, where it ran, what came of it."""

import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update

from cnnctl.views.codec import from_json, to_json
from cnnctl.views.jobs import DifferenceView, JobDiffView
from service.commands.jobs.diff import diff_jobs
from service.commands.jobs.submit import submit
from service.db.tables import jobs as jobs_table
from service.domain.jobs import Attempt, JobId
from service.domain.metrics import Point
from service.domain.people import SCHEDULER
from service.domain.run_folder import LAUNCH_FILE
from service.domain.scheduling_options import GivenScheduling
from service.domain.states import Cause, Outcome, Priority
from service.errors import JobNotFound, SpecError
from service.settings import Settings
from service.store.fleet import leases
from service.store.jobs import attempts, metrics
from service.store.jobs.endings import end_attempt
from service.store.transaction import Store
from tests.conftest import ADA
from tests.json_keys import check_type
from workers.attempts.trainer_setup import TrainerSetup, make_run_folder

Claim = Callable[..., Attempt]


@pytest.fixture
def ask(store: Store, settings: Settings) -> Callable[..., JobId]:
    """Submit a job with fields `training__seed=1`."""

    def submit_one(architecture: str = "lenet5", **asked: Any) -> JobId:
        scheduling: GivenScheduling = asked.pop("scheduling", {})
        fields = {"data.dataset": "synthetic", **{name.replace("__", "."): asked[name] for name in asked}}
        return JobId(submit(store, settings, architecture, fields, owner=ADA, scheduling=scheduling).job)

    return submit_one


def end(store: Store, attempt: Attempt, outcome: Outcome, **written: object) -> None:
    cause = Cause.ERROR if outcome is Outcome.FAILED else None
    with store.transaction() as tx:
        if written:
            attempts.write(tx, attempt, **written)
        end_attempt(tx, attempt, outcome, cause=cause, reason="", actor=SCHEDULER, retry_limit=0)


def add_metrics(store: Store, attempt: Attempt, **values: float | None) -> None:
    with store.transaction() as tx:
        metrics.add_points(tx, attempt.id, [Point(name, 1, value) for name, value in values.items()])


def rows(differences: Any) -> dict[str, tuple[object, object]]:
    return {one.field: (one.first, one.second) for one in differences}


def test_the_same_job_twice_differs_in_nothing(
    store: Store, settings: Settings, ask: Callable[..., JobId]
) -> None:
    view = diff_jobs(store, settings, ask(), ask())
    lists = (view.spec, view.scheduling, view.outcome, view.metrics, view.environment)
    assert all(list(found) == [] for found in lists)
    assert (view.weights_digest, view.same_weights) == ((None, None), None)


def test_only_what_differs_of_spec_and_scheduling_is_told(
    store: Store, settings: Settings, ask: Callable[..., JobId]
) -> None:
    urgent = GivenScheduling(priority=Priority.LOW, project="vision")
    first, second = ask(), ask(optimizer__name="adam", training__seed=3, scheduling=urgent)
    view = diff_jobs(store, settings, first, second)
    assert (view.first, view.second) == (first, second)
    assert rows(view.spec) == {
        "optimizer.lr": (0.01, 0.001),
        "optimizer.name": ("sgd", "adam"),
        "training.seed": (0, 3),
    }
    assert rows(view.scheduling) == {"priority": ("normal", "low"), "project": ("", "vision")}


def test_a_field_that_only_one_of_them_has_is_null_of_the_other(
    store: Store, settings: Settings, ask: Callable[..., JobId]
) -> None:
    view = diff_jobs(store, settings, ask(), ask("mlp", model__hidden_units=7))
    assert rows(view.spec)["model.options.hidden_units"] == (None, 7)


def test_what_came_of_them_and_where_they_ran(
    store: Store,
    settings: Settings,
    ask: Callable[..., JobId],
    claimed: Claim,
    add_launch: Callable[[Attempt, str], None],
) -> None:
    first, second = ask(), ask()
    good = claimed(first, runs_dir=str(settings.runs_dir))
    add_launch(good, json.dumps({"threads": 4, "drivers": ["550.54.14"]}))
    add_metrics(store, good, loss=0.25, accuracy=0.5)
    end(store, good, Outcome.SUCCEEDED, weights_digest="a" * 64, epochs_completed=10)
    bad = claimed(second, gpu="gpu01-1", runs_dir=str(settings.runs_dir))
    add_launch(bad, json.dumps({"threads": 8, "drivers": ["570.86.10"]}))
    add_metrics(store, bad, loss=0.25, accuracy=None)
    end(store, bad, Outcome.FAILED)
    view = diff_jobs(store, settings, first, second)
    assert rows(view.outcome) == {
        "state": ("succeeded", "failed"),
        "outcome": ("succeeded", "failed"),
        "cause": (None, "error"),
        "epochs": (10, 0),
    }
    assert rows(view.metrics) == {"accuracy": (0.5, None)}
    assert rows(view.environment) == {
        "threads": (4, 8),
        "drivers": (["550.54.14"], ["570.86.10"]),
    }
    assert (view.weights_digest, view.same_weights) == (("a" * 64, None), None)
    document = json.loads(json.dumps(to_json(view)))
    seen: set[type] = set()
    check_type(document, JobDiffView, seen, at="diff")
    assert seen == {JobDiffView, DifferenceView}
    assert to_json(from_json(JobDiffView, document)) == document


@pytest.mark.parametrize(("digest", "same"), [("a", True), ("b", False)])
def test_weights_are_compared_bit_for_bit(
    store: Store,
    settings: Settings,
    ask: Callable[..., JobId],
    claimed: Claim,
    digest: str,
    same: bool,  # noqa: FBT001
) -> None:
    first, second = ask(), ask()
    for job_id, letter in ((first, "a"), (second, digest)):
        end(store, claimed(job_id), Outcome.SUCCEEDED, weights_digest=letter * 64)
    assert diff_jobs(store, settings, first, second).same_weights is same


@pytest.fixture
def add_launch() -> Callable[[Attempt, str], None]:
    """Write the launch file of an attempt."""

    def add(attempt: Attempt, text: str) -> None:
        Path(attempt.run_dir).mkdir(parents=True, exist_ok=True)
        (Path(attempt.run_dir) / LAUNCH_FILE).write_text(text)

    return add


@pytest.mark.parametrize(
    "text", ["", "no JSON", "[]", '{"threads": "many", "drivers": [7]}', "[" * 100_000, "x" * 2**21]
)
def test_whatever_lies_in_a_run_folder_stops_no_comparison(
    store: Store,
    settings: Settings,
    ask: Callable[..., JobId],
    claimed: Claim,
    add_launch: Callable[[Attempt, str], None],
    text: str,
) -> None:
    first, second = ask(), ask()
    attempt = claimed(second, runs_dir=str(settings.runs_dir))
    add_launch(attempt, text)
    assert not {"threads", "drivers"} & set(rows(diff_jobs(store, settings, first, second).environment))


def test_a_worker_records_the_versions_of_the_gpus_drivers(
    store: Store, settings: Settings, ask: Callable[..., JobId], claimed: Claim
) -> None:
    first, second = ask(), ask()
    for number, (job_id, driver) in enumerate([(first, "550.54.14"), (second, "570.86.10")]):
        attempt = claimed(job_id, gpu=f"gpu01-{number}", runs_dir=str(settings.runs_dir))
        with store.reading() as tx:
            (gpu,) = leases.list_leased_gpus(tx, attempt.id)
        setup = TrainerSetup(spec="{}", gpus=[replace(gpu, driver=driver)], resume_from=())
        make_run_folder(Path(attempt.run_dir), setup, settings, threads_per_gpu=1)
    found = rows(diff_jobs(store, settings, first, second).environment)
    assert found == {"drivers": (["550.54.14"], ["570.86.10"])}


def test_a_pipe_in_the_place_of_a_file_is_not_read(
    store: Store, settings: Settings, ask: Callable[..., JobId], claimed: Claim
) -> None:
    attempt = claimed(ask(), runs_dir=str(settings.runs_dir))
    Path(attempt.run_dir).mkdir(parents=True)
    os.mkfifo(Path(attempt.run_dir) / LAUNCH_FILE)
    assert "threads" not in rows(diff_jobs(store, settings, attempt.job_id, ask()).environment)


def test_a_job_that_there_is_not_and_a_spec_that_cannot_be_read_are_refused(
    store: Store, settings: Settings, ask: Callable[..., JobId]
) -> None:
    first, second = ask(), ask()
    with pytest.raises(JobNotFound):
        diff_jobs(store, settings, first, JobId(99))
    with store.transaction() as tx:
        tx.connection.execute(update(jobs_table).where(jobs_table.c.id == second).values(spec="[]"))
    with pytest.raises(SpecError, match=f"Job {second} cannot be compared"):
        diff_jobs(store, settings, first, second)
