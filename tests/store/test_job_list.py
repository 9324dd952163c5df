"""Lists of jobs: what a filter lets through, page by page, without reading all jobs of a large database."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import get_args

import pytest
from sqlalchemy import event, text

from cnnctl.views.requests import JobSort
from service.commands.jobs.job_list import count_job_states, list_job_page
from service.domain.job_filter import JobFilter
from service.domain.jobs import JobId, Waiting
from service.domain.labels import Labels
from service.domain.scheduling_options import SchedulingOptions
from service.domain.spec_request import resolve_spec
from service.domain.states import JobState
from service.errors import SpecError
from service.store.jobs import jobs
from service.store.transaction import Store, Transaction
from tests.conftest import Clock

MANY = 10_000
# Copies of job 1 with other owners, states and tags: each owner has one job in 100, one job in 1,000 runs.
COPIES = """
INSERT INTO jobs (owner, name, note, state, spec, architecture, dataset, gpus, priority, project, exclusive,
    hosts, reason, lost_attempts, preemptions, submitted_at, ended_at)
SELECT 'owner' || n % 100, name, note, CASE WHEN n % 1000 = 0 THEN 'queued' ELSE 'cancelled' END, spec,
    architecture, dataset, gpus, priority, project, exclusive, hosts, reason, lost_attempts, preemptions,
    submitted_at, CASE WHEN n % 1000 = 0 THEN NULL ELSE submitted_at END
FROM jobs, generate_series(2, :many) AS n
"""
TAGS = "INSERT INTO job_tags SELECT id, 'tag-' || id % 100 FROM jobs"


@pytest.fixture
def add(store: Store) -> Callable[..., JobId]:
    """Store a job."""

    def add_one(
        *,
        owner: str = "ada",
        project: str = "",
        architecture: str = "lenet5",
        dataset: str = "digits",
        like: JobId | None = None,
        name: str = "",
        tags: Sequence[str] = (),
        note: str = "",
    ) -> JobId:
        with store.transaction() as tx:
            return jobs.create_job(
                tx,
                resolve_spec(architecture, {"data.dataset": dataset}),
                owner=owner,
                reason="waits",
                scheduling=SchedulingOptions(project=project),
                labels=Labels(name=name, tags=tuple(tags), note=note),
                like=like,
            )

    return add_one


def find(store: Store, **wanted: object) -> list[int]:
    """The jobs on the first page of a filter."""
    page = list_job_page(store, filter=JobFilter(**wanted))  # type: ignore[arg-type]
    assert page.next is None
    return [job.job for job in page.items]


def test_each_part_of_a_filter_lets_through_what_it_says(
    store: Store, add: Callable[..., JobId], clock: Clock
) -> None:
    first = add(tags=["baseline", "seed-1"], project="vision")
    clock.advance(60)
    second = add(owner="bob", architecture="mlp", dataset="synthetic", tags=["baseline"], like=first)
    with store.transaction() as tx:
        jobs.set_state_if(tx, second, JobState.QUEUED, JobState.PAUSED, reason="")
    assert find(store) == [second, first]
    assert find(store, owner="ada") == [first]
    assert find(store, states=[JobState.PAUSED]) == [second]
    assert find(store, states=[JobState.PAUSED, JobState.QUEUED]) == [second, first]
    assert find(store, project="vision") == [first]
    assert find(store, project="") == [second]
    assert find(store, tags=["Baseline"]) == [second, first]
    assert find(store, tags=["baseline", "seed-1"]) == [first]
    assert find(store, architecture="mlp") == [second]
    assert find(store, dataset="synthetic") == [second]
    assert find(store, since=clock.now) == [second]
    assert find(store, since=clock.now + timedelta(seconds=1)) == []
    assert find(store, like=first) == [second]
    assert find(store, owner="bob", tags=["baseline"], states=[JobState.QUEUED]) == []
    own = add(dataset="cells@0123456789abcdef.npz")
    assert find(store, dataset="cells") == find(store, dataset="cells@0123456789abcdef.npz") == [own]
    assert find(store, dataset="cell") == []


def test_a_text_is_found_in_name_and_note_as_it_is_written_but_in_any_case(
    store: Store, add: Callable[..., JobId]
) -> None:
    share = add(name="Dropout 50% of all")
    path = add(note="see\nrun_7 of Bob, 100 / 3")
    add(name="drop 500", note="run 7")
    assert find(store, text="dropout") == [share]
    assert find(store, text="0%") == [share]
    assert find(store, text="RUN_7") == [path]
    assert find(store, text="100 / 3") == [path]
    assert find(store, text="\\") == []


def test_pages_show_each_job_once_though_jobs_come_in_between(
    store: Store, add: Callable[..., JobId]
) -> None:
    there = [add(name=f"job {number}", tags=["all"]) for number in range(7)]
    seen, before = [], None
    while True:
        page = list_job_page(store, filter=JobFilter(tags=["all"]), limit=3, before=before)
        seen += [(job.job, job.name, list(job.tags)) for job in page.items]
        add(tags=["all"])
        if page.next is None:
            break
        before = JobId(page.next)
    assert seen == [(number, f"job {number - 1}", ["all"]) for number in reversed(there)]


def test_a_page_that_ends_with_the_last_job_is_the_last(store: Store, add: Callable[..., JobId]) -> None:
    for _ in range(3):
        add()
    assert list_job_page(store, limit=3).next is None
    assert list_job_page(store, limit=2).next == 2


def test_jobs_are_counted_by_state(store: Store, add: Callable[..., JobId]) -> None:
    add()
    with store.transaction() as tx:
        jobs.set_state_if(tx, add_to(tx), JobState.QUEUED, JobState.CANCELLED, reason="")
    counts = count_job_states(store, filter=JobFilter(owner="bob"))
    assert counts.total == 1
    assert {state for state, count in counts.states.items() if count} == {"cancelled"}
    assert count_job_states(store).states["queued"] == 1
    assert set(count_job_states(store).states) == {state.value for state in JobState}


def add_to(tx: Transaction) -> JobId:
    return jobs.create_job(tx, resolve_spec("lenet5", {}), owner="bob", reason="")


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        (JobFilter(text="x" * 2000), "text must have a length from 0 to 1,024"),
        (JobFilter(owner="x" * 2000), "owner must have a length"),
        (JobFilter(like=JobId(2**63)), "like must have a value from 1 to"),
        (JobFilter(tags=["no tag"]), "letters a-z, digits"),
        (JobFilter(tags=[str(number) for number in range(21)]), "tags must have a length from 0 to 20"),
    ],
)
def test_a_filter_beyond_its_bounds_is_refused_in_words(store: Store, wanted: JobFilter, words: str) -> None:
    for ask in (list_job_page, count_job_states):
        with pytest.raises(SpecError, match=words):
            ask(store, filter=wanted)


@pytest.mark.parametrize("limit", [0, 1001])
def test_a_page_has_bounds(store: Store, limit: int) -> None:
    with pytest.raises(SpecError, match="limit must have a value from 1 to 1,000"):
        list_job_page(store, limit=limit)
    with pytest.raises(SpecError, match="before must have a value from 1 to"):
        list_job_page(store, before=JobId(2**63))


@pytest.mark.parametrize("store_url", ["postgresql"], indirect=True)
def test_no_page_by_owner_state_or_tag_reads_the_whole_table(store: Store, add: Callable[..., JobId]) -> None:
    add()
    with store.transaction() as tx:
        for statement in (COPIES, TAGS):
            tx.connection.execute(text(statement), {"many": MANY} if statement == COPIES else {})
        tx.connection.execute(text("ANALYZE jobs, job_tags"))
    for wanted in (
        JobFilter(owner="owner7"),
        JobFilter(states=[JobState.QUEUED]),
        JobFilter(tags=["tag-7"]),
        JobFilter(tags=["tag-7", "tag-8"]),
        JobFilter(owner="owner7", states=[JobState.CANCELLED], tags=["tag-8"]),
        JobFilter(owner="nobody"),
    ):
        with store.reading() as tx, explained(tx) as plans:
            jobs.list_jobs(tx, filter=wanted, limit=50, before=JobId(MANY))
        assert plans
        assert not [plan for plan in plans if "Seq Scan" in plan], plans


@contextmanager
def explained(tx: Transaction) -> Iterator[list[str]]:
    """The plans of what a transaction asks in the block."""
    asked: list[tuple[str, object]] = []

    def remember(_c: object, _k: object, statement: str, values: object, *_: object) -> None:
        asked.append((statement, values))

    plans: list[str] = []
    event.listen(tx.connection, "before_cursor_execute", remember)
    yield plans
    event.remove(tx.connection, "before_cursor_execute", remember)
    for statement, values in asked:
        lines = tx.connection.exec_driver_sql(f"EXPLAIN {statement}", values).scalars()  # type: ignore[arg-type]
        plans.append("\n".join(lines))


@pytest.mark.parametrize("sort", get_args(JobSort))
def test_in_every_order_the_pages_show_each_job_once(
    store: Store, add: Callable[..., JobId], sort: JobSort
) -> None:
    there = [add(owner=owner, architecture=net) for owner in ("ada", "bob") for net in ("softmax", "lenet5")]
    there += [add() for _ in range(3)]
    with store.transaction() as tx:
        for job in there[::2]:
            jobs.set_state_if(tx, job, JobState.QUEUED, JobState.CANCELLED, reason="")
        jobs.set_waits(tx, [Waiting(job_id=there[1], reason="waits", estimated_start_at=tx.now)])
        whole = [job.id for job in jobs.list_jobs(tx, sort=sort)]
    assert sorted(whole) == sorted(there)
    seen: list[int] = []
    before = None
    while True:
        page = list_job_page(store, limit=2, before=before, sort=sort)
        seen += [job.job for job in page.items]
        if page.next is None:
            break
        before = JobId(page.next)
    assert seen == whole


def test_orders_and_ends_are_as_they_say(store: Store, add: Callable[..., JobId]) -> None:
    first, second, third = add(owner="bob"), add(owner="ada"), add(owner="cleo")
    with store.transaction() as tx:
        jobs.set_state_if(tx, first, JobState.QUEUED, JobState.CANCELLED, reason="")
        jobs.set_waits(tx, [Waiting(job_id=third, reason="waits", estimated_start_at=tx.now)])
        soon = tx.now - timedelta(minutes=1)

    def order(sort: JobSort) -> list[int]:
        return [job.job for job in list_job_page(store, sort=sort).items]

    assert order("owner") == [second, first, third]
    assert order("ended")[0] == first
    assert order("start")[0] == third
    assert order("oldest") == [first, second, third]
    assert find(store, ended_since=soon) == [first]
