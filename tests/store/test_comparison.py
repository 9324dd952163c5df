"""Several jobs side by side: told is only what is not the same in all of them."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from cnnctl.views.codec import from_json, to_json
from cnnctl.views.jobs import ComparisonView, VariedField
from service.commands.jobs.comparison import compare_jobs
from service.commands.jobs.submit import submit
from service.domain.jobs import Attempt, JobId
from service.domain.labels import Labels
from service.domain.metrics import Point
from service.domain.people import SCHEDULER
from service.domain.states import Outcome
from service.errors import JobNotFound, SpecError
from service.settings import Settings
from service.store.jobs import metrics
from service.store.jobs.endings import end_attempt
from service.store.transaction import Store
from tests.conftest import ADA
from tests.json_keys import check_type


@pytest.fixture
def ask(store: Store, settings: Settings) -> Callable[..., JobId]:
    """Submit a job with fields `training__seed=1`."""

    def submit_one(architecture: str = "lenet5", name: str = "", **asked: Any) -> JobId:
        fields = {"data.dataset": "synthetic", **{path.replace("__", "."): asked[path] for path in asked}}
        return JobId(submit(store, settings, architecture, fields, owner=ADA, labels=Labels(name=name)).job)

    return submit_one


def rows(fields: Any) -> dict[str, list[object]]:
    return {one.field: list(one.values) for one in fields}


def test_what_is_the_same_in_all_is_left_out(
    store: Store, settings: Settings, ask: Callable[..., JobId], claimed: Callable[..., Attempt]
) -> None:
    ids = [ask(), ask(name="wide", optimizer__lr=0.1), ask("mlp", training__seed=3)]
    for job_id, value in zip(ids, (0.5, 0.5, None), strict=True):
        attempt = claimed(job_id)
        with store.transaction() as tx:
            metrics.add_points(tx, attempt.id, [Point("loss", 1, value), Point("lr", 1, 0.5)])
            end_attempt(tx, attempt, Outcome.SUCCEEDED, reason="", actor=SCHEDULER, retry_limit=0)
    view = compare_jobs(store, settings, [ids[2], ids[0], ids[1]])
    assert view.jobs == [ids[2], ids[0], ids[1]]
    assert rows(view.labels) == {"name": ["", "", "wide"]}
    assert rows(view.metrics) == {"loss": [None, 0.5, 0.5]}
    assert rows(view.spec)["training.seed"] == [3, 0, 0]
    assert rows(view.spec)["optimizer.lr"] == [0.01, 0.01, 0.1]
    assert "training.epochs" not in rows(view.spec)
    assert (rows(view.scheduling), rows(view.outcome)) == ({}, {})
    assert view.metric_names == ["loss", "lr"]
    document = json.loads(json.dumps(to_json(view)))
    seen: set[type] = set()
    check_type(document, ComparisonView, seen, at="comparison")
    assert seen == {ComparisonView, VariedField}
    assert to_json(from_json(ComparisonView, document)) == document


def test_one_job_and_more_than_a_hundred_are_refused(
    store: Store, settings: Settings, ask: Callable[..., JobId]
) -> None:
    job_id = ask()
    for ids in ([job_id], [job_id] * 101):
        with pytest.raises(SpecError, match="2 to 100"):
            compare_jobs(store, settings, ids)
    with pytest.raises(JobNotFound):
        compare_jobs(store, settings, [job_id, JobId(99)])
