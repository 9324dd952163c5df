"""What an audit entry has changed, in words."""

from typing import Any

import pytest

from service.domain.audit import format_change


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        (None, None, ""),
        ({"weight": 1.0, "name": "ada"}, {"weight": 2.0, "name": "ada"}, "weight 1.0 → 2.0"),
        ({"max_gpus": None}, {"max_gpus": 4}, "max_gpus nothing → 4"),
        (
            {"reason": "", "administrator": True},
            {"reason": "wet", "administrator": False},
            "reason nothing → wet, administrator yes → no",
        ),
        (None, {"channel": "mail", "on": ["end", "failure"]}, "channel mail, on end, failure"),
        ({"tags": []}, None, "tags nothing"),
        ({"old": 1}, {"new": 2}, "old 1 → nothing, new nothing → 2"),
    ],
)
def test_a_change_is_told_in_words(
    before: dict[str, Any] | None, after: dict[str, Any] | None, words: str
) -> None:
    assert format_change(before, after) == words
