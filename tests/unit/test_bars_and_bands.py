"""The drawings of the pages of GPUs and of people: bands with gaps, strips of holders, bars by day."""

from datetime import datetime, timedelta, timezone

import pytest

from cnnctl.views.fleet import HolderView
from cnnctl.views.people import UsageDayView
from service.web.bands import draw_band, place_holds
from service.web.day_bars import MOST_BARS, draw_days

NOON = datetime(2026, 11, 28, 12, tzinfo=timezone.utc)


def test_a_band_has_a_piece_for_each_run_and_names_its_gaps() -> None:
    band = draw_band([None, (10, 30), (20, 20), None, None, (0, 200)], most=100)
    assert band.paths == ["M1 70V70H2V80H3V80H2V90H1Z", "M5 0V0H6V100H5Z"]
    assert (band.width, band.gaps, band.highest) == (6, [(0, 1), (3, 2)], 200)


def test_a_band_of_nothing_is_a_gap() -> None:
    band = draw_band([None, None], most=100)
    assert (band.paths, band.gaps, band.highest) == ([], [(0, 2)], None)
    assert draw_band([(1, 2)], most=0).paths == ["M0 100V100H1V100H0Z"]  # of a GPU that tells no memory


def test_holders_are_cut_to_the_window() -> None:
    hour = timedelta(hours=1)
    holders = [
        HolderView(job=1, owner="ada", since=NOON - hour, until=NOON + hour),
        HolderView(job=2, owner="bob", since=NOON + 3 * hour, until=None),
        HolderView(job=3, owner="mei", since=NOON + 5 * hour, until=None),  # a clock that is ahead
    ]
    first, second, third = place_holds(holders, start=NOON, seconds=4 * 3600)
    assert (first.x, first.width, first.seconds) == (0, 250, 3600)
    assert (second.x, second.width, second.seconds) == (750, 250, 3600)
    assert third.seconds == 0


def day(name: str, owner: str, hours: float) -> UsageDayView:
    return UsageDayView(day=name, owner=owner, gpu_hours=hours)


def test_each_day_has_a_bar_in_which_people_keep_their_order() -> None:
    usage = [day("2026-11-26", "bob", 2), day("2026-11-28", "ada", 3), day("2026-11-28", "bob", 5)]
    drawn = draw_days(usage, since=NOON - timedelta(days=9), now=NOON)
    assert (drawn.days, drawn.most, dict(drawn.owners)) == (1, 8, {"bob": 7, "ada": 3})
    assert [(f"{bar.first}", bar.hours) for bar in drawn.bars] == [
        ("2026-11-26", 2),
        ("2026-11-27", 0),
        ("2026-11-28", 8),
    ]
    assert [(piece.owner, piece.y, piece.height) for piece in drawn.bars[2].pieces] == [
        ("bob", 37.5, 62.5),
        ("ada", 0, 37.5),
    ]


def test_of_many_days_several_have_a_bar_together() -> None:
    drawn = draw_days([day("2025-11-28", "ada", 1)], since=NOON - timedelta(days=400), now=NOON)
    assert (drawn.days, len(drawn.bars)) == (4, 92)
    assert len(drawn.bars) <= MOST_BARS
    assert f"{drawn.bars[-1].last}" == "2026-11-28"


@pytest.mark.parametrize("days", [-1, 0, 1, 36_500])
def test_a_window_in_which_nobody_used_anything_has_no_hours(days: int) -> None:
    drawn = draw_days([], since=NOON - timedelta(days=days), now=NOON)
    assert (drawn.most, dict(drawn.owners)) == (0, {})
