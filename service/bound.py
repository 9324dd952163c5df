"""The least and the most that something given may be, with the reason."""

import reprlib
from collections.abc import Sized
from dataclasses import dataclass

from service.errors import SpecError
from service.visible import escape


@dataclass(frozen=True, slots=True, kw_only=True)
class Bound:
    """The least and the most that a number may be; of a text its length, of a list its entries."""

    least: float
    most: float
    why: str
    many_lines: bool = False
    """Of a text: whether it may have tabs and line ends."""

    def check(self, name: str, value: object) -> None:
        """Refuse what lies outside.

        Raises:
            SpecError: with the bounds and the reason for them.
        """
        if isinstance(value, str) and not self._can_be_shown(value):
            raise SpecError(f"{name} takes printable characters. Received: {reprlib.repr(value)}")
        what, size = _measure(value)
        if size is not None and not self.least <= size <= self.most:
            raise SpecError(
                f"{name} must have {what}from {self.least:,.10g} to {self.most:,.10g}: {self.why}. "
                f"Received: {reprlib.repr(value)}"
            )

    def _can_be_shown(self, text: str) -> bool:
        return text == escape(text) if self.many_lines else text.isprintable()


def _measure(value: object) -> tuple[str, float | int | None]:
    if isinstance(value, bool) or value is None:
        return "", None
    if isinstance(value, (int, float)):
        return "a value ", value
    return ("a length ", len(value)) if isinstance(value, Sized) else ("", None)
