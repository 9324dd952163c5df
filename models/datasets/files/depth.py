"""Knows files of more than 8 bits: what is white in them, and what is lost of them.

Numbers are scaled by what is white in the whole dataset, so that equal numbers stay equal; where nobody has
looked at the dataset, by what is white in the file alone.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from models.errors import DatasetError

# Kinds of numbers. Of colours of 16 bits, Pillow gives only the upper 8.
INTEGER, FLOAT, COLOUR = "integer", "float", "colour"
UNIT_WHITE, LARGEST_UNIT = 1.0, 2.0  # resampling makes some numbers larger than white
DEPTHS = (8, 10, 12, 14, 16)
WHITE_16 = 65535.0
LEAST_OF_8_BITS = 128.0  # images of 8 bits without a larger number would be nearly black

WhiteLevels = Mapping[str, float]  # what becomes 255, by the kind of numbers


class Depth(NamedTuple):
    """What was found in a file of more than 8 bits: the kind of its numbers, the smallest and the largest."""

    kind: str
    lowest: float
    peak: float


def get_white_levels(depths: Iterable[Depth]) -> WhiteLevels:
    """What is white in files like these: 1 for floats up to about 1, else the maximum of a usual bit depth.

    Raises:
        DatasetError: the largest float is too large for a fraction of white, and too small for 8 bits.
    """
    peaks: dict[str, float] = {}
    for depth in depths:
        if depth.kind != COLOUR:
            peaks[depth.kind] = max(depth.peak, peaks.get(depth.kind, 0.0))
    if LARGEST_UNIT < peaks.get(FLOAT, 0.0) < LEAST_OF_8_BITS:
        raise DatasetError(
            "The largest number in the files of floating-point numbers is neither about 1 nor of 8 bits or "
            "more, so that nobody knows what is white. Scale all of them to 0 to 1"
        )
    return {kind: compute_white(kind, peak) for kind, peak in peaks.items()}


def compute_white(kind: str, peak: float) -> float:
    """What is white if the largest number is `peak`."""
    if kind == FLOAT and peak <= LARGEST_UNIT:
        return UNIT_WHITE
    return next((float(2**bits - 1) for bits in DEPTHS if peak <= 2**bits - 1), WHITE_16)


def tell_depths(depths: Sequence[Depth], white_levels: WhiteLevels) -> str:
    """What was done to files of more than 8 bits, in words; empty without any."""
    return "; ".join(_tell_each(depths, white_levels))


def _tell_each(depths: Sequence[Depth], white_levels: WhiteLevels) -> Iterator[str]:
    for kind, name in ((INTEGER, "integers"), (FLOAT, "floating-point numbers")):
        if count := sum(depth.kind == kind for depth in depths):
            yield f"white is {white_levels[kind]:,.0f} in {_count(count)} of {name} of more than 8 bits"
    if count := sum(depth.lowest < 0 for depth in depths):
        yield f"numbers below 0 in {_count(count)} are read as 0"
    if count := sum(depth.kind == COLOUR for depth in depths):
        yield f"of 16 bits a colour in {_count(count)} the upper 8 are read"


def _count(files: int) -> str:
    return f"{files:,} {'file' if files == 1 else 'files'}"
