"""What the catalog can put into a field of a spec."""

from collections.abc import Mapping, Sequence

from cnnctl.client import Client
from models.catalog.lookup import ARCHITECTURES
from models.catalog.network_config import PENALIZED, PLACES

SECTIONS: Mapping[str, str] = {
    "model.init": "initializers",
    "model.activation": "activations",
    "model.dropout": "dropouts",
    "model.norm": "norms",
    "model.pool": "pools",
    "model.head": "heads",
}
WORDS: Mapping[str, Sequence[str]] = {"model.dropout_place": PLACES, "model.penalize": PENALIZED}


def list_choices(client: Client, architecture: str, path: str) -> Sequence[str]:
    """The words that the catalog has for a field of an architecture's spec; empty: it names none."""
    if path in SECTIONS:
        return [entry.name for entry in client.list_catalog(SECTIONS[path])]
    network = ARCHITECTURES.get(architecture)
    options = {f"model.{option.name}": option.choices for option in network.options} if network else {}
    return list(map(str, options.get(path) or WORDS.get(path, ())))
