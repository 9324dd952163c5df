"""What is refused at submission, in words, and what waits for its time or for others."""

import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import insert, select

from service.commands.jobs.control import cancel, hold, pause, resume, retry, set_priority
from service.commands.jobs.submit import submit
from service.db.tables import jobs as jobs_table
from service.dispatch.dispatcher import Dispatcher
from service.domain.gpus import Gpu
from service.domain.jobs import Job, JobId
from service.domain.people import MOST_QUEUED, SCHEDULER, Actor, User
from service.domain.scheduling_options import SchedulingOptions
from service.domain.states import Action, JobState, Outcome, Priority
from service.errors import JobConflict, NotAllowed, SpecError
from service.scheduler.loop import Scheduler
from service.settings import Settings
from service.store.fleet import hosts
from service.store.jobs import attempts, jobs
from service.store.jobs.endings import end_attempt
from service.store.people import audit, users
from service.store.transaction import Store
from tests.conftest import ADA, HOST, Clock

EVE = Actor(name="eve")
ROOT = Actor(name="root", operator=True)
Ask = Callable[..., JobId]


@pytest.fixture
def ask(store: Store, settings: Settings) -> Ask:
    """Submit a job as a person would."""

    def submit_one(
        *, gpus: int = 1, owner: Actor = ADA, after: tuple[int, ...] = (), **asked: object
    ) -> JobId:
        hold = bool(asked.pop("hold", False))
        view = submit(
            store,
            settings,
            "softmax",
            {"resources.gpus": gpus},
            owner=owner,
            scheduling=SchedulingOptions(**asked),  # type: ignore[arg-type]
            after=[JobId(number) for number in after],
            hold=hold,
        )
        return JobId(view.job)

    return submit_one


@pytest.fixture
def grant(store: Store) -> Callable[..., None]:
    """Let Ada have or do more, or less."""

    def set_user(**granted: object) -> None:
        with store.transaction() as tx:
            users.set_user(tx, User(name="ada", **granted))  # type: ignore[arg-type]

    return set_user


def read(store: Store, job_id: JobId) -> Job:
    with store.reading() as tx:
        return jobs.get_job(tx, job_id)


def actions(store: Store, job_id: JobId) -> list[tuple[str, Action]]:
    with store.reading() as tx:
        return [(event.actor, event.action) for event in audit.list_entries(tx, job_id)]


def test_what_was_asked_of_the_scheduler_is_read_back(
    store: Store, ask: Ask, clock: Clock, add_host: Callable[..., None]
) -> None:
    add_host()
    asked = {
        "priority": Priority.LOW,
        "project": "ablation",
        "not_before": clock.now + timedelta(hours=3),
        "exclusive": True,
        "gpu_model": "SIMULATED",
        "host_name": HOST,
    }
    job = read(store, ask(**asked))
    assert job.scheduling == SchedulingOptions(**asked)  # type: ignore[arg-type]
    assert (job.preemptions, job.time_limit_seconds) == (0, None)
    assert "ablation" not in job.spec


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"gpus": 4}, "no host has 4 GPUs. The largest, gpu02, has 3. Nearest: --gpus 3"),
        ({"host_name": "gpu1"}, "there is no host gpu1. Did you mean gpu01? Known: gpu01, gpu02"),
        ({"host_name": HOST, "gpus": 4}, "gpu01 does not have 4 GPUs. It has 2. Nearest: --gpus 2"),
        ({"gpu_model": "H900"}, "no GPU is a H900. Did you mean NVIDIA H200? Known: NVIDIA H200, sim"),
        ({"gpu_model": "h200", "gpus": 2}, "no host has 2 h200 GPUs. The largest, gpu02, has 1"),
        ({"gpu_model": "h200", "host_name": HOST}, "gpu01 does not have 1 h200 GPUs. It has 0."),
        ({"project": "p" * 101}, "--project must have a length from 0 to 100"),
        ({"project": "a\udcffb"}, "--project takes printable characters"),
        ({"after": (7,)}, "there is no job 7. A job can wait for jobs that were submitted before it"),
        ({"after": (2,)}, "later one. See: cnnctl status"),  # the number that it would get
        ({"after": (1,)}, "job 1 is cancelled and will not succeed by itself. First: cnnctl retry 1"),
        ({"after": (-1, 2**40)}, "there is no job -1"),
    ],
)
def test_what_could_never_run_is_refused_with_the_nearest_choice(
    store: Store, ask: Ask, add_host: Callable[..., None], asked: dict[str, object], words: str
) -> None:
    add_host()
    add_host("gpu02", gpus=2)
    real = Gpu(uuid="r", host_name="gpu02", number=2, model="NVIDIA H200", memory_mib=9, simulated=False)
    with store.transaction() as tx:
        others = [gpu for gpu in hosts.list_gpus(tx) if gpu.host_name == "gpu02"]
        hosts.register_host(tx, "gpu02", worker="w1", cores=2, devices=[*others, real])
    cancel(store, ask(), actor=ADA)
    with pytest.raises(SpecError, match=re.escape(words)):
        ask(**asked)
    with store.reading() as tx:
        assert len(jobs.list_jobs(tx)) == 1


def test_a_job_of_several_gpus_cannot_have_mig_instances(store: Store, ask: Ask) -> None:
    part = Gpu(
        uuid="MIG-a",
        host_name=HOST,
        number=0,
        model="NVIDIA H200 MIG 1g.18gb",
        memory_mib=9,
        simulated=False,
        mig=True,
    )
    with store.transaction() as tx:
        devices = [replace(part, uuid=f"MIG-{number}", number=number) for number in range(7)]
        hosts.register_host(tx, HOST, worker="w1", cores=2, devices=devices)
    words = "The largest, gpu01, has 0; MIG instances take jobs on one GPU only. Nearest: --gpus 1"
    with pytest.raises(SpecError, match=re.escape(words)):
        ask(gpus=2)
    with pytest.raises(SpecError, match=re.escape("It has 0; MIG instances take jobs on one GPU only")):
        ask(gpus=2, host_name=HOST, gpu_model="h200")
    ask(gpus=1, gpu_model="h200")


def test_before_any_worker_has_registered_a_host_cannot_be_named(ask: Ask) -> None:
    with pytest.raises(SpecError, match=r"there is no host gpu01\. No worker has registered yet"):
        ask(host_name=HOST)


def test_quotas_are_said_and_count_queued_and_paused_jobs(
    store: Store, ask: Ask, grant: Callable[..., None], add_host: Callable[..., None]
) -> None:
    add_host()
    grant(max_gpus=1, max_queued=2)
    with pytest.raises(SpecError, match=r"ada may hold 1 GPUs at once\. Received: 2\. Nearest: --gpus 1"):
        ask(gpus=2)
    ask(gpus=2, owner=EVE)
    first = ask()
    ask(hold=True)
    with pytest.raises(SpecError, match="ada may have 2 jobs waiting, and has 2"):
        ask()
    cancel(store, first, actor=ADA)
    ask()


def test_who_was_granted_nothing_may_have_ten_thousand_jobs_waiting_and_an_administrator_raises_it(
    store: Store, ask: Ask, grant: Callable[..., None], add_job: Callable[..., JobId]
) -> None:
    first = add_job(owner="ada")
    columns = [column for column in jobs_table.c if column.name != "id"]
    with store.transaction() as tx:
        one = select(*columns).where(jobs_table.c.id == first)
        row = dict(tx.connection.execute(one).mappings().one())
        tx.connection.execute(insert(jobs_table), [row] * (MOST_QUEUED - 1))
    with pytest.raises(SpecError, match=r"ada may have 10000 jobs waiting.* users set ada --max-queued"):
        ask()
    ask(owner=EVE)
    grant(max_queued=MOST_QUEUED + 1)
    ask()


def test_of_many_submissions_at_once_no_more_than_the_quota_are_taken(
    store: Store, ask: Ask, grant: Callable[..., None]
) -> None:
    grant(max_queued=3)

    def submit_one(_: int) -> bool:
        try:
            ask()
        except SpecError:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(submit_one, range(16))) == 3


def test_high_priority_needs_the_right_to_it(store: Store, ask: Ask, grant: Callable[..., None]) -> None:
    with pytest.raises(
        NotAllowed, match=r"ada has no right to priority high\. .* cnnctl users set ada --high"
    ):
        ask(priority=Priority.HIGH)
    normal = ask()
    with pytest.raises(NotAllowed):
        set_priority(store, normal, Priority.HIGH, actor=ADA)
    grant(may_use_high=True)
    ask(priority=Priority.HIGH)
    set_priority(store, normal, Priority.HIGH, actor=ADA)
    assert read(store, normal).scheduling.priority is Priority.HIGH
    ask(priority=Priority.HIGH, owner=ROOT)
    with store.reading() as tx:
        assert audit.list_entries(tx, normal)[-1].detail == "normal → high"


def test_only_the_owner_or_an_administrator_may_change_a_job(store: Store, ask: Ask) -> None:
    number = ask()
    for act in (cancel, pause, hold, resume, retry):
        with pytest.raises(NotAllowed, match=rf"Job {number} is ada's: only ada or an administrator"):
            act(store, number, actor=EVE)
    with pytest.raises(NotAllowed):
        set_priority(store, number, Priority.LOW, actor=EVE)
    assert actions(store, number) == [("ada", Action.SUBMITTED)]
    with store.transaction() as tx:
        users.set_user(tx, User(name="eve", administrator=True))
    pause(store, number, actor=EVE)
    resume(store, number, actor=ROOT)
    assert actions(store, number)[1:] == [("eve", Action.PAUSED), ("root", Action.RESUMED)]


def test_a_job_on_hold_is_paused_until_it_is_resumed(store: Store, ask: Ask) -> None:
    number = ask(hold=True)
    assert read(store, number).state is JobState.PAUSED
    with pytest.raises(JobConflict, match="cannot be paused: it is already paused"):
        pause(store, number, actor=ADA)
    with pytest.raises(JobConflict, match="cannot be held: it is paused"):
        hold(store, number, actor=ADA)
    resume(store, number, actor=ADA)
    with pytest.raises(JobConflict, match="cannot be resumed: it is queued"):
        resume(store, number, actor=ADA)
    hold(store, number, actor=ADA)
    assert cancel(store, number, actor=ADA) is JobState.CANCELLED
    with pytest.raises(JobConflict, match="already cancelled"):
        set_priority(store, number, Priority.LOW, actor=ADA)


@pytest.fixture
def tick(store: Store, settings: Settings) -> Callable[[], None]:
    return Scheduler(store, settings, Dispatcher(settings)).tick


def end(store: Store, number: JobId, outcome: Outcome) -> None:
    with store.transaction() as tx:
        attempt = attempts.find_live_attempt(tx, number)
        assert attempt is not None
        assert end_attempt(tx, attempt, outcome, reason="", actor=SCHEDULER, retry_limit=0)


def test_a_job_starts_when_those_before_it_have_succeeded_also_after_a_retry(
    store: Store, ask: Ask, tick: Callable[[], None], add_host: Callable[..., None]
) -> None:
    add_host()
    first, second = ask(), ask()
    third = ask(after=(first, second))
    tick()
    assert read(store, third).reason == f"waits for jobs {first}, {second} to succeed"
    end(store, first, Outcome.FAILED)
    end(store, second, Outcome.SUCCEEDED)
    tick()
    waiting = read(store, third)
    assert (waiting.state, waiting.reason) == (
        JobState.QUEUED,
        f"waits for job {first}, which failed; cnnctl retry {first}, or cnnctl cancel {third}",
    )
    retry(store, first, actor=ADA)
    tick()
    assert read(store, third).reason == f"waits for job {first} to succeed"
    end(store, first, Outcome.SUCCEEDED)
    tick()
    assert read(store, third).state is JobState.RUNNING


def test_a_job_waits_for_its_time_and_holds_nobody_back(
    store: Store, ask: Ask, tick: Callable[[], None], clock: Clock, add_host: Callable[..., None]
) -> None:
    add_host()
    later = ask(not_before=clock.now + timedelta(hours=1), gpus=2)
    other = ask()
    tick()
    assert read(store, later).reason == "waits until 2026-01-01 13:00:00 UTC, as asked with --not-before"
    assert read(store, other).state is JobState.RUNNING
    end(store, other, Outcome.SUCCEEDED)
    clock.advance(3600)
    tick()
    assert read(store, later).state is JobState.RUNNING


def test_the_scheduler_honours_what_was_asked_and_granted(
    ask: Ask, grant: Callable[..., None], add_host: Callable[..., None], store: Store, settings: Settings
) -> None:
    add_host(HOST, gpus=3)
    add_host("gpu02", gpus=2)
    grant(max_gpus=2, may_use_high=True)
    first, second = ask(host_name=HOST), ask(host_name=HOST, priority=Priority.HIGH)
    third = ask(host_name=HOST)
    alone = ask(owner=EVE, exclusive=True, host_name="gpu02")
    beside = ask(owner=EVE, host_name="gpu02")
    Scheduler(store, settings, Dispatcher(settings)).tick()
    with store.reading() as tx:
        states = {number: jobs.get_job(tx, number).state for number in (first, second, third, alone, beside)}
        reasons = {number: jobs.get_job(tx, number).reason for number in (third, beside)}
    assert [number for number, state in states.items() if state is JobState.RUNNING] == [first, second, alone]
    assert reasons[third] == "waits for the quota: ada may hold 2 GPUs at once and holds 2"
    assert reasons[beside] == "waits for 1 GPU on gpu02: 0 free on gpu02; first in line"
