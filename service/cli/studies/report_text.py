"""Draws a study's report in a terminal: verdicts, intervals as lines, a dot for each seed."""

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from cnnctl.views.studies import ContrastView, StudyReport
from service.cli.display.table import make_table
from service.domain.studies.words import find_headline

WIDTH = 41  # of a drawn interval
STYLES = {"confirmed": "bold green", "opposite": "bold red", "equal": "bold blue", "too weak": "bold yellow"}


def draw_report(report: StudyReport) -> Group:
    """The report, the most important first."""
    first = find_headline(report.contrasts)
    parts: list[RenderableType] = [
        Text(report.claim, style="bold"),
        Text(report.words, style=STYLES.get(report.verdict, "bold")),
        "",
        f"Source: {report.source}",
        *([f"Published: {report.published}"] if report.published else []),
        f"Decided beforehand: {report.planned_seeds} seeds, margin {first.margin:g} in {first.metric}; "
        f"SHA-256 {report.digest[:12]}…",
        f"Metric: {report.metrics.get(first.metric, first.metric)}",
        *(Text(warning, style="yellow") for warning in list_warnings(report)),
        "",
        _list_arms(report),
        "",
    ]
    for contrast in report.contrasts:
        parts += [Text(f"{contrast.first} against {contrast.second}: {contrast.metric}", style="bold")]
        parts += [Text(contrast.words), Padding(draw_contrast(contrast), (0, 2)), ""]
    return Group(*parts[:-1])


def list_warnings(report: StudyReport) -> Sequence[str]:
    """What has to be known before a verdict is believed."""
    undecided = [f"This scale cannot decide it: {report.undecided}"] if report.undecided else []
    return [*undecided, *report.remarks]


def _list_arms(report: StudyReport) -> RenderableType:
    table = make_table("ARM", "DIFFERS IN", "TUNED", "RUNS", right=("RUNS",), whole=("ARM",))
    for arm in report.arms:
        runs = str(arm.done)
        runs += f", {arm.diverged} diverged" if arm.diverged else ""
        runs += f", {arm.failed} failed" if arm.failed else ""
        table.add_row(arm.name, _format_fields(arm.fields), _format_fields(arm.tuned), runs)
    return table


def _format_fields(fields: object) -> str:
    return "\n".join(f"{path}={value}" for path, value in fields.items()) if isinstance(fields, dict) else ""


def draw_contrast(contrast: ContrastView) -> Text:
    """The runs of both arms on one scale, and the interval of their difference on another."""
    values = [point.value for point in (*contrast.first_points, *contrast.second_points)]
    if not values:
        return Text("no pair of runs has ended")
    low, high = min(values), max(values)
    width = max(len(contrast.first), len(contrast.second), len("difference"))
    lines = [
        f"{arm:>{width}}  {_dots([point.value for point in points], low, high)}"
        for arm, points in (
            (contrast.first, contrast.first_points),
            (contrast.second, contrast.second_points),
        )
    ]
    lines.append(f"{'':>{width}}  {low:<{WIDTH // 2}.4g}{high:>{WIDTH - WIDTH // 2}.4g}")
    if contrast.low is not None and contrast.high is not None and contrast.mean is not None:
        name = "ratio" if contrast.ratio else "difference"
        lines += _draw_interval(contrast, name.rjust(width), " " * width)
    return Text("\n".join(lines))


def _dots(values: Sequence[float], low: float, high: float) -> str:
    """A dot where a run lies; figures where several do."""
    counts = [0] * WIDTH
    for value in values:
        counts[_place(value, low, high)] += 1
    return "".join("·" if not count else "●" if count == 1 else str(min(count, 9)) for count in counts)


def _draw_interval(contrast: ContrastView, name: str, indent: str) -> Sequence[str]:
    assert contrast.low is not None
    assert contrast.high is not None
    assert contrast.mean is not None
    none = 1.0 if contrast.ratio else 0.0
    edges = (1 / contrast.margin, contrast.margin) if contrast.ratio else (-contrast.margin, contrast.margin)
    low, high = min(contrast.low, edges[0], none), max(contrast.high, edges[1], none)
    line = [" "] * WIDTH
    for at in range(_place(edges[0], low, high), _place(edges[1], low, high) + 1):
        line[at] = "░"
    line[_place(none, low, high)] = "│"
    for at in range(_place(contrast.low, low, high), _place(contrast.high, low, high) + 1):
        line[at] = "─"
    line[_place(contrast.mean, low, high)] = "●"
    scale = f"{indent}  {low:<{WIDTH // 2}.4g}{high:>{WIDTH - WIDTH // 2}.4g}   │ none, ░ within the margin"
    return [f"{name}  {''.join(line)}", scale]


def _place(value: float, low: float, high: float) -> int:
    return round((value - low) / (high - low) * (WIDTH - 1)) if high > low else WIDTH // 2
