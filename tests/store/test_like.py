"""A job like another: its spec and scheduling where nothing else was given, and its number for ever."""

import json
from collections.abc import Callable
from typing import Any, get_type_hints

import pytest
from sqlalchemy import update

from service.commands.jobs.dry_run import dry_run_job
from service.commands.jobs.request import complete_request
from service.commands.jobs.status import get_job_view
from service.commands.jobs.submit import submit
from service.db.tables import jobs as jobs_table
from service.domain.jobs import Job, JobId
from service.domain.people import Actor
from service.domain.scheduling_options import GivenScheduling, SchedulingOptions
from service.domain.spec_notices import list_notices
from service.domain.states import Priority
from service.errors import JobNotFound, NotAllowed, SpecError
from service.settings import Settings
from service.store.jobs import jobs
from service.store.transaction import Store
from tests.conftest import ADA

ROOT = Actor(name="root", operator=True)
CHOSEN = {"training.epochs": 3, "optimizer.name": "adam", "data.dataset": "synthetic"}
SCHEDULING = SchedulingOptions(priority=Priority.LOW, project="vision", exclusive=True)


@pytest.fixture
def base(store: Store, settings: Settings) -> JobId:
    return JobId(submit(store, settings, "lenet5", CHOSEN, owner=ADA, scheduling=SCHEDULING).job)


@pytest.fixture
def like(store: Store, settings: Settings, base: JobId) -> Callable[..., JobId]:
    """Submit a job like `base`, or like another."""

    def submit_one(
        architecture: str | None = None, *, of: JobId = base, owner: Actor = ADA, **asked: Any
    ) -> JobId:
        fields = asked.pop("fields", {})
        return JobId(submit(store, settings, architecture, fields, owner=owner, like=of, **asked).job)

    return submit_one


def read(store: Store, job_id: JobId) -> Job:
    with store.reading() as tx:
        return jobs.get_job(tx, job_id)


def set_spec(store: Store, job_id: JobId, spec: str) -> None:
    with store.transaction() as tx:
        tx.connection.execute(update(jobs_table).where(jobs_table.c.id == job_id).values(spec=spec))


def test_nothing_given_makes_the_same_job_again(
    store: Store, base: JobId, like: Callable[..., JobId]
) -> None:
    made, first = read(store, like(owner=ROOT)), read(store, base)
    assert (made.spec, made.scheduling) == (first.spec, first.scheduling)
    assert (made.like_job_id, made.owner, made.name) == (base, "root", "")
    assert get_job_view(store, made.id).like == base
    assert get_job_view(store, base).like is None


def test_what_was_given_counts_and_all_else_is_as_it_was(store: Store, like: Callable[..., JobId]) -> None:
    given = GivenScheduling(priority=Priority.NORMAL, exclusive=False)
    made = read(store, like(fields={"training.seed": 7}, scheduling=given))
    spec = json.loads(made.spec)
    assert (spec["training"]["seed"], spec["training"]["epochs"]) == (7, 3)
    assert made.scheduling == SchedulingOptions(project="vision")
    whole = read(store, like(scheduling=SchedulingOptions()))
    assert whole.scheduling == SchedulingOptions()


def test_another_architecture_is_trained_on_the_same_dataset(
    store: Store, like: Callable[..., JobId]
) -> None:
    made = read(store, like("mlp"))
    assert (made.architecture, made.dataset) == ("mlp", "synthetic")
    assert json.loads(made.spec)["training"]["epochs"] == 3


def test_the_options_that_can_be_given_are_all_options() -> None:
    assert get_type_hints(GivenScheduling) == get_type_hints(SchedulingOptions)


def test_a_dry_run_is_of_the_same_job(
    store: Store, settings: Settings, base: JobId, add_host: Callable[..., None]
) -> None:
    add_host()
    view = dry_run_job(store, settings, None, {"training.epochs": 4}, owner=ADA, like=base)
    assert (view.network, view.dataset, view.epochs) == ("lenet5", "synthetic", 4)


def test_nothing_is_said_of_fields_that_the_other_job_has_chosen(store: Store, base: JobId) -> None:
    request = complete_request(store, None, {"training.seed": 1}, scheduling={}, like=base)
    assert list_notices(request.spec, request.chosen) == []
    request = complete_request(store, None, {"model.init": "paper"}, scheduling={}, like=base)
    assert [notice.split(" brings")[0] for notice in list_notices(request.spec, request.chosen)] == [
        "--init paper"
    ]


def test_a_priority_that_its_owner_may_not_use_is_refused(
    store: Store, settings: Settings, like: Callable[..., JobId]
) -> None:
    urgent = SchedulingOptions(priority=Priority.HIGH)
    of = JobId(submit(store, settings, "lenet5", {}, owner=ROOT, scheduling=urgent).job)
    with pytest.raises(NotAllowed):
        like(of=of)
    made = like(of=of, scheduling=GivenScheduling(priority=Priority.LOW))
    assert read(store, made).scheduling.priority is Priority.LOW


def test_the_spec_of_a_newer_cnnctl_is_refused_with_what_is_unknown(
    store: Store, base: JobId, like: Callable[..., JobId]
) -> None:
    spec = json.loads(read(store, base).spec)
    spec["model"]["stochastic_depth"] = 0.1
    set_spec(store, base, json.dumps(spec))
    with pytest.raises(SpecError, match=rf"like job {base} by this.*model\.stochastic_depth.*Upgrade cnnctl"):
        like()


@pytest.mark.parametrize("spec", ["", "[]", "5", '{"training":' * 5000])
def test_a_spec_that_cannot_be_read_is_refused_in_words(
    store: Store, base: JobId, like: Callable[..., JobId], spec: str
) -> None:
    set_spec(store, base, spec)
    with pytest.raises(SpecError, match=f"like job {base}: its spec cannot be read"):
        like()


def test_no_job_and_no_architecture_are_refused(
    store: Store, settings: Settings, like: Callable[..., JobId]
) -> None:
    with pytest.raises(JobNotFound):
        like(of=JobId(99))
    with pytest.raises(SpecError, match="Name an architecture, or a job"):
        submit(store, settings, None, {}, owner=ADA)
