"""Names every network, dataset and training option, with its default and its source.

The catalog is what the control plane knows of `models`: it holds strings and numbers only and imports
neither Keras nor TensorFlow, so that a spec is checked in milliseconds. A dotted `function` is resolved by
the code that runs it.
"""

import difflib
from collections.abc import Iterable, Mapping

from models.catalog.architectures import ARCHITECTURES
from models.catalog.components import ACTIVATIONS, AUGMENTATIONS, DROPOUTS, HEADS, INITIALIZERS, NORMS, POOLS
from models.catalog.datasets import DATASETS
from models.catalog.entries import (
    Architecture,
    Argument,
    CatalogError,
    Choice,
    Dataset,
    Entry,
    Option,
    OptionValue,
)

__all__ = [
    "ACTIVATIONS",
    "ARCHITECTURES",
    "AUGMENTATIONS",
    "DATASETS",
    "DROPOUTS",
    "HEADS",
    "INITIALIZERS",
    "NORMS",
    "POOLS",
    "SECTIONS",
    "Architecture",
    "Argument",
    "CatalogError",
    "Choice",
    "Dataset",
    "Entry",
    "Option",
    "OptionValue",
    "get_architecture",
    "get_dataset",
    "parse_choice",
    "unknown_name",
]

SECTIONS: Mapping[str, Mapping[str, Architecture | Dataset | Entry]] = {
    "architectures": ARCHITECTURES,
    "datasets": DATASETS,
    "initializers": INITIALIZERS,
    "activations": ACTIVATIONS,
    "dropouts": DROPOUTS,
    "norms": NORMS,
    "pools": POOLS,
    "heads": HEADS,
    "augmentations": AUGMENTATIONS,
}


def unknown_name(kind: str, name: str, known: Iterable[str]) -> CatalogError:
    """Say that a name is unknown, with the nearest known one and the full list."""
    known = list(known)
    nearest = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    hint = f" Did you mean {nearest[0]}?" if nearest else ""
    return CatalogError(f"Unknown {kind} {name!r}.{hint} Known: {', '.join(known) or 'none'}")


def get_architecture(name: str) -> Architecture:
    if name not in ARCHITECTURES:
        raise unknown_name("architecture", name, ARCHITECTURES)
    return ARCHITECTURES[name]


def get_dataset(name: str) -> Dataset:
    if name not in DATASETS:
        raise unknown_name("dataset", name, DATASETS)
    return DATASETS[name]


def parse_choice(text: str, *, kind: str, entries: Mapping[str, Entry]) -> Choice:
    """Read `name` or `name:number` against the entries of one kind.

    Raises:
        CatalogError: the name is unknown, takes no argument, or its argument is out of range.
    """
    name, colon, number = text.partition(":")
    if name not in entries:
        raise unknown_name(kind, name, entries)
    argument = entries[name].argument
    if argument is None:
        if colon:
            raise CatalogError(f"{kind} {name} takes no argument. Received: {text!r}")
        return Choice(name=name)
    if not colon:
        return Choice(name=name, argument=argument.default)
    try:
        value = float(number)
    except ValueError:
        raise CatalogError(f"{kind} {name}: {argument.name} must be a number. Received: {number!r}") from None
    return Choice(name=name, argument=argument.check(value, owner=f"{kind} {name}"))
