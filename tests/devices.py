"""On how many simulated devices something is tried."""

from collections.abc import Iterable

import pytest
from _pytest.mark.structures import ParameterSet

on_two_devices = pytest.mark.parametrize("gpus", [2, pytest.param(1, marks=pytest.mark.long)])


def on_one_or_two(cases: Iterable[object]) -> list[ParameterSet]:
    """Each case on one device or on two, by turns; `make long` tries the other number."""
    return [
        pytest.param(case, gpus, marks=[pytest.mark.long] if (number + gpus) % 2 else [])
        for number, case in enumerate(cases)
        for gpus in (1, 2)
    ]
