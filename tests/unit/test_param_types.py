"""Shapes, paths, durations and moments are read as people type them."""

from datetime import datetime, timedelta, timezone
from pathlib import Path

import click
import pytest
import time_machine

from service.cli.param_types import Duration, FilePath, Minutes, Moment, Shape

NOW = datetime(2026, 3, 1, 12, tzinfo=timezone.utc)


@pytest.mark.parametrize(
    ("text", "span"),
    [
        ("90s", timedelta(seconds=90)),
        ("45m", timedelta(minutes=45)),
        ("45 min", timedelta(minutes=45)),
        ("1.5h", timedelta(minutes=90)),
        ("7d", timedelta(days=7)),
        ("2w", timedelta(days=14)),
    ],
)
def test_a_duration_is_a_number_with_a_unit(text: str, span: timedelta) -> None:
    assert Duration().convert(text, None, None) == span


@pytest.mark.parametrize(("text", "minutes"), [("90", 90), ("2h", 120), ("90s", 1.5), ("0.5", 0.5)])
def test_a_number_alone_counts_minutes_of_a_time_limit(text: str, minutes: float) -> None:
    assert Minutes().convert(text, None, None) == minutes


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2d", NOW + timedelta(days=2)),
        ("2026-11-01T22:00Z", datetime(2026, 11, 1, 22, tzinfo=timezone.utc)),
        ("2026-11-01T22:00+02:00", datetime(2026, 11, 1, 20, tzinfo=timezone.utc)),
    ],
)
def test_a_moment_is_a_date_a_time_or_a_while_from_now(text: str, moment: datetime) -> None:
    with time_machine.travel(NOW, tick=False):
        assert Moment(ahead=True).convert(text, None, None) == moment


def test_ago_is_before_now_and_a_time_without_a_zone_is_that_of_this_machine() -> None:
    with time_machine.travel(NOW, tick=False):
        assert Moment(ahead=False).convert("1h", None, None) == NOW - timedelta(hours=1)
    here = Moment(ahead=False).convert("2026-11-01", None, None)
    assert here.astimezone().replace(tzinfo=None) == datetime(2026, 11, 1)  # noqa: DTZ001


@pytest.mark.parametrize("text", ["", "7", "-1h", "1y", "nan h", "soon", "2026-02-30", "9" * 30 + "d"])
def test_what_is_neither_is_refused_with_what_is_allowed(text: str) -> None:
    for kind in (Duration(), Moment(ahead=True), Moment(ahead=False)):
        with pytest.raises(click.BadParameter, match=r"Allowed|too long"):
            kind.convert(text, None, None)


def test_a_shape_is_height_width_and_channels() -> None:
    assert Shape().convert("32x48x3", None, None) == (32, 48, 3)
    for text in ("32x32", "32x0x3", "32x-1x3", "²x2x2", "9" * 5000 + "x1x1", "32x32x3\n", ""):
        with pytest.raises(click.BadParameter, match="HEIGHTxWIDTHxCHANNELS"):
            Shape().convert(text, None, None)


def test_a_path_may_begin_with_a_home() -> None:
    assert FilePath().convert("~/cat.jpg", None, None) == Path.home() / "cat.jpg"
    assert FilePath().convert("./~cat.jpg", None, None) == Path("~cat.jpg")
    with pytest.raises(click.BadParameter, match=r"no home folder '~nosuchuser'.*\./~nosuchuser/cat.jpg"):
        FilePath().convert("~nosuchuser/cat.jpg", None, None)
