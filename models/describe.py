"""Prints what a network costs, layer by layer, as JSON: python -m models.describe lenet5 --input 32x32x3"""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict

from models.catalog import CatalogError, Choice, OptionValue, check_network, find_architecture

NO_DROPOUT = Choice(name="none")


def main(arguments: Sequence[str] | None = None) -> int:
    """Describe one architecture with its default pieces; print one JSON object."""
    parser = _parser()
    given = parser.parse_args(arguments)
    try:
        side = find_architecture(given.architecture).image_size
        input_shape = given.input or (side, side, 3)
        options = check_network(
            given.architecture,
            image_size=min(input_shape[:2]),
            dropout=NO_DROPOUT,
            options=dict(given.option),
        )
    except CatalogError as error:
        parser.error(str(error))
    text = _describe(
        given.architecture,
        input_shape=input_shape,
        num_classes=given.num_classes,
        batch_size=given.batch_size,
        options=options,
    )
    sys.stdout.write(text + "\n")
    return 0


def _describe(
    architecture: str,
    *,
    input_shape: tuple[int, int, int],
    num_classes: int,
    batch_size: int,
    options: dict[str, OptionValue],
) -> str:
    # Only here: TensorFlow takes seconds to import, and a wrong name is answered without it.
    from models.build import build_model
    from models.description import describe_model

    model = build_model(
        architecture,
        input_shape=input_shape,
        num_classes=num_classes,
        seed=0,
        init=Choice(name="zeros"),  # costs do not depend on values
        activation="relu",
        dropout=NO_DROPOUT,
        norm="none",
        l1=0.0,
        l2=0.0,
        options=options,
    )
    return json.dumps(asdict(describe_model(model, batch_size=batch_size)), indent=2)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m models.describe", description=__doc__)
    parser.add_argument("architecture", help="name in the catalog")
    parser.add_argument(
        "--input", type=_shape, metavar="HxWxC", help="default: the network's own size, 3 channels"
    )
    parser.add_argument("--num-classes", type=_positive, default=10)
    parser.add_argument("--batch-size", type=_positive, default=32, help="images that training_bytes is for")
    parser.add_argument("--option", type=_option, action="append", default=[], metavar="NAME=VALUE")
    return parser


def _shape(text: str) -> tuple[int, int, int]:
    sides = [_positive(side) for side in text.split("x")]
    if len(sides) != 3:
        raise argparse.ArgumentTypeError(f"must be HEIGHTxWIDTHxCHANNELS, as in 32x32x3. Received: {text}")
    return sides[0], sides[1], sides[2]


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number of at least 1. Received: {text}")
    return int(text)


def _option(text: str) -> tuple[str, object]:
    name, equals, value = text.partition("=")
    if not equals:
        raise argparse.ArgumentTypeError(f"must be NAME=VALUE. Received: {text}")
    try:
        return name, json.loads(value)
    except json.JSONDecodeError:
        return name, value


if __name__ == "__main__":
    sys.exit(main())
