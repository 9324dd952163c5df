"""The runs of a study as a table: a row a seed, a column an arm."""

from collections.abc import Sequence
from dataclasses import dataclass

from cnnctl.views.studies import StudyRunView
from service.domain.states import Stage
from service.web.chart_scale import format_value
from service.web.study_findings import Finding
from service.web.study_svg import list_metrics, list_points

MOST_SEEDS = 100  # that are listed; the page of jobs has all
MOST_TUNING = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """A run: what it came to in words."""

    run: StudyRunView
    words: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Runs:
    """The measured runs by seed and arm; None where an arm has none with this seed."""

    study: int
    metric: str
    arms: Sequence[str]
    rows: Sequence[tuple[int, Sequence[Cell | None]]]
    seeds: int
    """As many there are, listed or not."""
    tuning: Sequence[Cell]
    more_tuning: int


def arrange_runs(study: int, found: Finding) -> Runs:
    """Pair the runs by their seed."""
    metric = list_metrics(found.report)[0]
    values = {
        (arm, seed): ("> " if point.censored else "") + format_value(point.value)
        for arm, points in list_points(found.report, metric).items()
        for seed, point in points.items()
    }
    measured = {(run.arm, run.seed): run for run in found.runs if run.stage == Stage.MEASURE.value}
    tuning = [run for run in found.runs if run.stage == Stage.TUNE.value]
    arms = [arm.name for arm in found.report.arms]
    seeds = sorted({seed for _, seed in measured})
    rows = [
        (
            seed,
            [
                _make_cell(run, values.get((arm, seed), "")) if (run := measured.get((arm, seed))) else None
                for arm in arms
            ],
        )
        for seed in seeds[:MOST_SEEDS]
    ]
    return Runs(
        study=study,
        metric=metric,
        arms=arms,
        rows=rows,
        seeds=len(seeds),
        tuning=[_make_cell(run, "") for run in tuning[:MOST_TUNING]],
        more_tuning=max(0, len(tuning) - MOST_TUNING),
    )


def _make_cell(run: StudyRunView, value: str) -> Cell:
    if run.failure:
        return Cell(run=run, words=run.failure)
    return Cell(run=run, words="not ended" if run.numbers is None else value or "ended")
