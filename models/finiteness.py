"""Finds numbers that are not finite: a network that holds one has diverged, whatever it answers."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt


def list_not_finite(arrays: Sequence[npt.NDArray[Any]]) -> list[int]:
    """The indices of the arrays that hold NaN or an infinity."""
    return [index for index, array in enumerate(arrays) if not _is_finite(array)]


def _is_finite(array: npt.NDArray[Any]) -> bool:
    if array.dtype.kind in "biu":
        return True
    flat = array.reshape(-1)
    # One pass without a copy; a sum of squares that overflows says nothing yet.
    with np.errstate(over="ignore", invalid="ignore"):
        return bool(np.isfinite(np.dot(flat, flat))) or bool(np.isfinite(flat).all())
