"""What people may have and do is an administrator's to change; who acts is what the operating system says."""

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import pytest

from cnnctl.views.people import UserView
from service.commands.people.identity import current_actor
from service.commands.people.users import change_user, list_user_views
from service.db.engine import make_engine
from service.domain.jobs import JobId
from service.domain.people import MOST_QUEUED, Actor, User
from service.errors import NotAllowed, SpecError
from service.store.people import users
from service.store.transaction import Store
from tests.conftest import ADA

ROOT = Actor(name="root", operator=True)


def view_of(user: User) -> UserView:
    """A person as they are shown who never came in through the API."""
    return UserView(**asdict(user), uid=None, seen_at=None)


def test_everybody_who_submitted_or_was_granted_something_is_listed(
    store: Store, add_job: Callable[..., JobId]
) -> None:
    add_job(owner="grace")
    granted = change_user(store, "ada", {"weight": 2.0, "max_gpus": 4}, actor=ROOT)
    assert granted == view_of(User(name="ada", weight=2.0, max_gpus=4))
    views = {view.name: view for view in list_user_views(store)}
    assert list(views) == ["ada", "grace"]
    assert {view.max_queued for view in views.values()} == {MOST_QUEUED}


def test_what_an_older_cnnctl_stored_as_no_quota_stays_none(store: Store) -> None:
    change_user(store, "ada", {"max_queued": None}, actor=ROOT)
    assert change_user(store, "ada", {"weight": 2.0}, actor=ROOT).max_queued is None


def test_what_is_not_named_stays_as_it_is(store: Store) -> None:
    change_user(store, "ada", {"max_gpus": 4, "may_use_high": True}, actor=ROOT)
    changed = change_user(store, "ada", {"max_gpus": None, "max_queued": 0}, actor=ROOT)
    assert changed == view_of(User(name="ada", max_queued=0, may_use_high=True))


def test_only_administrators_change_what_people_may_have(store: Store) -> None:
    with pytest.raises(NotAllowed, match=r"Only an administrator may .* You are ada"):
        change_user(store, "ada", {"administrator": True}, actor=ADA)
    change_user(store, "ada", {"administrator": True}, actor=ROOT)
    change_user(store, "grace", {"weight": 0.5}, actor=ADA)


@pytest.mark.parametrize(
    "changes", [{"weight": 0.0}, {"weight": 1e-320}, {"weight": float("nan")}, {"max_gpus": 2**31}]
)
def test_a_grant_that_makes_no_sense_is_refused(store: Store, changes: dict[str, float]) -> None:
    with pytest.raises(SpecError, match="must have"):
        change_user(store, "ada", changes, actor=ROOT)
    assert list_user_views(store) == []


def test_a_quota_from_before_there_were_bounds_keeps_nobody_from_changing_something_else(
    store: Store,
) -> None:
    with store.transaction() as tx:
        users.set_user(tx, User(name="ada", max_queued=2**31 - 1))
    assert change_user(store, "ada", {"weight": 2.0}, actor=ROOT).max_queued == 2**31 - 1


def test_who_acts_is_what_the_operating_system_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store(make_engine(f"sqlite:///{tmp_path / 'cnnctl.db'}"))
    mine = current_actor(store)
    for name in ("USER", "LOGNAME", "USERNAME"):
        monkeypatch.setenv(name, "somebody-else")
    assert current_actor(store) == mine
    assert mine.operator  # of a data folder of their own
    store.close()
