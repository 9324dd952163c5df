"""Reads which share of each class's training images is used, as in `0:0.1,3:0.5`. Imports no NumPy."""

from collections.abc import Mapping

from models.catalog.lookup import CatalogError

ALL = "all"


def parse_class_shares(text: str) -> Mapping[int, float]:
    """Read CLASS:SHARE joined by commas, each class at most once; classes that are not named keep all.

    Raises:
        CatalogError: not of that form, or a share that is not above 0 and at most 1.
    """
    if text == ALL:
        return {}
    shares: dict[int, float] = {}
    for part in text.split(","):
        label, _, share = part.strip().partition(":")
        if not label.isdecimal() or int(label) in shares:
            raise _unreadable(text)
        try:
            shares[int(label)] = float(share)
        except ValueError:
            raise _unreadable(text) from None
        if not 0 < shares[int(label)] <= 1:
            raise CatalogError(
                f"data.keep: a share must be above 0 and at most 1. Received: {part.strip()!r}"
            )
    return shares


def _unreadable(text: str) -> CatalogError:
    return CatalogError(
        "data.keep must be all, or CLASS:SHARE joined by commas, each class once and by its number, as in "
        f"0:0.1,3:0.5. Received: {text!r}"
    )
