"""What a study must keep to when it is started; stored ones are not judged by it again."""

from collections.abc import Mapping, Sequence

from models.catalog.dataset_path import make_absolute
from service.domain.studies.definition import SEED, Contrast, Definition, Scale, Value
from service.domain.studies.measures import check_metric, is_of_test_images
from service.domain.studies.statistics import FEWEST_PAIRS
from service.errors import SpecError

ARMS, CONTRASTS, SEEDS = (2, 20), (1, 50), (FEWEST_PAIRS, 1000)
TUNING_SEEDS, GRID_VALUES, MOST_COMBINATIONS = (1, 100), (2, 20), 100
LARGEST_MARGIN = 1e30


def check_definition(study: Definition) -> None:
    """Check the parts of a study against each other; the specs of its arms are checked by `plan`.

    Raises:
        SpecError: with what is wrong.
    """
    for name, text in (("claim", study.claim), ("source", study.source), ("published", study.published)):
        _check_line(name, text, may_be_empty=name == "published")
    _check_count("arms", study.arms, ARMS)
    _check_count("contrasts", study.contrasts, CONTRASTS)
    if not study.scales:
        raise SpecError("A study has a scale at least, as in: [scales.quick]")
    for contrast in study.contrasts:
        _check_contrast(contrast, study)
    if all(contrast.aside for contrast in study.contrasts):
        raise SpecError("A contrast at least must be the claim itself, and no aside")
    seen = [(one.first, one.second, one.metric) for one in study.contrasts]
    if len(set(seen)) < len(seen):
        raise SpecError("Two contrasts compare the same arms in the same metric")
    _check_factor(study)
    _check_paths(study)
    _check_tuning(study)
    for name, scale in study.scales.items():
        _check_scale(name, scale, study)


def _check_line(name: str, text: str, *, may_be_empty: bool) -> None:
    """Texts stand in tables and headings of reports."""
    if not text.isprintable() or not (text.strip() or may_be_empty):
        raise SpecError(f"{name} must be one printable line. Received: {text[:200]!r}")


def _check_count(name: str, values: Sequence[object] | Mapping[str, object], bounds: tuple[int, int]) -> None:
    least, most = bounds
    if not least <= len(values) <= most:
        raise SpecError(f"A study has {least} to {most} {name}. Received: {len(values)}")


def _check_contrast(contrast: Contrast, study: Definition) -> None:
    check_metric(contrast.metric)
    for name in (contrast.first, contrast.second):
        if name not in study.arms:
            raise SpecError(f"There is no arm {name!r}. Arms: {', '.join(study.arms)}")
    if contrast.first == contrast.second:
        raise SpecError(f"A contrast has two arms. Received: {contrast.first!r} twice")
    if not (1.0 if contrast.ratio else 0.0) < contrast.margin <= LARGEST_MARGIN:
        what = "a factor above 1" if contrast.ratio else "above 0, in units of the metric"
        raise SpecError(f"margin of {contrast.metric} must be {what}. Received: {contrast.margin:g}")


def _check_factor(study: Definition) -> None:
    given = {path for arm in study.arms.values() for path in arm}
    bases = [study.base, *(scale.base for scale in study.scales.values())]
    if SEED in (*given, *study.factor) or any(SEED in base for base in bases):
        raise SpecError(f"{SEED} cannot be given: the seed pairs the arms")
    if beyond := sorted(given - set(study.factor)):
        known = ", ".join(study.factor) or "nothing"
        raise SpecError(f"Arms may differ in their factor only: {known}. Received: {beyond[0]}")
    if unused := sorted(set(study.factor) - given):
        raise SpecError(f"factor names {unused[0]}, which no arm sets")


def _check_paths(study: Definition) -> None:
    """Refuse a relative path: each process that plans runs has a working folder of its own."""
    for fields in (study.base, *study.arms.values(), *(scale.base for scale in study.scales.values())):
        dataset = str(fields.get("data.dataset", ""))
        if dataset != make_absolute(dataset):
            raise SpecError(f"data.dataset must have an absolute path in a study file. Received: {dataset}")


def _check_tuning(study: Definition) -> None:
    if study.tune is None:
        return
    metric, seeds = study.tune.metric, study.tune.seeds
    check_metric(metric)
    if is_of_test_images(metric):
        raise SpecError(f"tune.metric must not look at the test images, as {metric} does: take val_accuracy")
    if not TUNING_SEEDS[0] <= seeds <= TUNING_SEEDS[1]:
        raise SpecError(f"tune.seeds must be from 1 to 100. Received: {seeds}")
    _check_grid("tune.grid", study.tune.grid, study)


def _check_scale(name: str, scale: Scale, study: Definition) -> None:
    if scale.undecided:
        _check_line(f"scales.{name}.undecided", scale.undecided, may_be_empty=False)
    if not SEEDS[0] <= scale.seeds <= SEEDS[1]:
        raise SpecError(
            f"scales.{name}.seeds must be from {SEEDS[0]} to {SEEDS[1]:,}: fewer than {FEWEST_PAIRS} never "
            f"give a verdict, since no p below 0.05 could come of them. Received: {scale.seeds}"
        )
    if scale.grid is not None:
        if study.tune is None:
            raise SpecError(f"scales.{name}.grid has no effect without [tune]")
        _check_grid(f"scales.{name}.grid", scale.grid, study)


def _check_grid(name: str, grid: Mapping[str, Sequence[Value]], study: Definition) -> None:
    combinations = 1
    for path, values in grid.items():
        least, most = GRID_VALUES
        if not least <= len(values) <= most or len(set(map(repr, values))) < len(values):
            raise SpecError(f"{name}.{path} has {least} to {most} values to try, each once")
        if path == SEED or path in study.factor:
            raise SpecError(f"{name} cannot name {path}: it is the seed, or in the factor")
        combinations *= len(values)
    if not grid or combinations > MOST_COMBINATIONS:
        raise SpecError(f"{name} has from 1 to {MOST_COMBINATIONS} combinations of values")
