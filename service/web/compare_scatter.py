"""Settings of jobs against what came of them."""

from collections.abc import Sequence
from dataclasses import fields

from cnnctl.client import Client
from cnnctl.views.jobs import ComparisonView, VariedField
from service.domain.scheduling_options import SchedulingOptions
from service.errors import SpecError
from service.web.chart import Chart, Dot, choose_look, say_missing
from service.web.compare_address import METRICS


def list_settings(view: ComparisonView) -> Sequence[VariedField]:
    """What somebody chose, and not all alike."""
    return [*view.spec, *view.scheduling]


def check_scatter(client: Client, view: ComparisonView, scatter: Sequence[str]) -> None:
    """Refuse a setting or a metric that no job can have.

    Raises:
        SpecError: it is none.
    """
    if not scatter:
        return
    setting, metric = scatter
    known = {one.field for one in list_settings(view)} | {one.name for one in fields(SchedulingOptions)}
    if setting not in known and setting not in {one.name for one in client.list_spec_fields()}:
        raise SpecError(f"There is no setting {setting[:40]!r}. All fields: cnnctl list fields")
    if metric not in (*view.metric_names, *METRICS):
        raise SpecError(f"None of these jobs has the metric {metric[:40]!r}")


def make_scatter(view: ComparisonView, setting: str, metric: str) -> Chart:
    """A dot for each job: what was chosen, and what came of it."""
    chosen = _find(list_settings(view), setting, len(view.jobs))
    results = _find(view.metrics, metric, len(view.jobs))
    names = _list_names(chosen)
    dots, without, nowhere = [], [], []
    for number, (job, value, result) in enumerate(zip(view.jobs, chosen, results, strict=True)):
        x = names.index(_name(value)) if names else value
        if not isinstance(x, (int, float)):
            without.append(job)
        elif not isinstance(result, (int, float)):
            nowhere.append(job)
        else:
            dots.append(Dot(x=float(x), y=float(result), label=str(job), look=choose_look(number)))
    same = [
        f"All these jobs have the same {name}"
        for name, values, given in ((setting, chosen, True), (metric, results, metric in view.metric_names))
        if given and all(value is None for value in values)
    ]
    notes = same or [*say_missing(without, setting), *say_missing(nowhere, metric)]
    return Chart(title="", x_label=setting, y_label=metric, dots=dots, names=names, notes=notes)


def _find(varied: Sequence[VariedField], name: str, count: int) -> Sequence[object]:
    return next((one.values for one in varied if one.field == name), [None] * count)


def _list_names(values: Sequence[object]) -> Sequence[str]:
    """What stands along the axis, in order; nothing where all values are numbers, but for those not there."""
    there = [value for value in values if value is not None]
    if all(isinstance(value, (int, float)) and not isinstance(value, bool) for value in there):
        return []
    return [
        name for name, _ in sorted({_name(one): one for one in values}.items(), key=lambda one: rank(one[1]))
    ]


def rank(value: object) -> tuple[int, float, str]:
    """By which values are sorted: numbers first."""
    if isinstance(value, (int, float)):
        return 0, float(value), ""
    return 1, 0.0, str(value)


def _name(value: object) -> str:
    return "–" if value is None else str(value)
