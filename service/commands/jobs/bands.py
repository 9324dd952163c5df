"""The mean of repeated jobs along their training, with the band that it surely lies in."""

import json
from collections import defaultdict
from collections.abc import Sequence

from cnnctl.views.curves import BandPoint, BandView
from service.bound import Bound
from service.commands.jobs.comparison import list_varied, read_spec_values
from service.commands.jobs.curves import check_bounds, cut_range
from service.domain.jobs import JobId
from service.domain.student import find_deviation, find_half_width, find_mean
from service.errors import SpecError
from service.store.jobs import curves, jobs
from service.store.jobs.curves import LARGEST_SUMMED, Bucket
from service.store.transaction import Store

SEED = "training.seed"
IGNORED = Bound(least=0, most=100, why="no spec has more fields")


def get_bands(
    store: Store,
    job_ids: Sequence[JobId],
    metric: str,
    *,
    start: int | None = None,
    end: int | None = None,
    points: int = 600,
    ignoring: Sequence[str] = (SEED,),
) -> Sequence[BandView]:
    """Group jobs whose specs are equal but for the ignored fields, and average a metric over each group.

    Steps are cut into buckets as in `get_curves`; a job counts in a bucket with the mean of its points.

    Raises:
        JobNotFound: there is no such job.
        SpecError: something is beyond its bounds, no spec has an ignored field, or a spec cannot be read.
        MissingExtra: SciPy is not installed.
    """
    check_bounds(job_ids, [metric], start=start, end=end, points=points)
    IGNORED.check("ignoring", ignoring)
    with store.reading() as tx:
        found = jobs.get_jobs(tx, dict.fromkeys(job_ids))
        ids = [job.id for job in found]
        extents = curves.find_extents(tx, ids, [metric], start=start, end=end)
        buckets = cut_range(extents, start=start, end=end, points=points)
        rows = curves.list_buckets(tx, ids, [metric], buckets)
    specs = {job.id: read_spec_values(job) for job in found}
    for path in ignoring:
        if not any(path in spec for spec in specs.values()):
            raise SpecError(f"No spec of these jobs has a field {path!r}. All fields: cnnctl list fields")
    kept = {
        job_id: {path: value for path, value in spec.items() if path not in ignoring}
        for job_id, spec in specs.items()
    }
    groups: dict[str, list[JobId]] = defaultdict(list)
    for job_id, spec in kept.items():
        groups[json.dumps(spec, sort_keys=True)].append(job_id)
    varied = list_varied([kept[members[0]] for members in groups.values()])
    return [
        BandView(
            group={one.field: one.values[number] for one in varied},
            jobs=members,
            metric=metric,
            points=_average([rows.get((job_id, metric), ()) for job_id in members]),
        )
        for number, members in enumerate(groups.values())
    ]


def _average(of_jobs: Sequence[Sequence[Bucket]]) -> Sequence[BandPoint]:
    """Step, mean, band and number of jobs of each bucket that has a point."""
    steps: dict[int, int] = {}
    values: dict[int, list[float]] = defaultdict(list)
    for row in of_jobs:
        for one in row:
            steps[one.number] = min(one.step, steps.get(one.number, one.step))
            if one.mean is not None:
                values[one.number].append(min(max(one.mean, -LARGEST_SUMMED), LARGEST_SUMMED))
    return [(steps[number], *_estimate(values[number]), len(values[number])) for number in sorted(steps)]


def _estimate(values: Sequence[float]) -> tuple[float | None, float | None, float | None]:
    """The mean of a sample, and its confidence interval by Student's t."""
    if not values:
        return None, None, None
    mean = find_mean(values)
    if len(values) < 2:
        return mean, None, None
    half = find_half_width(find_deviation(values, mean), len(values))
    return mean, mean - half, mean + half
