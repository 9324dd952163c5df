"""The curves of a study: the mean of each arm over its seeds, with its 95 % band."""

from collections.abc import Iterator, Sequence

from cnnctl.views.studies import StudyReport
from service.domain.studies.measures import find_curve
from service.domain.studies.statistics import mean_with_band
from service.domain.studies.words import find_headline
from service.web.chart import Chart, Curve, choose_look
from service.web.chart_scale import bound

METRICS = ("val_accuracy", "accuracy", "val_loss", "loss")  # the first of these that runs have is shown
MOST_EPOCHS = 300  # of a picture: more than it has room for
FEW_EPOCHS = 8  # each of which is named on the axis
LONGEST = 24  # letters of an arm's name, which stands beside its last value
Runs = Sequence[Sequence[float | None]]


def list_recorded(report: StudyReport) -> Sequence[str]:
    """The metrics of which there are curves; first that which decides, if it is read from one."""
    decides = find_curve(find_headline(report.contrasts).metric)
    metrics = dict.fromkeys((*([decides] if decides else []), *METRICS))
    return [metric for metric in metrics if any(report.curves.get(metric, {}).values())]


def make_curves(report: StudyReport, metric: str) -> Chart:
    """The curves of a metric."""
    by_arm = report.curves.get(metric, {})
    epochs = max((len(run) for runs in by_arm.values() for run in runs), default=0)
    every = max(1, -(-epochs // MOST_EPOCHS))
    start = 0 if epochs <= FEW_EPOCHS else 1  # named epochs stand at 0, 1, 2, …
    curves = []
    for number, arm in enumerate(report.arms):
        bands = [(epoch + start, *band) for epoch, band in _average(by_arm.get(arm.name, ()), every)]
        if bands:
            curves.append(
                Curve(
                    key=arm.name,
                    label=arm.name if len(arm.name) <= LONGEST else f"{arm.name[: LONGEST - 1]}…",
                    look=choose_look(number),
                    last=bands[-1][1],
                    points=[(x, mean) for x, mean, _, _ in bands],
                    band=[(x, low, high) for x, _, low, high in bands],
                )
            )
    return Chart(
        title="mean, 95 % band",
        x_label="epoch",
        y_label=metric,
        curves=curves,
        names=[] if start else [str(epoch + 1) for epoch in range(epochs)],
        notes=[f"One of every {every} epochs is drawn"] if every > 1 else [],
    )


def _average(runs: Runs, every: int) -> Iterator[tuple[int, tuple[float, float, float]]]:
    """The mean with its band, of those runs that have reached the epoch; epochs from 0."""
    for epoch in range(0, max(map(len, runs), default=0), every):
        values = [bound(value) for run in runs if epoch < len(run) and (value := run[epoch]) is not None]
        if values:
            yield epoch, mean_with_band(values)
