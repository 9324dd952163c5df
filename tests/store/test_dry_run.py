"""A rehearsal says what a submission would come to, refuses what it would refuse, and stores nothing."""

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from cnnctl.views.codec import to_json
from cnnctl.views.dry_run import CandidateHost, DryRunView
from service.cli.display.dry_run_table import dry_run_table
from service.cli.terminal import make_console
from service.commands.jobs.dry_run import dry_run_job
from service.commands.jobs.submit import submit
from service.dispatch.dispatcher import Dispatcher
from service.domain.gpus import Gpu, Outsider, Reading
from service.domain.jobs import JobId, Progress
from service.domain.people import Actor
from service.domain.scheduling_options import SchedulingOptions
from service.domain.states import Outcome, Priority
from service.errors import NotAllowed, SpecError
from service.scheduler.loop import Scheduler
from service.settings import Settings
from service.store.fleet import hosts, readings, schedulers
from service.store.jobs import attempts, jobs
from service.store.jobs.endings import end_attempt
from service.store.transaction import Store
from tests.conftest import ADA, HOST, Clock
from tests.json_keys import check_keys

DIGITS = {"training.batch_size": 32}


@pytest.fixture
def tick(store: Store, settings: Settings) -> Callable[[], None]:
    return Scheduler(store, settings, Dispatcher(settings)).tick


@pytest.fixture
def ask(store: Store, settings: Settings) -> Callable[..., DryRunView]:
    def rehearse_one(
        architecture: str = "lenet5", *, after: tuple[JobId, ...] = (), hold: bool = False, **fields: Any
    ) -> DryRunView:
        scheduling = fields.pop("scheduling", SchedulingOptions())
        given = {path.replace("__", "."): value for path, value in fields.items()}
        return dry_run_job(
            store,
            settings,
            architecture,
            {**DIGITS, **given},
            owner=ADA,
            scheduling=scheduling,
            after=after,
            hold=hold,
        )

    return rehearse_one


@pytest.fixture
def queue(store: Store, settings: Settings) -> Callable[..., JobId]:
    def queue_one(**fields: Any) -> JobId:
        given = {path.replace("__", "."): value for path, value in fields.items()}
        return JobId(submit(store, settings, "lenet5", {**DIGITS, **given}, owner=ADA).job)

    return queue_one


@pytest.fixture
def train(store: Store, tick: Callable[[], None], clock: Clock) -> Callable[..., None]:
    """Let a job run to its end, at so many seconds an epoch of 40 steps."""

    def train_one(job_id: JobId, *, epoch_seconds: float, epochs: int = 2) -> None:
        tick()
        with store.transaction() as tx:
            attempt = attempts.find_live_attempt(tx, job_id)
            assert attempt is not None
            attempt = attempts.claim(tx, attempt.id, worker="w1", host_name=HOST, runs_dir="/runs")
            assert attempt is not None
            attempts.set_running_if_starting(tx, attempt, start_step=0)
        clock.advance(epoch_seconds * epochs)
        with store.transaction() as tx:
            progress = Progress(
                epoch=epochs,
                epochs=epochs,
                step=40 * epochs,
                steps_per_epoch=40,
                images_per_second=1.0,
                loss=1.0,
                accuracy=0.5,
            )
            attempts.write_progress(tx, attempt, progress)
            attempts.write(tx, attempt, epochs_completed=epochs)
            end_attempt(tx, attempt, Outcome.SUCCEEDED, reason="", actor=Actor(name="test"), retry_limit=0)
        tick()

    return train_one


def test_on_a_free_host_it_would_start_at_once_and_nothing_is_stored(
    store: Store, ask: Callable[..., DryRunView], add_host: Callable[..., None], tick: Callable[[], None]
) -> None:
    add_host()
    tick()
    view = ask(training__epochs=3)
    assert (view.starts_now, view.reason) == (True, f"starts at once on {HOST}")
    assert (view.network, view.dataset, view.batch_size, view.epochs) == (
        "lenet5",
        "digits",
        32,
        3,
    )
    assert view.hosts == [
        CandidateHost(
            host=HOST,
            fits="surely",
            up=True,
            models=["simulated (CPU)"],
            gpus=2,
            free=[f"{HOST}-0", f"{HOST}-1"],
        )
    ]
    assert view.epoch_seconds is None
    with store.reading() as tx:
        assert not jobs.list_jobs(tx)


def test_memory_is_told_by_part_and_beside_what_the_gpus_have(
    store: Store, ask: Callable[..., DryRunView], add_host: Callable[..., None]
) -> None:
    add_host()
    view = ask(resources__gpus=2)
    check_keys(to_json(view), "submit --dry-run")
    assert view.total_memory_mib == pytest.approx(sum(to_json(view.memory_mib).values()), abs=0.5)
    assert (view.device_memory_mib, view.memory_mib.context) == (None, 0)
    real = Gpu(uuid="r", host_name=HOST, number=0, model="H200", memory_mib=9000, simulated=False)
    with store.transaction() as tx:
        hosts.register_host(tx, HOST, worker="w1", cores=2, devices=[real])
    view = ask()
    assert (view.device_memory_mib, view.memory_mib.context) == (9000, 600)


def test_it_stands_in_line_behind_what_waits_already(
    store: Store,
    ask: Callable[..., DryRunView],
    queue: Callable[..., JobId],
    add_host: Callable[..., None],
    tick: Callable[[], None],
    clock: Clock,
) -> None:
    add_host()
    running, first = queue(resources__gpus=2), queue(resources__gpus=2)
    tick()
    view = ask(resources__gpus=2)
    assert view.starts_now is False
    assert view.reason == f"waits for job {first}, which needs 2 GPUs and goes first; place 2 in line"
    assert view.queue_position == 2
    assert view.estimated_start_at is not None
    assert view.estimated_start_at > clock.now
    assert view.hosts[0].free == []
    with store.reading() as tx:
        assert [job.id for job in jobs.list_jobs(tx)] == [first, running]


def test_what_keeps_a_job_waiting_is_said_before_it_is_queued(
    ask: Callable[..., DryRunView],
    queue: Callable[..., JobId],
    add_host: Callable[..., None],
    tick: Callable[[], None],
    clock: Clock,
) -> None:
    assert "No scheduler is running" in ask().reason
    add_host()
    tick()
    first = queue()
    assert ask(after=(first,)).reason == f"waits for job {first} to succeed"
    assert "on hold" in ask(hold=True).reason
    later = clock.now + timedelta(hours=1)
    view = ask(scheduling=SchedulingOptions(not_before=later))
    assert view.reason.startswith("waits until 2026-01-01 13:00:00 UTC")
    assert (view.queue_position, view.estimated_start_at) == (None, None)


def test_the_time_is_that_of_jobs_with_the_same_spec_whatever_their_seed_and_epochs(
    ask: Callable[..., DryRunView],
    queue: Callable[..., JobId],
    train: Callable[..., None],
    add_host: Callable[..., None],
) -> None:
    add_host()
    train(queue(training__seed=7, training__epochs=2), epoch_seconds=2.0)
    train(queue(model__activation="tanh"), epoch_seconds=50.0)
    view = ask(training__epochs=10, optimizer__lr=0.5)
    assert (view.epoch_seconds, view.training_seconds, view.like_jobs) == (2.0, 20.0, 1)
    for other in (
        *({"training__batch_size": 64}, {"resources__gpus": 2}, {"data__image_size": 40}),
        {"model__activation": "sigmoid"},
    ):
        assert ask(**other).epoch_seconds is None


def test_what_would_be_refused_is_refused(
    store: Store, ask: Callable[..., DryRunView], add_host: Callable[..., None]
) -> None:
    add_host()
    with pytest.raises(SpecError, match="no host has 4 GPUs"):
        ask(resources__gpus=4)
    with pytest.raises(SpecError, match=r"Did you mean lenet5\?"):
        ask("lenet")
    with pytest.raises(SpecError, match="there is no job 7"):
        ask(after=(JobId(7),))
    with pytest.raises(NotAllowed, match="no right to priority high"):
        ask(scheduling=SchedulingOptions(priority=Priority.HIGH))
    real = Gpu(uuid="r", host_name=HOST, number=0, model="H200", memory_mib=1, simulated=False)
    with store.transaction() as tx:
        hosts.register_host(tx, HOST, worker="w1", cores=2, devices=[real])
    with pytest.raises(SpecError, match="No batch size surely fits"):
        ask(training__batch_size=1024)


def test_the_page_is_short_and_says_everything(
    ask: Callable[..., DryRunView],
    queue: Callable[..., JobId],
    train: Callable[..., None],
    add_host: Callable[..., None],
    capsys: pytest.CaptureFixture[str],
) -> None:
    add_host()
    train(queue(), epoch_seconds=2.0)
    view = ask(resources__gpus=1)
    json.dumps(to_json(view))
    make_console().print(dry_run_table(view))
    printed = capsys.readouterr().out
    for words in (
        "lenet5 on digits",
        "2 of 2 GPUs free",
        "activations",
        "about 2 s an epoch",
        "starts at once",
    ):
        assert words in printed
    assert len(printed.splitlines()) < 20


def test_it_says_which_hosts_have_the_memory_and_starts_on_one_of_those(
    store: Store, ask: Callable[..., DryRunView], tick: Callable[[], None]
) -> None:
    for name, memory_mib in (("enough", 4000), ("small", 1), ("tight", 200)):
        real = Gpu(uuid=name, host_name=name, number=0, model="T1", memory_mib=memory_mib, simulated=False)
        with store.transaction() as tx:
            hosts.register_host(tx, name, worker="w1", cores=2, devices=[real])
    tick()
    view = ask()
    assert {host.host: host.fits for host in view.hosts} == {
        "enough": "surely",
        "small": "not",
        "tight": "perhaps",
    }
    assert view.reason == "starts at once on enough"


def test_a_gpu_that_is_used_from_outside_is_not_called_free(
    store: Store, ask: Callable[..., DryRunView], add_host: Callable[..., None], tick: Callable[[], None]
) -> None:
    add_host()
    tick()
    with store.transaction() as tx:
        outsiders = (Outsider(pid=4711, user="bob"),)
        readings.set_readings(tx, {f"{HOST}-0": Reading(memory_used_mib=10, outsiders=outsiders)})
    (host,) = ask().hosts
    assert (host.gpus, host.free) == (2, [f"{HOST}-1"])


def test_while_the_broker_is_away_nothing_would_start(
    store: Store, ask: Callable[..., DryRunView], add_host: Callable[..., None]
) -> None:
    add_host()
    with store.transaction() as tx:
        schedulers.heartbeat(tx, "gpu01:1", pid=1, broker_error="Connection refused")
    view = ask()
    assert not view.starts_now
    assert "broker cannot be reached" in view.reason
