"""What is made of a run's numbers, above all of one that diverged."""

from dataclasses import replace

import pytest

from service.domain.studies.measures import RunNumbers, measure, read_numbers
from service.domain.studies.statistics import Outcome
from service.errors import SpecError

RUN = RunNumbers(
    last={"accuracy": 0.9, "test_accuracy": 0.8, "val_loss": 0.5, "chance_accuracy": 0.1},
    curves={"accuracy": [0.5, 0.7, 0.9], "val_loss": [2.0, 1.0, 0.5]},
    epochs=10,
    parameters=61_706,
)
DIVERGED = RunNumbers(last=RUN.last, curves=RUN.curves, epochs=10, parameters=61_706, diverged=True)


@pytest.mark.parametrize(
    ("metric", "value", "diverged"),
    [
        ("test_accuracy", Outcome(0.8), Outcome(0.1)),
        ("test_error", Outcome(1 - 0.8), Outcome(1 - 0.1)),
        ("crop_test_error", Outcome(1 - 0.8), Outcome(1 - 0.1)),
        ("gap", Outcome(0.9 - 0.8), None),
        ("val_loss", Outcome(0.5), None),
        ("parameters", Outcome(61_706.0), Outcome(61_706.0)),
        ("epochs_to:accuracy:0.7", Outcome(2), Outcome(10, is_censored=True)),
        ("epochs_to:val_loss:1.0", Outcome(2), Outcome(10, is_censored=True)),
        ("epochs_to:accuracy:0.95", Outcome(3, is_censored=True), Outcome(10, is_censored=True)),
        ("val_accuracy", None, Outcome(0.1)),
        ("near_zero", None, None),
    ],
)
def test_a_run_that_diverged_has_learned_nothing(
    metric: str, value: Outcome | None, diverged: Outcome | None
) -> None:
    assert measure(metric, RUN) == value
    assert measure(metric, DIVERGED) == diverged


def test_a_run_that_looked_at_ten_crops_is_judged_by_them() -> None:
    run = replace(RUN, last={**RUN.last, "test_ten_crop_accuracy": 0.85})
    assert measure("crop_test_error", run) == Outcome(1 - 0.85)
    assert measure("test_error", run) == Outcome(1 - 0.8)


def test_faded_gradients_are_as_far_apart_as_single_precision_goes() -> None:
    run = RunNumbers(last={"layer/a/gradient_norm": 1.0, "layer/b/gradient_norm": 0.0})
    found = measure("gradient_range", run)
    assert found is not None
    assert found.value == pytest.approx(1e45)


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"last": {"test_accuracy": "0.9"}},
        {"last": {"test_accuracy": 1e200}},
        {"last": {"test_accuracy": float("nan")}},
        {"last": {}, "diverged": "false"},
        {"last": {}, "epochs": -5},
        {"last": {}, "curves": {"accuracy": [0.1] * 2000}},
        {"last": {}, "curves": {"colour": [0.1]}},
        {"last": {}, "environment": "x" * 5000},
    ],
)
def test_numbers_from_elsewhere_have_bounds(given: dict[str, object]) -> None:
    with pytest.raises(SpecError, match="no numbers of a run"):
        read_numbers(given)
