"""What studies compare: the metrics of a run, by name, and how they follow from what a job recorded."""

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Annotated, Any, Literal, get_args

from pydantic import Field, TypeAdapter, ValidationError

from models.catalog.verdicts import CHANCE, PREFIX, QUANTITIES
from service.domain.metrics import METRICS
from service.domain.spec_sections import explain
from service.domain.stored import read_stored
from service.domain.student import find_mean
from service.domain.studies.statistics import Outcome
from service.errors import SpecError

EPOCHS_TO = re.compile(r"epochs_to:(?P<metric>\w+):(?P<value>[0-9.e-]+)")
LAYER = re.compile(rf"{PREFIX}(?P<layer>[\w.-]+)/(?P<quantity>\w+)")
Finite = Annotated[float, Field(ge=-1e30, le=1e30, allow_inf_nan=False, strict=True)]
Named = Annotated[str, Field(max_length=64)]
Word = Annotated[str, Field(max_length=500)]
Count = Annotated[int, Field(ge=0, le=10**12, strict=True)]
MOST_METRICS, MOST_EPOCHS = 10_000, 1000  # that are kept of a run
SMALLEST = 1e-45  # of single precision; a gradient that has faded below it is 0
CurveName = Literal["loss", "accuracy", "val_loss", "val_accuracy"]
CURVES: Sequence[CurveName] = get_args(CurveName)  # kept of each run, epoch by epoch


@dataclass(frozen=True, slots=True, kw_only=True)
class RunNumbers:
    """What is kept of a finished run; it outlives the job."""

    last: Annotated[Mapping[Named, Finite | None], Field(max_length=MOST_METRICS)]
    """The newest value of each metric, those of layers included; None: not a finite number."""
    curves: Mapping[CurveName, Annotated[Sequence[Finite | None], Field(max_length=MOST_EPOCHS)]] = field(
        default_factory=dict
    )
    """The metrics of `CURVES`, a value an epoch."""
    epochs: Count = 0
    """As many as its spec asks for."""
    parameters: Count = 0
    diverged: Annotated[bool, Field(strict=True)] = False
    """Training ended because a number was not finite: a result of its arm, not a failure of the service."""
    weights_digest: Word = ""
    environment: Word = ""
    """On what it was trained, in words; runs of different environments are compared with a warning."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Derived:
    """A metric that follows from others."""

    summary: str
    compute: Callable[[RunNumbers], float | None]
    needs: tuple[str, ...] = ()
    """Recorded metrics; `layer/…` stands for the diagnostics."""


def _difference(first: str, second: str) -> Callable[[RunNumbers], float | None]:
    def compute(run: RunNumbers) -> float | None:
        a, b = run.last.get(first), run.last.get(second)
        return None if a is None or b is None else a - b

    return compute


def _error(metric: str) -> Derived:
    def compute(run: RunNumbers) -> float | None:
        value = run.last.get(metric)
        return None if value is None else 1 - value

    return Derived(summary=f"1 - `{metric}`", compute=compute, needs=(metric,))


def _either_error(run: RunNumbers, first: str, otherwise: str) -> float | None:
    return _error(first if first in run.last else otherwise).compute(run)


def _layers(quantity: str, combine: Callable[[Sequence[float]], float], summary: str) -> Derived:
    def compute(run: RunNumbers) -> float | None:
        found = [run.last[name] for name in run.last if _quantity_of(name) == quantity]
        values = [value for value in found if value is not None]
        return combine(values) if values and len(values) == len(found) else None

    return Derived(summary=summary, compute=compute, needs=(PREFIX,))


def _quantity_of(name: str) -> str:
    match = LAYER.fullmatch(name)
    return match["quantity"] if match else ""


DERIVED: Mapping[str, Derived] = {
    "test_error": _error("test_accuracy"),
    "crop_test_error": Derived(
        summary="1 - `test_ten_crop_accuracy`; of a run that looks at the centre alone `test_error`",
        compute=lambda run: _either_error(run, "test_ten_crop_accuracy", "test_accuracy"),
        needs=("test_accuracy",),
    ),
    "val_error": _error("val_accuracy"),
    "train_error": _error("accuracy"),
    "gap": Derived(
        summary="`accuracy` - `test_accuracy`: how much worse it is on images that it has not seen",
        compute=_difference("accuracy", "test_accuracy"),
        needs=("accuracy", "test_accuracy"),
    ),
    "parameters": Derived(summary="number of trained weights", compute=lambda run: float(run.parameters)),
    "near_zero": _layers("near_zero", find_mean, "mean over the layers of the share of weights below 0.001"),
    "weight_norm": _layers("weight_norm", lambda norms: math.hypot(*norms), "norm of all kernels together"),
    "symmetric": _layers("symmetric", find_mean, "share of the layers whose units are all equal"),
    "dead": _layers("dead", find_mean, "mean over the layers of the share of dead ReLU units"),
    "gradient_range": _layers(
        "gradient_norm",
        lambda norms: max(norms) / max(min(norms), SMALLEST),
        "the largest gradient norm of a layer over the smallest: how much gradients fade or grow with depth",
    ),
}


def check_metric(name: str) -> None:
    """Refuse a metric that no run has.

    Raises:
        SpecError: with the metrics that there are.
    """
    if name in METRICS or name in DERIVED:
        return
    match = EPOCHS_TO.fullmatch(name)
    if match and match["metric"] in CURVES and _is_number(match["value"]):
        return
    layer = LAYER.fullmatch(name)
    if layer and layer["quantity"] in QUANTITIES:
        return
    raise SpecError(
        f"There is no metric {name!r}. There are {', '.join([*DERIVED, *METRICS])}, "
        "layer/LAYER/QUANTITY, and epochs_to:METRIC:VALUE as in epochs_to:accuracy:0.75"
    )


def describe_metric(name: str) -> str:
    """What a metric is, in a few words."""
    if match := EPOCHS_TO.fullmatch(name):
        way = "at most" if match["metric"].endswith("loss") else "at least"
        return f"epochs until `{match['metric']}` is {way} {match['value']}"
    if match := LAYER.fullmatch(name):
        return f"{QUANTITIES[match['quantity']]}, of layer {match['layer']}"
    return DERIVED[name].summary if name in DERIVED else METRICS.get(name, "")


def find_curve(name: str) -> CurveName | None:
    """The curve that a metric is read from, where it is."""
    match = EPOCHS_TO.fullmatch(name)
    return next((curve for curve in CURVES if match and match["metric"] == curve), None)


def list_needs(name: str) -> Sequence[str]:
    """The recorded metrics that a metric follows from."""
    if match := EPOCHS_TO.fullmatch(name):
        return [match["metric"]]
    return list(DERIVED[name].needs) if name in DERIVED else [name]


def find_layer(name: str) -> str:
    """The layer that a metric is of; empty if it is of none."""
    match = LAYER.fullmatch(name)
    return match["layer"] if match else ""


def is_of_epochs(name: str) -> bool:
    """Whether a metric counts epochs."""
    return EPOCHS_TO.fullmatch(name) is not None


def is_of_test_images(name: str) -> bool:
    """Whether a metric looks at the test images, which nothing may be chosen by."""
    return any(need.startswith("test_") for need in list_needs(name))


def is_higher_better(name: str) -> bool:
    """Whether tuning looks for a high value of a metric."""
    return name.endswith("accuracy")


def measure(name: str, run: RunNumbers) -> Outcome | None:
    """The metric of a run; None if the run does not have it.

    A run that diverged has learned nothing: its accuracy is that of chance, and it reaches no target. Nothing
    else of it can be compared.
    """
    if match := EPOCHS_TO.fullmatch(name):
        return _count_epochs(run, match["metric"], float(match["value"]))
    last = run.last
    if run.diverged:
        needs = list_needs(name)
        if name == "gap" or not all(need.endswith("accuracy") for need in needs):
            return None
        last = {**last, **dict.fromkeys(needs, last.get(CHANCE))}
    value = DERIVED[name].compute(replace(run, last=last)) if name in DERIVED else last.get(name)
    return None if value is None or not math.isfinite(value) else Outcome(value)


def _count_epochs(run: RunNumbers, metric: str, target: float) -> Outcome | None:
    curve = run.curves.get(metric, ())  # type: ignore[call-overload]
    if run.diverged:
        return Outcome(max(run.epochs, len(curve)), is_censored=True)
    for epoch, value in enumerate(curve, start=1):
        if value is not None and (value <= target if metric.endswith("loss") else value >= target):
            return Outcome(epoch)
    return Outcome(len(curve), is_censored=True) if curve else None


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


def dump_numbers(run: RunNumbers) -> Mapping[str, Any]:
    """A run's numbers as JSON has them."""
    return asdict(run)


def load_numbers(stored: Mapping[str, Any]) -> RunNumbers:
    """Stored numbers of a run; what was not stored has its default."""
    return read_stored(RunNumbers, {"last": {}, **stored})


def read_numbers(given: Mapping[str, Any]) -> RunNumbers:
    """Read numbers that were made elsewhere, as `dump_numbers` gives them.

    Raises:
        SpecError: they are no such numbers, or beyond all bounds.
    """
    try:
        return _NUMBERS.validate_python(given)
    except ValidationError as error:
        why = explain(error.errors()[0])
        raise SpecError(f"These are no numbers of a run, as cnnctl study export writes them: {why}") from None


_NUMBERS = TypeAdapter(RunNumbers)
