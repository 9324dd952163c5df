"""cnnctl compare: in what several jobs differ."""

from collections.abc import Sequence

import click
from rich.console import Group, RenderableType

from cnnctl.views.jobs import ComparisonView, VariedField
from service.cli.display.table import make_table
from service.cli.jobs.diff import format_value
from service.cli.session import open_client, print_json
from service.cli.terminal import make_console

SECTIONS = ("labels", "spec", "scheduling", "outcome", "metrics", "environment")


@click.command("compare")
@click.argument("jobs", type=int, nargs=-1, required=True)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def command(jobs: Sequence[int], as_json: bool) -> None:
    """Show in what several jobs differ.

    Labels, spec, scheduling, outcome, metrics and environment of 2 to 100 jobs.
    What is the same in all of them is left out.
    """
    view = open_client().compare(jobs)
    if as_json:
        print_json(view)
    else:
        make_console().print(_draw(view))


def _draw(view: ComparisonView) -> Group:
    parts: list[RenderableType] = []
    for section in SECTIONS:
        rows: Sequence[VariedField] = getattr(view, section)
        if rows:
            names = (section.upper(), *(f"JOB {job}" for job in view.jobs))
            table = make_table(*names, whole=names[:1], folded=names[1:])
            for row in rows:
                table.add_row(row.field, *map(format_value, row.values))
            parts += [table, ""]
    return Group(*(parts[:-1] or ["The jobs differ in nothing."]))
