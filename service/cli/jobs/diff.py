"""cnnctl diff: in what two jobs differ."""

from collections.abc import Sequence

import click
from rich.console import Group, RenderableType
from rich.text import Text

from cnnctl.views.jobs import DifferenceView, JobDiffView
from service.cli.display.table import make_table
from service.cli.session import open_client, print_json
from service.cli.terminal import make_console

SECTIONS = ("spec", "scheduling", "outcome", "metrics", "environment")


@click.command("diff")
@click.argument("first", type=int)
@click.argument("second", type=int)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def command(first: int, second: int, as_json: bool) -> None:
    """Show in what two jobs differ.

    Spec, scheduling, outcome, metrics, environment and weights; what is the same is left out.
    """
    view = open_client().diff(first, second)
    if as_json:
        print_json(view)
    else:
        make_console().print(_draw(view))


def _draw(view: JobDiffView) -> Group:
    parts: list[RenderableType] = []
    for section in SECTIONS:
        rows: Sequence[DifferenceView] = getattr(view, section)
        if rows:
            names = (section.upper(), f"JOB {view.first}", f"JOB {view.second}")
            table = make_table(*names, whole=names[:1], folded=names[1:])
            for row in rows:
                table.add_row(row.field, format_value(row.first), format_value(row.second))
            parts += [table, ""]
    return Group(*parts, Text(_weights(view), style="bold"))


def _weights(view: JobDiffView) -> str:
    if view.same_weights is None:
        return "The weights cannot be compared: a job has none."
    return "The weights are the same, bit for bit." if view.same_weights else "The weights differ."


def format_value(value: object) -> str:
    """A value of any kind in a cell."""
    if isinstance(value, float):
        return f"{value:.6g}"
    return "" if value is None else str(value)
