"""The horizontal axis of curves: steps, epochs, or seconds of training."""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from cnnctl.views.curves import CurveView
from service.errors import SpecError

AxisName = Literal["step", "epoch", "time"]
AXES: Sequence[AxisName] = get_args(AxisName)
LOGARITHMIC = "log"  # the only word that `y` takes
LABELS = {"step": "step", "epoch": "epoch", "time": "minutes of training"}
MINUTE = 60.0


def read_axis(text: str) -> AxisName:
    """What an address says of the horizontal axis; nothing: steps.

    Raises:
        SpecError: it is none.
    """
    for name in AXES:
        if name == (text or "step"):
            return name
    raise SpecError(f"x takes {', '.join(AXES)}. Received: {text[:40]!r}")


def read_logarithmic(text: str) -> bool:
    """Whether an address asks for a logarithmic vertical axis.

    Raises:
        SpecError: it says something else.
    """
    if text not in ("", LOGARITHMIC):
        raise SpecError(f"y takes {LOGARITHMIC}. Received: {text[:40]!r}")
    return text == LOGARITHMIC


@dataclass(frozen=True, slots=True, kw_only=True)
class Axis:
    """Where the steps of a job lie; both directions rise, and go on beyond what is known as they ended."""

    steps: Sequence[float]
    places: Sequence[float]

    def place(self, step: float) -> float:
        return _interpolate(step, self.steps, self.places)

    def find_step(self, place: float) -> float:
        return _interpolate(place, self.places, self.steps)


def find_axis(curve: CurveView, name: AxisName) -> Axis | None:
    """The axis of a job; None where it has no such one: before its first epoch ended, or without a speed."""
    if name == "step":
        return Axis(steps=(0.0, 1.0), places=(0.0, 1.0))
    if name == "epoch":
        return (
            Axis(steps=(0.0, float(curve.steps_per_epoch)), places=(0.0, 1.0))
            if curve.steps_per_epoch
            else None
        )
    known = [(0.0, 0.0)]
    for step, seconds in curve.clock:
        if step > known[-1][0] and seconds / MINUTE > known[-1][1]:
            known.append((float(step), seconds / MINUTE))
    if len(known) < 2:
        return None
    return Axis(steps=[step for step, _ in known], places=[minutes for _, minutes in known])


def _interpolate(value: float, of: Sequence[float], into: Sequence[float]) -> float:
    after = min(max(1, bisect_left(of, value)), len(of) - 1)
    left, right = of[after - 1], of[after]
    share = (value - left) / (right - left)
    return into[after - 1] + share * (into[after] - into[after - 1])
