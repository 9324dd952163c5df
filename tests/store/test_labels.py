"""Names, tags and notes of jobs: given at submission, changed by their owner, and kept in the audit."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from cnnctl.views.codec import to_json
from cnnctl.views.jobs import LabelsView
from service.commands.jobs.control import cancel
from service.commands.jobs.job_list import list_job_page
from service.commands.jobs.labels import change_labels
from service.commands.jobs.status import get_job_view
from service.commands.jobs.submit import submit
from service.domain.jobs import JobId
from service.domain.labels import LabelChanges, Labels
from service.domain.people import Actor
from service.domain.states import Action
from service.errors import JobNotFound, NotAllowed, SpecError
from service.settings import Settings
from service.store.jobs import labels
from service.store.people import audit
from service.store.transaction import Store
from tests.conftest import ADA
from tests.json_keys import check_type

EVE = Actor(name="eve")
ROOT = Actor(name="root", operator=True)
LABELLED = Labels(name="Baseline, third try", tags=("seed-3", "Baseline"), note="see page 4\r\nof the book")


@pytest.fixture
def ask(store: Store, settings: Settings) -> Callable[..., JobId]:
    """Submit a job with labels."""
    return lambda given: JobId(submit(store, settings, "softmax", {}, owner=ADA, labels=given).job)


def shown(store: Store, job_id: JobId) -> tuple[str, list[str], str]:
    view = get_job_view(store, job_id)
    return view.name, list(view.tags), view.note


def test_labels_given_at_submission_are_shown(store: Store, ask: Callable[..., JobId]) -> None:
    job_id = ask(LABELLED)
    words = ("Baseline, third try", ["baseline", "seed-3"], "see page 4\nof the book")
    assert shown(store, job_id) == words
    (summary,) = list_job_page(store).items
    assert (summary.name, list(summary.tags)) == words[:2]
    assert shown(store, ask(Labels())) == ("", [], "")


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (Labels(name="x" * 256), "name must have a length from 0 to 255"),
        (Labels(name="two\nlines"), "name takes printable characters"),
        (Labels(tags=("two words",)), "letters a-z, digits"),
        (Labels(tags=("",)), "letters a-z, digits"),
        (Labels(tags=("x" * 65,)), "1 to 64"),
        (Labels(tags=tuple(map(str, range(21)))), "tags must have a length from 0 to 20"),
        (Labels(note="x" * 10_001), "note must have a length from 0 to 10,000"),
        (Labels(note="red \x1b[31m"), "note takes printable characters"),
        (Labels(note="half \ud800"), "note takes printable characters"),
    ],
)
def test_labels_beyond_their_bounds_are_refused_in_words(
    store: Store, ask: Callable[..., JobId], given: Labels, words: str
) -> None:
    with pytest.raises(SpecError, match=words) as refusal:
        ask(given)
    assert len(str(refusal.value)) < 400
    assert list_job_page(store).items == []


def test_a_note_may_have_lines_tabs_and_any_letters(store: Store, ask: Callable[..., JobId]) -> None:
    note = "1.\tÜbung — 学习\u00a0🙂\n2.\tthe rest"
    assert shown(store, ask(Labels(note=note)))[2] == note


def test_what_changes_is_kept_in_the_audit_as_it_was_and_as_it_is(
    store: Store, ask: Callable[..., JobId]
) -> None:
    job_id = ask(LABELLED)
    changes = LabelChanges(name="Best", add_tags=["PAPER"], remove_tags=["seed-3"])
    view = change_labels(store, job_id, changes, actor=ADA)
    assert (view.name, list(view.tags), view.note) == shown(store, job_id)
    assert shown(store, job_id) == ("Best", ["baseline", "paper"], "see page 4\nof the book")
    check_type(to_json(view), LabelsView, set(), at="labels")
    with store.reading() as tx:
        entry = audit.list_entries(tx, job_id)[-1]
    assert (entry.action, entry.actor, entry.detail) == (Action.CHANGED, "ada", "name, tags")
    assert entry.before == {"name": "Baseline, third try", "tags": ["baseline", "seed-3"]}
    assert entry.after == {"name": "Best", "tags": ["baseline", "paper"]}


def test_an_empty_text_removes_and_nothing_changed_is_no_entry(
    store: Store, ask: Callable[..., JobId]
) -> None:
    job_id = ask(LABELLED)
    cancel(store, job_id, actor=ADA)  # labels can be changed of a job that has ended
    change_labels(store, job_id, LabelChanges(note="", add_tags=["baseline"]), actor=ADA)
    assert shown(store, job_id)[1:] == (["baseline", "seed-3"], "")
    before = entries(store, job_id)
    change_labels(store, job_id, LabelChanges(note="", add_tags=["baseline"]), actor=ADA)
    assert entries(store, job_id) == before


def entries(store: Store, job_id: JobId) -> int:
    with store.reading() as tx:
        return len(audit.list_entries(tx, job_id))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (LabelChanges(remove_tags=["paper"]), "has no tag paper. Its tags: baseline, seed-3"),
        (LabelChanges(add_tags=["a", "b"], remove_tags=["b"]), "added or removed, not both. Received: b"),
        (LabelChanges(add_tags=list(map(str, range(19)))), "tags must have a length from 0 to 20"),
        (LabelChanges(name="x" * 256), "name must have a length"),
    ],
)
def test_a_change_that_is_refused_changes_nothing(
    store: Store, ask: Callable[..., JobId], changes: LabelChanges, words: str
) -> None:
    job_id = ask(LABELLED)
    before = shown(store, job_id)
    with pytest.raises(SpecError, match=words):
        change_labels(store, job_id, changes, actor=ADA)
    assert shown(store, job_id) == before


def test_only_the_owner_and_administrators_change_labels(store: Store, ask: Callable[..., JobId]) -> None:
    job_id = ask(LABELLED)
    with pytest.raises(NotAllowed, match="is ada's"):
        change_labels(store, job_id, LabelChanges(name="mine"), actor=EVE)
    assert change_labels(store, job_id, LabelChanges(name="seen"), actor=ROOT).name == "seen"
    with pytest.raises(JobNotFound):
        change_labels(store, JobId(99), LabelChanges(name="none"), actor=ROOT)


def test_people_who_add_tags_at_the_same_moment_lose_none(store: Store, ask: Callable[..., JobId]) -> None:
    job_id = ask(Labels())
    tags = [f"tag-{number}" for number in range(8)]
    with ThreadPoolExecutor(4) as pool:
        list(
            pool.map(lambda tag: change_labels(store, job_id, LabelChanges(add_tags=[tag]), actor=ADA), tags)
        )
    with store.reading() as tx:
        assert labels.get_labels(tx, job_id).tags == tuple(tags)
