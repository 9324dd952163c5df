"""Which runs a study has: a spec for each arm and seed, checked before the first is queued."""

import itertools
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from models.catalog.costs import count_layers
from models.catalog.verdicts import PREFIX
from service.domain.spec import Spec, digest_training
from service.domain.spec_request import resolve_spec
from service.domain.states import Stage
from service.domain.stored_spec import list_values
from service.domain.studies.definition import SEED, Definition, Fields
from service.domain.studies.measures import MOST_EPOCHS, find_layer, is_of_epochs, list_needs
from service.domain.studies.statistics import count_least_pairs
from service.errors import SpecError

FIRST_TUNING_SEED = 1_000_000  # measured runs have seeds from 0 on: no seed serves twice
VALIDATION = "val_"
MOST_RUNS = 5000
COLOURS, CLASSES = 3, 10  # of images: names of layers do not depend on them


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedRun:
    """A run before it is queued."""

    stage: Stage
    arm: str
    seed: int
    tuned: Fields
    spec: Spec

    @property
    def training_digest(self) -> str:
        return digest_training(self.spec.to_json())


def resolve_arm(definition: Definition, scale: str, arm: str, tuned: Fields) -> Spec:
    """The spec of an arm, with seed 0.

    Raises:
        SpecError: it cannot be trained, or a field would have no effect in it.
    """
    fields = {**definition.base, **definition.get_scale(scale).base, **definition.arms[arm], **tuned}
    try:
        return resolve_spec(definition.network, {**fields, SEED: 0})
    except SpecError as error:
        raise SpecError(f"Arm {arm} cannot be trained: {error}") from None


def list_grid(definition: Definition, scale: str) -> Sequence[Fields]:
    """The values that tuning tries, each as fields; empty where nothing is tuned."""
    if definition.tune is None:
        return []
    grid = definition.get_scale(scale).grid or definition.tune.grid
    return [dict(zip(grid, values, strict=True)) for values in itertools.product(*grid.values())]


def plan_tuning(definition: Definition, scale: str) -> Sequence[PlannedRun]:
    """Every arm with every value of the grid, on seeds of their own."""
    if definition.tune is None:
        return []
    seeds = range(FIRST_TUNING_SEED, FIRST_TUNING_SEED + definition.tune.seeds)
    return [
        run
        for arm in definition.arms
        for tuned in list_grid(definition, scale)
        for run in _plan(resolve_arm(definition, scale, arm, tuned), Stage.TUNE, arm, tuned, seeds)
    ]


def plan_measured(
    specs: Mapping[str, Spec], *, seeds: Sequence[int], tuned: Mapping[str, Fields]
) -> Sequence[PlannedRun]:
    """Every arm with every seed; `specs` has each arm's, with what was chosen for it, which `tuned` tells.

    Seed by seed, so that pairs are complete early.
    """
    of_arms = [
        list(_plan(spec, Stage.MEASURE, arm, tuned.get(arm, {}), seeds)) for arm, spec in specs.items()
    ]
    return [run for of_seed in zip(*of_arms, strict=True) for run in of_seed]


def _plan(spec: Spec, stage: Stage, arm: str, tuned: Fields, seeds: Sequence[int]) -> Iterator[PlannedRun]:
    for seed in seeds:
        training = spec.training.model_copy(update={"seed": seed})
        with_seed = spec.model_copy(update={"training": training})
        yield PlannedRun(stage=stage, arm=arm, seed=seed, tuned=tuned, spec=with_seed)


def count_runs(definition: Definition, scale: str, *, seeds: int) -> int:
    """Runs of a study with so many seeds, tuning included."""
    tuning = 0
    if definition.tune is not None:
        grid = definition.get_scale(scale).grid or definition.tune.grid
        tuning = math.prod(map(len, grid.values())) * definition.tune.seeds
    return len(definition.arms) * (tuning + seeds)


def check_number(runs: int) -> None:
    """Refuse a study of too many runs.

    Raises:
        SpecError: with the bound.
    """
    if runs > MOST_RUNS:
        raise SpecError(f"A study has at most {MOST_RUNS:,} runs. This one would have {runs:,}")


def check_study(definition: Definition, scale: str, *, seeds: int) -> Mapping[tuple[str, int], Spec]:
    """Check a study before anything of it is queued; returns the spec of each arm and number in the grid.

    Raises:
        SpecError: an arm cannot be trained, two are equal or differ in more than the factor, a metric is none
            that the runs will have, or there are too many runs.
    """
    check_number(count_runs(definition, scale, seeds=seeds))
    least = count_least_pairs(len(definition.contrasts))
    if seeds < least and any(one.expect != "equal" for one in definition.contrasts):
        raise SpecError(
            f"With {len(definition.contrasts)} contrasts a study needs {least} seeds at least: with fewer no "
            f"p, corrected for all of them, could be below 0.05. Received: {seeds}"
        )
    specs = {
        (arm, number): resolve_arm(definition, scale, arm, tuned)
        for arm in definition.arms
        for number, tuned in enumerate(list_grid(definition, scale) or [{}])
    }
    first = {arm: specs[arm, 0] for arm in definition.arms}
    _check_arms_differ(definition, first)
    metrics = [(one.metric, arm) for one in definition.contrasts for arm in (one.first, one.second)]
    metrics += [(definition.tune.metric, arm) for arm in first] if definition.tune else []
    for metric, arm in dict.fromkeys(metrics):
        _check_is_recorded(metric, first[arm], arm=arm)
    return specs


def _check_arms_differ(definition: Definition, specs: Mapping[str, Spec]) -> None:
    values = {arm: dict(list_values(json.loads(spec.to_json()))) for arm, spec in specs.items()}
    tuned = definition.tune.grid if definition.tune else {}
    may_differ = {_as_stored(path) for path in (*definition.factor, *tuned)}
    for (one, its), (other, others) in itertools.combinations(values.items(), 2):
        differing = {path for path in {*its, *others} if its.get(path) != others.get(path)}
        if not differing and not definition.null_test:
            raise SpecError(
                f"Arms {one} and {other} are equal: nothing can come of comparing them. "
                "A study of what equal arms come to says null_test = true"
            )
        beyond = sorted(path for path in differing if _as_stored(path) not in may_differ)
        if beyond:
            raise SpecError(
                f"Arms {one} and {other} differ in more than their factor: in {', '.join(beyond)}, too. "
                "Set it in the base, or name it in the factor"
            )


def _as_stored(path: str) -> str:
    """An architecture's own options by the name that people give them, as `model.hidden_units`."""
    return path.replace("model.options.", "model.")


def _check_is_recorded(metric: str, spec: Spec, *, arm: str) -> None:
    for need in list_needs(metric):
        if need.startswith(PREFIX) and not spec.training.diagnostics:
            raise SpecError(f"{metric} needs training.diagnostics true, which arm {arm} does not have")
        if need.startswith(VALIDATION) and spec.data.validation_fraction == 0:
            raise SpecError(f"{metric} needs validation images, of which arm {arm} has none")
    if layer := find_layer(metric):
        side = spec.data.image_size
        layers = count_layers(spec.model, input_shape=(side, side, COLOURS), num_classes=CLASSES)
        names = [one.name for one in layers if one.dense_parameters is not None]
        if layer not in names:
            raise SpecError(f"{metric}: arm {arm} has no such layer. Layers with weights: {', '.join(names)}")
    if is_of_epochs(metric) and spec.training.epochs > MOST_EPOCHS:
        raise SpecError(
            f"{metric}: of at most {MOST_EPOCHS:,} epochs, arm {arm} has {spec.training.epochs:,}"
        )
