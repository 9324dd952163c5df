"""cnnctl detect: finds objects in a larger image with a trained network."""

from pathlib import Path

import click

from service.cli.display.table import make_table
from service.cli.networks.fetch import fetch_trained
from service.cli.param_types import FilePath, FiniteFloat
from service.cli.session import print_json
from service.cli.terminal import make_console, say

EDGES = ("top", "left", "bottom", "right")
FRACTION = FiniteFloat(0, 1)


@click.command("detect")
@click.argument("job", type=int)
@click.argument("image", type=FilePath())
@click.option("--output", type=FilePath(), help="PNG to draw; default: IMAGE-boxes.png here.")
@click.option(
    "--threshold", default=0.9, show_default=True, type=FRACTION, help="Lowest probability of a box."
)
@click.option(
    "--iou", default=0.3, show_default=True, type=FRACTION, help="Largest overlap of two boxes of a class."
)
@click.option(
    "--scale",
    "scales",
    multiple=True,
    type=FiniteFloat(1, 1000),
    help="Shorter side of the image, as a multiple of the network's; may be repeated.  "
    "[default: 1, 1.4, 2, 2.8, … up to the image's own size]",
)
@click.option(
    "--across-classes", is_flag=True, help="Of boxes that overlap, keep one, whatever their classes."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def command(
    job: int,
    image: Path,
    output: Path | None,
    threshold: float,
    iou: float,
    scales: tuple[float, ...],
    across_classes: bool,
    as_json: bool,
) -> None:
    """Find objects in a larger image, with a job's network."""
    trained = fetch_trained(job)
    drawn = (output or Path(f"{image.stem}-boxes.png")).absolute()
    say(f"Sliding {trained.file} of job {job} over {image} …")
    found = trained.detect(
        image, drawn=drawn, threshold=threshold, iou=iou, scales=scales, across_classes=across_classes
    )
    if as_json:
        print_json(found)
        return
    numbers = ("SCORE", *(edge.upper() for edge in EDGES))
    table = make_table("CLASS", *numbers, right=numbers)
    for box in found.boxes:
        table.add_row(box.class_name, f"{box.score:.3f}", *(f"{getattr(box, edge):.0f}" for edge in EDGES))
    make_console().print(table)
    say(f"{len(found.boxes)} boxes, drawn into {drawn}")
