"""cnnctl label: what a job is called, and what is written about it."""

import click

from cnnctl.views.requests import LabelRequest
from service.cli.session import open_client, print_json
from service.cli.terminal import echo


@click.command("label")
@click.argument("job", type=int)
@click.option("--name", "label", help="What you call it; an empty text takes the name away.")
@click.option("--note", help="What you want to remember of it; an empty text takes the note away.")
@click.option("--tag", "tags", multiple=True, help="A word to add; may be repeated.")
@click.option("--untag", "untags", multiple=True, help="A word to take away; may be repeated.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def command(
    job: int,
    label: str | None,
    note: str | None,
    tags: tuple[str, ...],
    untags: tuple[str, ...],
    as_json: bool,
) -> None:
    """Change the name, the note and the tags of a job.

    In any state of it; its owner or an administrator may.
    """
    request = LabelRequest(name=label, note=note, add_tags=tags, remove_tags=untags)
    view = open_client().change_labels(job, request)
    if as_json:
        print_json(view)
    else:
        words = [view.name or "no name", *(f"#{tag}" for tag in view.tags)]
        echo(f"Job {job}: {' '.join(words)}")
