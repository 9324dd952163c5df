"""Which runs a study has: a spec for each arm and seed, checked before the first is queued."""

import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from models.catalog.verdicts import PREFIX
from service.domain.spec import Spec, digest_training
from service.domain.spec_request import resolve_spec
from service.domain.states import Stage
from service.domain.stored_spec import list_values
from service.domain.studies.definition import MOST_RUNS, SEED, Definition, Fields
from service.domain.studies.measures import list_needs
from service.domain.studies.statistics import count_least_pairs
from service.errors import SpecError

FIRST_TUNING_SEED = 1_000_000  # measured runs have seeds from 0 on: no seed serves twice
VALIDATION = "val_"


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
        for run in _plan(definition, scale, Stage.TUNE, arm, tuned, seeds)
    ]


def plan_measured(
    definition: Definition, scale: str, *, seeds: Sequence[int], tuned: Mapping[str, Fields]
) -> Sequence[PlannedRun]:
    """Every arm with every seed; `tuned` has the chosen values of each arm, where there are any.

    Seed by seed, so that pairs are complete early.
    """
    runs = [
        _plan(definition, scale, Stage.MEASURE, arm, tuned.get(arm, {}), seeds) for arm in definition.arms
    ]
    return [run for of_seed in zip(*map(list, runs), strict=True) for run in of_seed]


def _plan(
    definition: Definition, scale: str, stage: Stage, arm: str, tuned: Fields, seeds: Sequence[int]
) -> Iterator[PlannedRun]:
    spec = resolve_arm(definition, scale, arm, tuned)
    for seed in seeds:
        training = spec.training.model_copy(update={"seed": seed})
        with_seed = spec.model_copy(update={"training": training})
        yield PlannedRun(stage=stage, arm=arm, seed=seed, tuned=tuned, spec=with_seed)


def check_study(definition: Definition, scale: str, *, seeds: int) -> Sequence[Spec]:
    """Check a study before anything of it is queued; returns the specs of its arms, tuned or not.

    Raises:
        SpecError: an arm cannot be trained, two are equal or differ in more than the factor, a metric is none
            that the runs will have, or there are too many runs.
    """
    grid = list_grid(definition, scale) or [{}]
    specs = {arm: [resolve_arm(definition, scale, arm, tuned) for tuned in grid] for arm in definition.arms}
    runs = len(definition.arms) * seeds + len(plan_tuning(definition, scale))
    if runs > MOST_RUNS:
        raise SpecError(f"A study has at most {MOST_RUNS:,} runs. {definition.name} would have {runs:,}")
    least = count_least_pairs(len(definition.contrasts))
    if seeds < least and any(one.expect != "equal" for one in definition.contrasts):
        raise SpecError(
            f"With {len(definition.contrasts)} contrasts a study needs {least} seeds at least: with fewer no "
            f"p, corrected for all of them, could be below 0.05. Received: {seeds}"
        )
    _check_arms_differ(definition, {arm: of_arm[0] for arm, of_arm in specs.items()})
    metrics = [one.metric for one in definition.contrasts]
    for metric in [*metrics, *([definition.tune.metric] if definition.tune else [])]:
        for arm, (spec, *_) in specs.items():
            _check_is_recorded(metric, spec, arm=arm)
    return [spec for of_arm in specs.values() for spec in of_arm]


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
