"""cnnctl evaluate: how good a trained network is on test images."""

import click
from rich.table import Table

from models.catalog.dataset_path import make_absolute
from models.catalog.lookup import DATASETS, unknown_name
from service.cli.display.table import make_table
from service.cli.networks.fetch import fetch_trained
from service.cli.session import open_client, print_json
from service.cli.terminal import make_console, say
from service.commands.jobs.dataset_check import check_dataset_path
from service.errors import SpecError
from service.settings import load_settings

SCORES = ("images", "accuracy", "top1_error", "top5_error", "loss")


@click.command("evaluate")
@click.argument("job", type=int)
@click.option("--dataset", help="Name, folder:PATH or npz:PATH; the default is the job's own.")
@click.option("--ten-crop", is_flag=True, help="Average over corners, centre and their mirror images.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def command(job: int, dataset: str | None, ten_crop: bool, as_json: bool) -> None:
    """Score a job's network on test images."""
    settings = load_settings()
    trained = fetch_trained(job)
    wanted = make_absolute(_name_version(dataset) if dataset else trained.dataset)
    check_dataset_path(wanted, settings)
    say(f"Scoring {trained.file} of job {job} on the test images of {wanted} …")
    found = trained.evaluate(wanted, datasets_dir=settings.datasets_dir, ten_crop=ten_crop)
    if as_json:
        print_json(found)
        return
    if found.note:
        say(found.note)
    table = Table.grid(padding=(0, 2))
    for name in SCORES:
        score = getattr(found, name)
        if score is not None:
            table.add_row(name, f"{score:,.4f}" if name != "images" else f"{score:,}")
    classes = make_table("CLASS", "IMAGES", "ACCURACY", right=["IMAGES", "ACCURACY"])
    for row in found.classes:
        accuracy = "" if row.accuracy is None else f"{row.accuracy:.4f}"
        classes.add_row(row.class_, f"{row.images:,}", accuracy)
    console = make_console()
    console.print(table, "", classes)


def _name_version(dataset: str) -> str:
    """The version that a name of the lab's own datasets means now; anything else stays as it is.

    Raises:
        SpecError: no dataset has that name.
    """
    if dataset in DATASETS or ":" in dataset or "@" in dataset:
        return dataset
    own = {view.name: view.version for view in open_client().list_datasets()}
    if dataset not in own:
        raise SpecError(f"--dataset: {unknown_name('dataset', dataset, [*DATASETS, *own])}")
    return own[dataset]
