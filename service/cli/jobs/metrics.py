"""cnnctl metrics: curves for people, numbers for programs."""

import click

from service.cli.display.curves import draw_curves
from service.cli.session import open_client, print_json
from service.cli.terminal import print_csv, print_drawing, say


@click.command("metrics")
@click.argument("job", type=int)
@click.option("--csv", "as_csv", is_flag=True, help="Print lines of name,step,value.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def command(job: int, as_csv: bool, as_json: bool) -> None:
    """Plot a job's curves, or print its numbers."""
    view = open_client().get_metrics(job)
    if as_json:
        print_json(view)
    elif as_csv:
        rows = ([name, step, value] for name, points in view.series.items() for step, value in points)
        print_csv(["name", "step", "value"], rows)
    elif view.series:
        print_drawing(draw_curves(view.series, title=f"job {job}"))
    else:
        say(f"Job {job} has no metrics yet. Why: cnnctl status {job}")
