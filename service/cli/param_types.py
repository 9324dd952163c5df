"""What people type, as values: 0.3, 32x32x3, ~/cat.jpg, 90m, 7d, 2026-11-01, 2026-11-01T22:00."""

import math
import re
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import click

from service.domain.moments import parse_duration, parse_moment


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
        try:
            return parse_duration(f"{text}m" if self._minutes and text[-1:].isdigit() else text)
        except ValueError as error:
            self.fail(str(error), param, ctx)


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
        try:
            return parse_moment(str(value).strip(), ahead=self._ahead)
        except ValueError as error:
            self.fail(str(error), param, ctx)
