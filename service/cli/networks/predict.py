"""cnnctl predict: what a trained network sees in images."""

from pathlib import Path

import click

from service.cli.display.table import make_table
from service.cli.networks.fetch import fetch_trained
from service.cli.param_types import FilePath
from service.cli.session import print_json
from service.cli.terminal import make_console, say
from service.domain.bounds import check_option


@click.command("predict")
@click.argument("job", type=int)
@click.argument("images", nargs=-1, required=True, type=FilePath())
@click.option("--top", default=5, show_default=True, type=int, help="Classes to show.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def command(job: int, images: tuple[Path, ...], top: int, as_json: bool) -> None:
    """Classify images with a job's network."""
    check_option("--top", top)
    trained = fetch_trained(job)
    say(f"Loading {trained.file} of job {job} …")
    found = trained.predict(images, top=top)
    if as_json:
        print_json(found)
        return
    table = make_table("IMAGE", "CLASS", "PROBABILITY", "", right=["PROBABILITY"])
    for row in found:
        for rank, likely in enumerate(row.classes):
            p = likely.probability
            said = ("not a number", "") if p is None else (f"{p:.4f}", "█" * round(20 * p))
            table.add_row("" if rank else row.image, likely.class_, *said)
    make_console().print(table)
