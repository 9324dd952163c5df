"""Counts and sizes on pages have three digits and a unit."""

import pytest

from service.web.words import short, size


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0"),
        (999, "999"),
        (1000, "1 k"),
        (12_400, "12.4 k"),
        (999_400, "999 k"),
        (999_950, "1 M"),
        (-999_950, "-1 M"),
        (37_748_736, "37.7 M"),
        (724_406_816, "724 M"),
        (10**19, "10 E"),
    ],
)
def test_counts_are_short(count: int, text: str) -> None:
    assert short(count) == text


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (None, "–"),
        (1, "1 bytes"),
        (999, "999 bytes"),
        (1000, "1 kB"),
        (999_600_000, "1 GB"),
        (5 * 10**12, "5 TB"),
    ],
)
def test_sizes_are_short(count: int | None, text: str) -> None:
    assert size(count) == text
