"""In what two jobs differ."""

from collections.abc import Sequence

from cnnctl.views.jobs import DifferenceView, JobDiffView, VariedField
from service.commands.jobs.comparison import compare_jobs
from service.domain.jobs import JobId
from service.settings import Settings
from service.store.transaction import Store


def diff_jobs(store: Store, settings: Settings, first: JobId, second: JobId) -> JobDiffView:
    """Compare two jobs, finished or not.

    Raises:
        JobNotFound: there is no such job.
        SpecError: a stored spec cannot be read.
    """
    both = compare_jobs(store, settings, [first, second])
    left, right = both.weights_digest
    return JobDiffView(
        first=first,
        second=second,
        spec=_list_differences(both.spec),
        scheduling=_list_differences(both.scheduling),
        outcome=_list_differences(both.outcome),
        metrics=_list_differences(both.metrics),
        environment=_list_differences(both.environment),
        weights_digest=(left, right),
        same_weights=None if left is None or right is None else left == right,
    )


def _list_differences(varied: Sequence[VariedField]) -> Sequence[DifferenceView]:
    return [DifferenceView(field=one.field, first=one.values[0], second=one.values[1]) for one in varied]
