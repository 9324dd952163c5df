"""The GPUs' history: a mean a minute, the buckets of a window, who held them, and what goes when."""

import io
import json
from collections.abc import Callable, Sequence

import pytest
from click.testing import CliRunner
from rich.console import Console
from sqlalchemy import select

from cnnctl.views.codec import to_json
from cnnctl.views.fleet import GpuHistoryView
from service.cli.display.gpu_history_table import CURVE_POINTS, gpu_history_table
from service.cli.fleet import gpus as gpus_cli
from service.cli.ops import garbage as garbage_cli
from service.client.local import LocalClient
from service.commands.fleet.gpu_history import list_gpu_history
from service.commands.fleet.hosts import remove_host
from service.commands.ops.garbage import Policy, collect_garbage
from service.commands.people.audit import list_audit_views
from service.db.tables import gpu_minutes
from service.domain.gpus import Reading
from service.domain.jobs import Attempt, JobId
from service.domain.people import SCHEDULER, Actor
from service.domain.states import Outcome, Subject
from service.errors import SpecError
from service.settings import Settings
from service.store.fleet import readings
from service.store.jobs.endings import end_attempt
from service.store.transaction import Store
from tests.conftest import ADA, HOST, Clock
from tests.json_keys import check_keys

ROOT = Actor(name="root", operator=True)
FIRST, SECOND = f"{HOST}-0", f"{HOST}-1"
MINUTE, HOUR, DAY = 60, 3600, 24 * 3600
MONTH = Policy(older_than_days=30, orphans=False)
AddHost = Callable[..., None]


def read(
    store: Store,
    utilization: int | None = None,
    *,
    mib: int | None = None,
    celsius: int | None = None,
    gpu: str = FIRST,
) -> None:
    """Store a reading of a GPU."""
    reading = Reading(utilization_percent=utilization, memory_used_mib=mib, temperature_celsius=celsius)
    with store.transaction() as tx:
        readings.set_readings(tx, {gpu: reading})


def history(store: Store, *, hours: float = 1, points: int = 1440) -> GpuHistoryView:
    """The history of the first GPU."""
    return list_gpu_history(store, hours=hours, points=points)[0]


def count_minutes(store: Store) -> int:
    with store.reading() as tx:
        return len(tx.connection.execute(select(gpu_minutes)).all())


def test_a_minute_has_the_means_of_its_readings(store: Store, add_host: AddHost, clock: Clock) -> None:
    add_host()
    for percent, mib in ((0, 100), (50, 100), (100, 101)):
        read(store, percent, mib=mib)
        clock.advance(15)
    read(store, 7, gpu=SECOND)
    clock.advance(15)  # the next minute
    read(store, 10, celsius=61)
    view, other = list_gpu_history(store, hours=1 / 30, points=2)
    assert (view.uuid, view.host, view.number, view.model) == (FIRST, HOST, 0, "simulated (CPU)")
    assert (view.start, view.bucket_seconds) == (clock.now.replace(minute=0), 60)
    assert view.utilization == [pytest.approx((50, 50)), (10, 10)]
    assert view.memory_used_mib == [pytest.approx((301 / 3, 301 / 3)), None]
    assert view.temperature_celsius == [None, (61, 61)]
    assert view.mean_utilization == pytest.approx(30)
    assert view.mean_memory_used_mib == pytest.approx(301 / 3)
    assert (other.utilization, other.memory_used_mib, other.mean_memory_used_mib) == (
        [(7, 7), None],
        [None, None],
        None,
    )


def test_what_a_device_tells_only_now_and_then_has_the_mean_of_those_readings(
    store: Store, add_host: AddHost
) -> None:
    add_host()
    for percent in (None, 10, None, 30, 80, None):
        read(store, percent, mib=8)
    view = history(store, hours=1 / 60)
    assert view.mean_utilization == pytest.approx(40)
    assert view.memory_used_mib == [(8, 8)]


@pytest.mark.parametrize(
    ("hours", "points", "buckets", "seconds"),
    [
        (1, 288, 60, 60),
        (24, 288, 288, 300),
        (720, 1, 1, 720 * HOUR),
        (0.75, 7, 7, 420),
        (1 / 60, 1440, 1, 60),
    ],
)
def test_a_window_has_as_many_buckets_as_were_asked_for_or_one_a_minute(
    store: Store, add_host: AddHost, clock: Clock, hours: float, points: int, buckets: int, seconds: int
) -> None:
    add_host()
    clock.advance(30)
    view = history(store, hours=hours, points=points)
    assert (len(view.utilization), view.bucket_seconds) == (buckets, seconds)
    end = view.start.timestamp() + buckets * seconds
    assert end == clock.now.timestamp() + 30
    assert end - view.start.timestamp() >= hours * HOUR


def test_a_bucket_has_the_lowest_and_the_highest_minute(
    store: Store, add_host: AddHost, clock: Clock
) -> None:
    add_host()
    passed = 0
    # The window has the minutes from 1 to 60, in buckets of 15.
    for minute, percent in ((0, 99), (1, 10), (7, 30), (15, 20), (31, 70), (45, 5), (46, 0), (60, 100)):
        clock.advance(MINUTE * (minute - passed))
        read(store, percent)
        passed = minute
    view = history(store, hours=1, points=4)
    assert view.utilization == [(10, 30), None, (5, 70), (0, 100)]
    assert view.mean_utilization == pytest.approx(235 / 7)
    clock.advance(-30 * MINUTE)  # of a clock that was set back, minutes to come are not shown
    assert history(store, hours=0.5, points=2).utilization == [(10, 30), None]


def test_the_jobs_that_held_a_gpu_are_named_with_their_real_times(
    store: Store, claimed: Callable[..., Attempt], clock: Clock
) -> None:
    def hold(hours: float | None) -> JobId:
        attempt = claimed()
        if hours is not None:
            clock.advance(hours * HOUR)
            with store.transaction() as tx:
                end_attempt(tx, attempt, Outcome.SUCCEEDED, reason="", actor=SCHEDULER, retry_limit=0)
        return attempt.job_id

    began = clock.now
    hold(1)
    early = hold(2)
    clock.advance(HOUR)
    late = hold(None)
    clock.advance(HOUR / 2)
    view, other = list_gpu_history(store, hours=2, points=10)
    times = [(one.job, one.owner, one.since - began, one.until and one.until - began) for one in view.holders]
    assert [(job, owner, since.total_seconds()) for job, owner, since, _ in times] == [
        (early, "ada", HOUR),
        (late, "ada", 4 * HOUR),
    ]
    assert [until and until.total_seconds() for *_, until in times] == [3 * HOUR, None]
    assert other.holders == []


def test_without_gpus_there_is_no_history(store: Store) -> None:
    assert list_gpu_history(store, hours=24, points=288) == []


@pytest.mark.parametrize(
    ("hours", "points", "words"),
    [
        (0, 288, r"--hours must have a value from 0\.01666666667 to 720: .*30 days"),
        (-1, 288, "--hours"),
        (720.1, 288, "Received: 720.1"),
        (float("nan"), 288, "--hours"),
        (float("inf"), 288, "--hours"),
        (24, 0, "points must have a value from 1 to 1,440"),
        (24, 1441, "Received: 1441"),
    ],
)
def test_a_window_beyond_its_bounds_is_refused(store: Store, hours: float, points: int, words: str) -> None:
    with pytest.raises(SpecError, match=words):
        list_gpu_history(store, hours=hours, points=points)


def test_a_host_takes_the_history_of_its_gpus_with_it(
    store: Store, settings: Settings, add_host: AddHost, clock: Clock
) -> None:
    add_host()
    add_host("gpu02", gpus=1, worker="w2")
    for gpu in (FIRST, SECOND, "gpu02-0"):
        read(store, 50, gpu=gpu)
    clock.advance(HOUR)
    remove_host(store, settings, HOST, actor=ROOT)
    assert count_minutes(store) == 1
    add_host()
    assert [view.mean_utilization for view in list_gpu_history(store, hours=2, points=1)] == [None, None, 50]


@pytest.fixture
def old_and_new(store: Store, add_host: AddHost, clock: Clock) -> None:
    """Two minutes of which one is older than 30 days."""
    add_host()
    read(store, 10)
    clock.advance(MINUTE)
    read(store, 20)
    clock.advance(30 * DAY)


@pytest.mark.usefixtures("old_and_new")
def test_minutes_older_than_a_month_go_and_those_that_a_history_can_show_stay(
    store: Store, settings: Settings
) -> None:
    looked = collect_garbage(store, settings, MONTH, dry_run=True, actor=ROOT)
    assert (looked.gpu_minutes, count_minutes(store)) == (1, 2)
    assert list_audit_views(store, subject=Subject.GARBAGE) == []
    done = collect_garbage(store, settings, MONTH, dry_run=False, actor=ROOT)
    assert (done.gpu_minutes, count_minutes(store)) == (1, 1)
    (entry,) = list_audit_views(store, subject=Subject.GARBAGE)
    assert (entry.name, entry.actor, entry.after) == (HOST, "root", {"gpu_minutes": 1})
    assert collect_garbage(store, settings, MONTH, dry_run=False, actor=ROOT).gpu_minutes == 0
    assert len(list_audit_views(store, subject=Subject.GARBAGE)) == 1


@pytest.mark.usefixtures("old_and_new")
def test_gc_says_how_many_minutes_go(
    store: Store, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(garbage_cli, "open_session", lambda: (settings, store))
    looked = CliRunner().invoke(garbage_cli.command, ["--dry-run"]).stdout
    assert "Would delete 0 folders, 0 B, and 1 minute of the GPUs' history; nothing was deleted." in looked
    assert count_minutes(store) == 2
    done = CliRunner().invoke(garbage_cli.command, [])
    assert (done.exit_code, count_minutes(store)) == (0, 1)
    assert "Deleted 0 folders, 0 B, and 1 minute of the GPUs' history." in done.stdout


@pytest.fixture
def run(store: Store, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Callable[[Sequence[str]], str]:
    """Run `cnnctl gpus history` on the store; what it prints."""
    monkeypatch.setattr(gpus_cli, "open_client", lambda: LocalClient(store, settings, ADA))
    return lambda words: CliRunner().invoke(gpus_cli.command, ["history", *words]).output


def test_the_command_draws_a_row_a_gpu(
    store: Store, claimed: Callable[..., Attempt], clock: Clock, run: Callable[[Sequence[str]], str]
) -> None:
    claimed()
    read(store, 0, mib=1024)
    clock.advance(MINUTE)
    read(store, 100, mib=3072)
    _, first, second = run(["--hours", "0.1"]).splitlines()
    assert first.split() == ["gpu01:0", "50", "%", "100", "%", "2.0", "3.0", "····▁█"]
    assert second.split() == ["gpu01:1", "······"]
    printed = json.loads(run(["--hours", "0.1", "--json"]))
    check_keys(printed, "gpus history")
    assert printed == to_json(list_gpu_history(store, hours=0.1, points=288))


def test_the_table_fits_a_terminal_of_80_columns(store: Store, add_host: AddHost) -> None:
    add_host("gpu01.lab", gpus=1)
    console = Console(width=80, record=True, file=io.StringIO())
    console.print(gpu_history_table(list_gpu_history(store, hours=24, points=CURVE_POINTS)))
    head, row = console.export_text().splitlines()
    assert "…" not in head + row
    assert row.split() == ["gpu01.lab:0", CURVE_POINTS * "·"]


def test_the_command_says_that_there_is_no_gpu(run: Callable[[Sequence[str]], str]) -> None:
    assert "No worker has registered yet" in run([])
