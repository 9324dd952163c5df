"""Curves of jobs as a chart shows them: thinned out by minimum and maximum, never by leaving out points."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any


@dataclass(frozen=True, slots=True, kw_only=True)
class CurveView:
    """A metric of a job within a range of steps, one point for all that fall into one bucket of it."""

    job: Annotated[int, "the job's number"]
    metric: Annotated[str, "the metric's name, see metrics.md"]
    steps_per_epoch: Annotated[int | None, "steps of one epoch; `null` before the first one is complete"]
    decimated: Annotated[bool, "whether some point stands for several"]
    total: Annotated[int, "recorded points in the range"]
    not_finite: Annotated[int, "so many of these are no finite numbers"]
    last: Annotated[
        float | None, "the last value in the range; `null` where there is none or it is not finite"
    ]
    points: Annotated[
        Sequence[tuple[int, float | None, float | None, float | None]],
        "step, least, largest and mean value of each bucket that has points, in the order of steps; the step "
        "is that of the bucket's first point, and values are `null` where no point of it is finite",
    ]
    clock: Annotated[
        Sequence[tuple[int, float]],
        "pairs of step and seconds of training up to it, for an axis of time; empty where no speed is known",
    ]


BandPoint = tuple[int, float | None, float | None, float | None, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class BandView:
    """A metric of jobs that differ only in what is ignored, as their seeds: the mean, and how sure it is."""

    group: Annotated[
        Mapping[str, Any],
        "fields of the spec, by dotted path, in which the groups differ, with the values of this one",
    ]
    jobs: Annotated[Sequence[int], "the group's jobs"]
    metric: Annotated[str, "the metric's name, see metrics.md"]
    points: Annotated[
        Sequence[BandPoint],
        "step, mean of the jobs, lower and upper end of its 95 % confidence interval by Student's t, and the "
        "number of jobs that have a finite point, of each bucket in which some job has a point; the ends are "
        "`null` of one job, and the mean, too, of none",
    ]
