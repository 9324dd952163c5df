"""cnnctl describe: what a network costs."""

import click

from cnnctl.views.networks import NetworkView
from cnnctl.views.requests import NetworkRequest
from service.cli.display.table import make_table
from service.cli.param_types import Shape
from service.cli.session import print_json
from service.cli.terminal import make_console
from service.commands.networks.description import describe_network
from service.domain.spec_request import parse_assignment

MIB = 1024 * 1024


@click.command("describe")
@click.argument("architecture")
@click.option(
    "--input",
    "input_shape",
    metavar="HxWxC",
    type=Shape(),
    help="Image shape; the default is the network's own.",
)
@click.option("--classes", default=10, show_default=True, help="Number of classes.")
@click.option("--batch-size", default=32, show_default=True, help="Images per step, for the memory.")
@click.option(
    "--set",
    "assignments",
    multiple=True,
    metavar="model.NAME=VALUE",
    help="As in model.head=gap.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def command(
    architecture: str,
    input_shape: tuple[int, int, int] | None,
    classes: int,
    batch_size: int,
    assignments: tuple[str, ...],
    as_json: bool,
) -> None:
    """Show a network layer by layer."""
    # Without a client: it needs no database and no service, and works where neither is.
    request = NetworkRequest(
        fields=dict(map(parse_assignment, assignments)),
        input_shape=input_shape,
        classes=classes,
        batch_size=batch_size,
    )
    description = describe_network(architecture, request)
    if as_json:
        print_json(description)
    else:
        _print(description, batch_size)


def _print(description: NetworkView, batch_size: int) -> None:
    numbers = ("OUTPUT", "ACTIVATIONS", "PARAMETERS", "MULTIPLY-ADDS", "FIELD", "STRIDE", "AS DENSE")
    names = ("LAYER", "KIND", *numbers)
    table = make_table(*names, right=numbers, whole=names)
    for layer in description.layers:
        table.add_row(
            layer.name,
            layer.kind,
            "×".join(map(str, layer.output_shape)),
            *map(_number, (layer.activations, layer.parameters, layer.macs)),
            *map(_number, (layer.receptive_field, layer.stride, layer.dense_parameters)),
        )
    console = make_console()
    console.print(table)
    console.print(
        f"\n{description.total_parameters:,} parameters, "
        f"{description.total_macs:,} multiply-adds an image, "
        f"{description.training_bytes / MIB:,.1f} MiB to train at batch size {batch_size}"
    )


def _number(value: int | None) -> str:
    return "" if value is None else f"{value:,}"
