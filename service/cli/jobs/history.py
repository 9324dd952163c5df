"""cnnctl history: what happened to a job, and who did it."""

import click

from service.cli.display.job_page import history_table
from service.cli.session import open_client, print_json
from service.cli.terminal import make_console


@click.command("history")
@click.argument("job", type=int)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def command(job: int, as_json: bool) -> None:
    """Show what happened to a job, and who did it."""
    views = open_client().list_history(job)
    if as_json:
        print_json(views)
    else:
        make_console().print(history_table(views))
