"""A job that an older cnnctl paused goes on from its newest checkpoint, or else waits for a person."""

import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import func, update

from service.commands.jobs.control import resume
from service.db.tables import checkpoints as checkpoints_table
from service.dispatch.dispatcher import Dispatcher
from service.domain.jobs import Attempt, JobId
from service.domain.people import Actor
from service.domain.states import JobState
from service.scheduler.loop import Scheduler
from service.settings import load_settings
from service.store.fleet import hosts
from service.store.jobs import attempts, checkpoints, jobs
from service.store.transaction import Store, open_store
from tests.servers import wait_until
from tests.trainer_run import Run
from workers.attempts.starter import Starter
from workers.host_agent import HostAgent

PAUSED = JobId(3)
THERE = "/var/lib/cnnctl"  # where the data folder lay
ROOT_USER = Actor(name="root")


def test_a_job_of_5082cc5_is_resumed_where_it_was_paused(golden: Path, starter: Starter) -> None:
    before = golden / "runs" / "3" / "1"
    newest_first = sorted(map(str, (before / "checkpoints").glob("step-*")), reverse=True)
    resumed = Run(golden / "runs" / "3" / "9", starter)
    resumed.start(spec_text=(before / "spec.json").read_text(), resume_from=tuple(newest_first), threads=1)
    resumed.wait_for("started")
    resumed.terminate()
    assert resumed.end()["outcome"] == "interrupted"
    started = next(event for event in resumed.events() if event["kind"] == "started")
    assert started["step"] == 1400
    assert "another spec" not in started["note"]


@pytest.fixture
def old(golden: Path) -> Iterator[Store]:
    with closing(open_store(f"sqlite:///{golden / 'cnnctl.db'}")) as store:
        store.upgrade()
        yield store


def start_again(store: Store, agent: HostAgent) -> tuple[threading.Thread, Attempt]:
    """Resume the job; its new attempt, and the thread in which the worker follows it."""
    resume(store, PAUSED, actor=ROOT_USER)
    settings = load_settings({"CNNCTL_HOME": str(Path(store.folder or "")), "CNNCTL_HOST": "gpu01"})
    Scheduler(store, settings, Dispatcher(settings)).tick()
    with store.reading() as tx:
        attempt = attempts.find_live_attempt(tx, PAUSED)
    assert attempt
    following = threading.Thread(target=agent.run_attempt, args=(attempt.id,))
    following.start()
    return following, attempt


def test_in_a_data_folder_that_was_moved_it_waits_for_a_person_and_then_goes_on(
    golden: Path, old: Store, starter: Starter
) -> None:
    named = {"CNNCTL_HOME": str(golden), "CNNCTL_HOST": "gpu01", "CNNCTL_GPUS": "sim:2"}
    agent = HostAgent(old, load_settings(named), starter)
    with old.transaction() as tx:
        hosts.register_host(tx, "gpu01", worker=agent.worker, cores=2, devices=agent.gpus)
    following, _ = start_again(old, agent)
    following.join(60)
    with old.reading() as tx:
        job = jobs.get_job(tx, PAUSED)
        known = checkpoints.list_checkpoints(tx, PAUSED)
    assert job.state is JobState.PAUSED
    assert f"it cannot continue from any of its checkpoints: {THERE}/runs/3/1/" in job.reason
    assert [checkpoint.step for checkpoint in known] == [1400, 1360]
    assert len(list((golden / "runs" / "3" / "1" / "checkpoints").glob("step-*"))) == 2

    with old.transaction() as tx:  # an administrator tells the database where they are now
        path = checkpoints_table.c.path
        tx.connection.execute(update(checkpoints_table).values(path=func.replace(path, THERE, str(golden))))
    following, attempt = start_again(old, agent)

    def has_started() -> bool:
        with old.reading() as tx:
            return attempts.get_attempt(tx, attempt.id).start_step is not None

    wait_until(has_started, seconds=60)
    agent.close()
    following.join(60)
    with old.reading() as tx:
        assert attempts.get_attempt(tx, attempt.id).start_step == 1400
