"""Sums of seconds that are the same in whatever order the database adds them, and so never shrink.

A sum of floats may come out smaller by its last bit when rows have moved. Whoever counts by it, as Prometheus
does, takes that for a restart from 0.
"""

from decimal import Decimal
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, cast, func

_IN_A_SECOND = 1_000_000


def sum_exactly(seconds: ColumnElement[Any]) -> ColumnElement[Any]:
    """The sum in whole microseconds, for `to_seconds`."""
    return func.sum(cast(seconds * float(_IN_A_SECOND), BigInteger))


def to_seconds(total: int | Decimal | None) -> float:
    """Such a sum in seconds; 0 where there were no rows."""
    return int(total or 0) / _IN_A_SECOND
