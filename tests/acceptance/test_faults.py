"""One test a fault, with real processes: on SQLite with message files, or on PostgreSQL with Redis.

A job that was disturbed must end with the weights and the series of one that was not. `make test` does each
fault to the stack for which it is harder, `make long` to the other one.
"""

import json
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest

from service.commands.fleet.health import check_health
from service.commands.jobs.control import cancel
from service.domain.jobs import JobId
from service.domain.run_folder import EVENTS_FILE, LEASE_FILE
from service.domain.states import JobState
from service.errors import JobConflict
from service.store.fleet import hosts, schedulers
from tests.chaos import faults
from tests.chaos.live_stack import (
    CHAOS,
    LEASE_SECONDS,
    RECIPES,
    LiveStack,
    Recipe,
    Series,
    live_stack,
    small_disk,
)
from tests.servers import wait_until
from tests.stack import cpu_seconds
from workers.process_tree import MARK

RECIPE = RECIPES[0]
ENDLESS = Recipe("lenet5", {"data.dataset": "synthetic", "training.epochs": 4000, "resources.gpus": 2})
RETRY_LIMIT = 3
PAGE_BYTES = 4096
CHANCE = random.Random(0)

View = Mapping[str, Any]
GROUPS = {name: pytest.mark.xdist_group(f"faults on {name}") for name in ("files", "servers")}


def first_on(first: str, then: str) -> pytest.MarkDecorator:
    stacks = [
        pytest.param(first, marks=GROUPS[first]),
        pytest.param(then, marks=[GROUPS[then], pytest.mark.long]),
    ]
    return pytest.mark.parametrize("live", stacks, indirect=True, scope="module")


on_servers_only = pytest.mark.parametrize(
    "live", [pytest.param("servers", marks=GROUPS["servers"])], indirect=True, scope="module"
)
on_files, on_servers = first_on("files", then="servers"), first_on("servers", then="files")


@pytest.fixture(scope="module")
def live(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveStack]:
    home = tmp_path_factory.mktemp(request.param) / "home"
    servers = request.param == "servers"
    # A small disk for run folders, logs and an embedded database.
    with small_disk(home, mib=256), live_stack(home, servers=servers, retry_limit=RETRY_LIMIT) as live:
        yield live


@pytest.fixture(scope="module")
def truth(live: LiveStack) -> tuple[str, Series]:
    """Digest and series of the undisturbed run."""
    number = live.submit(RECIPE)
    assert live.wait(number) is JobState.SUCCEEDED, live.view(number)
    return live.view(number)["weights_digest"], live.series(number)


@pytest.fixture
def disturb(live: LiveStack, truth: tuple[str, Series]) -> Callable[..., View]:
    """Do something to a job that has a checkpoint, let it end, compare it with the truth; its view."""

    def run(fault: Callable[[JobId], object]) -> View:
        number = live.submit(RECIPE)
        wait_for_checkpoint(live, number)
        fault(number)
        assert live.wait(number) is JobState.SUCCEEDED, live.view(number)
        view = live.view(number)
        assert (view["weights_digest"], live.series(number)) == truth
        return view

    return run


def wait_for_checkpoint(live: LiveStack, number: JobId) -> View:
    def has_one() -> bool:
        view = live.view(number)
        return view["state"] == "running" and bool(view["checkpoints"])

    wait_until(has_one)
    return live.view(number)


@pytest.fixture(autouse=True)
def clean_up(live: LiveStack) -> Iterator[None]:
    """Leave no job and no dead process to the next test, also where this one has failed."""
    yield
    live.heal()
    for number in live.submitted:
        with suppress(JobConflict):
            cancel(live.store, number, actor=CHAOS)
        live.wait(number)


def claimed_attempts(view: View) -> list[View]:
    """Without those that nobody had claimed when their host fell silent, as one does that starts anew."""
    return [a for a in view["attempts"] if a["trainer_pid"] is not None or a["outcome"] != "interrupted"]


def endings(view: View) -> list[tuple[str, str | None]]:
    return [(attempt["outcome"], attempt["cause"]) for attempt in claimed_attempts(view)]


def start_steps(live: LiveStack, number: JobId) -> list[int | None]:
    return [attempt["start_step"] for attempt in claimed_attempts(live.view(number))]


def trainer_pid(live: LiveStack, number: JobId) -> int:
    pid = live.view(number)["attempts"][-1]["trainer_pid"]
    assert isinstance(pid, int)
    return pid


def wait_for_trainer(live: LiveStack, number: JobId, *, attempt: int = 1) -> int:
    wait_until(lambda: len(live.view(number)["attempts"]) >= attempt)
    wait_until(lambda: live.view(number)["attempts"][attempt - 1]["trainer_pid"] is not None)
    return trainer_pid(live, number)


def freeze_worker(live: LiveStack) -> None:
    """Freeze it, but not while it reads or writes in SQLite: that would freeze everybody until it goes on."""
    database = live.settings.home_dir / "cnnctl.db"
    live.stack.signal("worker", signal.SIGSTOP)
    while live.postgres is None and not can_write(database):
        live.stack.signal("worker", signal.SIGCONT)
        wait_until(lambda: can_write(database))
        live.stack.signal("worker", signal.SIGSTOP)


def can_write(database: Path) -> bool:
    with closing(sqlite3.connect(database, timeout=1, isolation_level=None)) as connection:
        try:
            connection.execute("BEGIN EXCLUSIVE")  # a commit waits for those who read, too
        except sqlite3.OperationalError:
            return False
        return True


@on_files
def test_a_killed_trainer(live: LiveStack, disturb: Callable[..., View]) -> None:
    view = disturb(lambda number: os.kill(trainer_pid(live, number), signal.SIGKILL))
    assert endings(view) == [("lost", "killed"), ("succeeded", None)]
    assert claimed_attempts(view)[1]["start_step"] > 0


@on_servers
def test_a_killed_parent_of_all_trainers(live: LiveStack, disturb: Callable[..., View]) -> None:
    view = disturb(lambda _number: faults.kill_warm_parent(live, CHANCE))
    assert endings(view) == [("succeeded", None)]


@on_files
def test_a_killed_worker_that_comes_back_in_time_adopts_its_trainer(
    live: LiveStack, disturb: Callable[..., View]
) -> None:
    def fault(_number: JobId) -> None:
        live.stack.stop("worker", signal.SIGKILL)
        live.restart("worker")

    assert endings(disturb(fault)) == [("succeeded", None)]


@on_servers
def test_a_killed_worker_that_comes_back_late_finds_its_trainer_stopped(live: LiveStack) -> None:
    number = live.submit(ENDLESS)
    wait_for_checkpoint(live, number)
    live.stack.stop("worker", signal.SIGKILL)
    wait_until(lambda: live.state(number) is JobState.QUEUED)
    assert not faults.trainers_of(live.settings.runs_dir)
    live.restart("worker")
    wait_until(lambda: start_steps(live, number)[1:] not in ([], [None]))
    first, second = claimed_attempts(live.view(number))
    assert (first["outcome"], first["cause"]) == ("lost", "lost_host")
    events = (Path(first["run_dir"]) / EVENTS_FILE).read_text().splitlines()
    assert "its worker has been gone" in json.loads(events[-1])["reason"]
    assert second["start_step"] > 0


@on_files
def test_a_worker_that_was_frozen_for_longer_than_its_lease_changes_nothing_of_the_next_attempt(
    live: LiveStack, disturb: Callable[..., View]
) -> None:
    def fault(number: JobId) -> None:
        freeze_worker(live)
        wait_until(lambda: live.state(number) is JobState.QUEUED)
        live.stack.signal("worker", signal.SIGCONT)

    assert endings(disturb(fault)) == [("lost", "lost_host"), ("succeeded", None)]


@on_servers
def test_a_killed_scheduler(live: LiveStack, disturb: Callable[..., View]) -> None:
    def fault(_number: JobId) -> None:
        live.stack.stop("scheduler", signal.SIGKILL)
        waiting = live.submit(RECIPES[2])
        live.restart("scheduler")
        assert live.wait(waiting) is JobState.SUCCEEDED

    assert endings(disturb(fault)) == [("succeeded", None)]


@on_servers
def test_a_killed_broker(live: LiveStack, disturb: Callable[..., View]) -> None:
    view = disturb(lambda _number: faults.kill_broker(live, CHANCE))
    assert endings(view) == [("succeeded", None)]


@on_servers
def test_malformed_messages(live: LiveStack, disturb: Callable[..., View]) -> None:
    def fault(_number: JobId) -> None:
        faults.put_malformed(live, CHANCE)
        assert live.wait(live.submit(RECIPES[2])) is JobState.SUCCEEDED

    assert endings(disturb(fault)) == [("succeeded", None)]


@on_servers_only
def test_a_broker_that_fails_over(live: LiveStack, disturb: Callable[..., View]) -> None:
    def fault(_number: JobId) -> None:
        faults.fail_over(live, CHANCE)
        assert live.wait(live.submit(RECIPES[2])) is JobState.SUCCEEDED

    assert endings(disturb(fault)) == [("succeeded", None)]


@on_servers_only
def test_a_broker_that_is_away_at_the_dispatch_delays_a_job_and_loses_nothing(
    live: LiveStack, truth: tuple[str, Series]
) -> None:
    assert live.redis is not None
    live.redis.stop()
    number = live.submit(RECIPE)
    wait_until(lambda: bool(live.view(number)["attempts"]))
    wait_until(lambda: "broker cannot be reached" in str(check_health(live.store, live.settings).notices))
    assert "broker cannot be reached" in live.stack.cnnctl("status").stdout
    assert live.view(number)["attempts"][0]["state"] == "dispatched"
    live.redis.start()
    assert live.wait(number) is JobState.SUCCEEDED
    assert endings(live.view(number)) == [("succeeded", None)]
    assert (live.view(number)["weights_digest"], live.series(number)) == truth


@on_files
def test_messages_that_are_lost_are_sent_again(live: LiveStack) -> None:
    live.stack.stop("worker", signal.SIGKILL)  # so that nobody reads them
    number = live.submit(RECIPES[2])
    wait_until(lambda: bool(live.view(number)["attempts"]))
    faults.flush_broker(live, CHANCE)
    live.restart("worker")
    assert live.wait(number) is JobState.SUCCEEDED
    assert endings(live.view(number)) == [("succeeded", None)]


@on_servers
def test_messages_that_come_twice_and_late(live: LiveStack, disturb: Callable[..., View]) -> None:
    def fault(_number: JobId) -> None:
        (attempt,) = live.live_attempts()
        for again in [attempt, attempt, *live.old_attempts]:
            live.dispatcher.send(again)

    assert endings(disturb(fault)) == [("succeeded", None)]


@on_servers
def test_a_database_that_is_away_for_longer_than_the_lease(
    live: LiveStack, disturb: Callable[..., View]
) -> None:
    def fault(number: JobId) -> None:
        run_dir = live.view(number)["attempts"][0]["run_dir"]
        if live.postgres is None:
            with live.store.transaction():  # SQLite's only writer
                wait_for_two_leases(run_dir)
            return
        live.postgres.kill()
        wait_for_two_leases(run_dir)
        live.postgres.start()

    assert endings(disturb(fault)) == [("succeeded", None)]


def wait_for_two_leases(run_dir: str) -> None:
    """Wait until a worker has kept the lease of a trainer for that long, whoever does not hear of it."""
    lease = Path(run_dir) / LEASE_FILE
    end = lease.stat().st_mtime + 2 * LEASE_SECONDS
    wait_until(lambda: lease.stat().st_mtime > end)


@on_files
def test_a_clock_that_jumps(live: LiveStack, disturb: Callable[..., View]) -> None:
    def fault(number: JobId) -> None:
        for hours in (1, -1):
            live.clock.write_text(str(hours * faults.HOUR))
            epochs = live.view(number)["epochs"]
            wait_until(lambda epochs=epochs: live.view(number)["epochs"] > epochs)  # type: ignore[misc]

    view = disturb(fault)
    live.clock.write_text("0")
    assert endings(view) == [("succeeded", None)]


@on_servers
def test_a_host_that_reboots(live: LiveStack, disturb: Callable[..., View]) -> None:
    view = disturb(lambda _number: faults.reboot(live, CHANCE))
    (first, cause), last = endings(view)
    assert (first, cause) in {("lost", "lost_host"), ("lost", "killed")}
    assert last == ("succeeded", None)


@on_servers
def test_two_schedulers(live: LiveStack, disturb: Callable[..., View]) -> None:
    live.stack.start("second scheduler", program="scheduler")
    view = disturb(lambda _number: None)
    live.stack.stop("second scheduler")
    assert endings(view) == [("succeeded", None)]


@on_files
def test_a_trainer_that_takes_no_signal_is_gone_5_s_after_cancel_with_all_its_children(
    live: LiveStack,
) -> None:
    number = live.submit(ENDLESS)
    view = wait_for_checkpoint(live, number)
    run_dir = view["attempts"][0]["run_dir"]
    # As a program that a trainer has started, and that has left its group, session and output.
    daemon = subprocess.Popen(
        [sys.executable, "-c", "import time; time.sleep(600)"],
        env={**os.environ, MARK: run_dir},
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    os.kill(trainer_pid(live, number), signal.SIGSTOP)
    started = time.monotonic()
    cancel(live.store, number, actor=CHAOS)
    assert live.wait(number) is JobState.CANCELLED
    assert time.monotonic() - started < 5
    assert not faults.trainers_of(live.settings.runs_dir)
    assert daemon.wait(timeout=5) == -signal.SIGKILL


# Other acceptance tests cancel a job of a stack of their own at these moments.
LONG_MOMENTS = [pytest.param(one, marks=pytest.mark.long) for one in ("while it starts", "while it trains")]


@on_files
@pytest.mark.parametrize("moment", ["at once", *LONG_MOMENTS])
def test_cancelling_frees_the_gpus_in_5_s(live: LiveStack, moment: str) -> None:
    number = live.submit(ENDLESS)
    if moment == "while it starts":
        wait_for_trainer(live, number)
    elif moment == "while it trains":
        wait_for_checkpoint(live, number)
    started = time.monotonic()
    cancel(live.store, number, actor=CHAOS)
    assert live.wait(number) is JobState.CANCELLED
    assert time.monotonic() - started < 5
    assert not faults.trainers_of(live.settings.runs_dir)


@on_servers
def test_a_job_that_kills_its_trainer_each_time_stops_after_the_limit_and_says_why(live: LiveStack) -> None:
    number = live.submit(ENDLESS)
    for attempt in range(1, RETRY_LIMIT + 2):
        os.kill(wait_for_trainer(live, number, attempt=attempt), signal.SIGKILL)
        wait_until(lambda attempt=attempt: live.view(number)["attempts"][attempt - 1]["outcome"] is not None)  # type: ignore[misc]
    assert live.wait(number) is JobState.FAILED
    view = live.view(number)
    assert endings(view) == [("lost", "killed")] * (RETRY_LIMIT + 1)
    assert f"{RETRY_LIMIT + 1} attempts in a row" in view["reason"]
    assert view["cause"] == "killed"


@on_files
def test_what_a_retry_cannot_mend_is_not_tried_again(live: LiveStack) -> None:
    number = live.submit(Recipe("lenet5", {"optimizer.lr": 1e8}))
    assert live.wait(number) is JobState.FAILED
    view = live.view(number)
    assert endings(view) == [("failed", "nan_loss")]
    assert view["cause"] == "nan_loss"
    assert "DivergedError" in "\n".join(view["log_tail"])


@on_files
def test_a_full_disk_costs_no_training(live: LiveStack, disturb: Callable[..., View]) -> None:
    """The data folder's disk fills up while a job trains, and has room again before it ends."""
    disk = live.settings.home_dir
    if subprocess.run(["mountpoint", "-q", str(disk)], check=False).returncode:
        pytest.skip("needs the right to mount a file system")

    def fault(number: JobId) -> None:
        ballast, pid = disk / "ballast", trainer_pid(live, number)
        for log in live.stack.home.glob("*.log"):
            with log.open("ab") as file:  # else its last page would take some lines still
                file.write(b"\n" * (-file.tell() % PAGE_BYTES))
        fill(ballast)
        before = cpu_seconds(pid)
        wait_until(lambda: cpu_seconds(pid) > before + 0.5)  # it trains on, but cannot say so
        if live.postgres is None:  # until writes of worker and scheduler have failed, and log lines on that
            os.kill(pid, signal.SIGSTOP)  # it is not to end before
            wait_until(lambda: silent_seconds(live) > 2.5)
            os.kill(pid, signal.SIGCONT)
        ballast.unlink()
        assert [name for name, process in live.stack.processes.items() if process.poll() is not None] == []

    view = disturb(fault)
    assert endings(view) == [("succeeded", None)]
    events = (Path(view["run_dir"]) / EVENTS_FILE).read_text()
    assert "could not be written" in events


@on_files
def test_below_the_reserve_of_the_disk_a_job_waits_until_there_is_room(live: LiveStack) -> None:
    disk = live.settings.home_dir
    if subprocess.run(["mountpoint", "-q", str(disk)], check=False).returncode:
        pytest.skip("needs the right to mount a file system")
    about = shutil.disk_usage(disk)
    with live.ballast.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, about.free - about.total // 50)
    wait_until(lambda: "only the reserve left" in str(check_health(live.store, live.settings).notices))
    number = live.submit(RECIPES[2])
    wait_until(lambda: "CNNCTL_DISK_RESERVE" in live.view(number)["reason"])
    live.ballast.unlink()
    assert live.wait(number) is JobState.SUCCEEDED
    assert endings(live.view(number)) == [("succeeded", None)]


@on_files
def test_a_run_folder_that_is_removed_costs_what_lay_in_it(
    live: LiveStack, disturb: Callable[..., View]
) -> None:
    def fault(number: JobId) -> None:
        os.kill(trainer_pid(live, number), signal.SIGKILL)
        wait_for_trainer(live, number, attempt=2)
        run_dir = Path(live.view(number)["attempts"][1]["run_dir"])
        run_dir.rename(live.settings.home_dir / "removed")
        shutil.rmtree(live.settings.home_dir / "removed")
        wait_until(lambda: live.view(number)["attempts"][1]["outcome"] is not None, seconds=LEASE_SECONDS / 2)

    view = disturb(fault)
    assert endings(view) == [("lost", "killed"), ("lost", "killed"), ("succeeded", None)]
    second, third = view["attempts"][1:]
    assert f"its run folder {second['run_dir']} was removed" in second["reason"]
    assert third["start_step"] > 0


def silent_seconds(live: LiveStack) -> float:
    """How long nobody has been heard."""
    with live.store.reading() as tx:
        alive = [schedulers.find_latest(tx), *hosts.list_hosts(tx)]
        return min((tx.now - one.heartbeat_at).total_seconds() for one in alive if one and one.heartbeat_at)


def fill(ballast: Path) -> None:
    """Fill up a disk, to the last byte."""
    with ballast.open("wb", buffering=0) as file:
        for size in (1 << 16, 1):
            with suppress(OSError):
                while True:
                    file.write(bytes(size))
