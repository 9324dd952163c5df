"""Prints what a network costs, layer by layer, as JSON.

As in: python -m models.describe '{"architecture": "lenet5", "head": "gap"}'
"""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, replace

from models.catalog.costs import check_network
from models.catalog.lookup import CatalogError, get_architecture
from models.catalog.network_config import NetworkConfig, network_defaults


def main(arguments: Sequence[str] | None = None) -> int:
    """Describe one network as one JSON object; if it cannot be built, print why, with exit status 2."""
    given = _parser().parse_args(arguments)
    try:
        fields = json.loads(given.config)
        network = get_architecture(fields["architecture"])
        config = NetworkConfig(**{**network_defaults(network), **fields})
        input_shape = given.input or (network.image_size, network.image_size, 3)
        check_network(config, image_size=min(input_shape[:2]))
    except CatalogError as error:
        sys.stdout.write(f"{error}\n")
        return 2
    text = _describe(
        # Costs do not depend on values, and zeros are drawn at once.
        replace(config, init="zeros"),
        input_shape=input_shape,
        num_classes=given.num_classes,
        batch_size=given.batch_size,
    )
    sys.stdout.write(text + "\n")
    return 0


def _describe(
    config: NetworkConfig, *, input_shape: tuple[int, int, int], num_classes: int, batch_size: int
) -> str:
    # Only here: TensorFlow takes seconds to import, and a wrong name is answered without it.
    from models.build import build_model
    from models.description import describe_model
    from models.keras_defaults import use_defaults

    use_defaults()
    model = build_model(config, input_shape=input_shape, num_classes=num_classes, seed=0)
    return json.dumps(asdict(describe_model(model, batch_size=batch_size)), indent=2)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m models.describe", description=__doc__)
    parser.add_argument("config", help="fields of a NetworkConfig, as one JSON object")
    parser.add_argument("--input", type=_shape, help="as in 32x32x3; default: the network's own, 3 channels")
    parser.add_argument("--num-classes", type=int, default=10)
    parser.add_argument("--batch-size", type=int, default=32, help="images that training_bytes is for")
    return parser


def _shape(text: str) -> tuple[int, int, int]:
    height, width, channels = map(int, text.split("x"))
    return height, width, channels


if __name__ == "__main__":
    sys.exit(main())
