"""What people type, as values: 0.3, 32x32x3, ~/cat.jpg, 90m, 7d, 2026-11-01, 2026-11-01T22:00."""

import math
import re
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import click

UNITS = {"s": 1, "m": 60, "min": 60, "h": 3600, "d": 86400, "w": 7 * 86400}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(s|min|m|h|d|w)")


class FiniteFloat(click.FloatRange):
    """A number in a range: click's own takes nan, which is neither below nor above anything."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        number = float(super().convert(value, param, ctx))
        if not math.isfinite(number):
            self.fail(f"{value!r} is not a finite number", param, ctx)
        return number


class Shape(click.ParamType):  # type: ignore[type-arg]
    """Height, width and channels of an image, in pixels, as a tuple."""

    name = "shape"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, ...]:
        found = re.fullmatch(r"([1-9]\d{0,8})x([1-9]\d{0,8})x([1-9]\d{0,8})", str(value), re.ASCII)
        if not found:
            self.fail(f"{value!r} must be HEIGHTxWIDTHxCHANNELS, as in 32x32x3", param, ctx)
        return tuple(map(int, found.groups()))


class FilePath(click.ParamType):  # type: ignore[type-arg]
    """A path; `~` is a home also where the shell leaves it, as after `--output=`."""

    name = "path"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        text = str(value)
        try:
            return Path(text).expanduser() if text.startswith("~") else Path(text)
        except RuntimeError:
            self.fail(
                f"there is no home folder {text.partition('/')[0]!r}; a file of that name is ./{text}",
                param,
                ctx,
            )


class Duration(click.ParamType):  # type: ignore[type-arg]
    """A number with a unit, as a timedelta; a number alone counts minutes where `minutes` says so."""

    name = "duration"

    def __init__(self, *, minutes: bool = False) -> None:
        self._minutes = minutes

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        text = str(value).strip()
        found = _DURATION.fullmatch(f"{text}m" if self._minutes and text[-1:].isdigit() else text)
        if not found:
            self.fail(f"{text!r} is not a duration. Allowed: 90s, 45m, 2h, 7d, 2w", param, ctx)
        try:
            return timedelta(seconds=float(found[1]) * UNITS[found[2]])
        except OverflowError:
            self.fail(f"{text!r} is too long", param, ctx)


class Minutes(Duration):
    """A duration in minutes; a number alone counts minutes."""

    name = "minutes"

    def __init__(self) -> None:
        super().__init__(minutes=True)

    def convert(  # type: ignore[override]
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        return super().convert(value, param, ctx).total_seconds() / 60


class Moment(click.ParamType):  # type: ignore[type-arg]
    """A date, a date and a time, or how long from now (`ahead`) or ago, as an aware UTC datetime.

    A time without a zone is in the zone of the machine where it is typed.
    """

    name = "moment"

    def __init__(self, *, ahead: bool) -> None:
        self._ahead = ahead

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        text = str(value).strip()
        try:
            if _DURATION.fullmatch(text):
                span = Duration().convert(text, param, ctx)
                now = datetime.now(timezone.utc)
                return now + span if self._ahead else now - span
            return datetime.fromisoformat(text.replace("Z", "+00:00")).astimezone(timezone.utc)
        except (ValueError, OverflowError):
            self.fail(
                f"{text!r} is not a date or time. Allowed: 2026-11-01, 2026-11-01T22:00, 7d", param, ctx
            )
