"""Holds out validation images: evenly spaced ones of every class.

No random number is drawn: the split depends on the dataset alone, so that runs of different seeds compare,
and where neighbouring images are alike (one writer, one object) each neighbourhood is in both parts.

Shapes: N images, K classes.
"""

import numpy as np
import numpy.typing as npt

from models.errors import DatasetError

Indices = npt.NDArray[np.intp]


def hold_out(y: npt.NDArray[np.int32], *, fraction: float) -> tuple[Indices, Indices]:
    """Return sorted indices of the training and of the validation images, every class in proportion.

    The validation images number `fraction` of all, rounded, but at least 1 if the fraction is above 0, and
    never the last one of a class.

    Raises:
        DatasetError: the fraction is not one, or no image of a class would be left to train on.
    """
    if not 0 <= fraction < 1:
        raise DatasetError(f"The validation fraction must be at least 0 and below 1. Received: {fraction:g}")
    num_held_out = max(1, round(fraction * len(y))) if fraction > 0 else 0
    if num_held_out >= len(y):
        raise DatasetError(
            f"A validation fraction of {fraction:g} leaves nothing to train on. Received: {len(y)} images"
        )
    held_out_N = _choose(y, num_held_out=num_held_out)
    return np.flatnonzero(~held_out_N), np.flatnonzero(held_out_N)


def _choose(y: npt.NDArray[np.int32], *, num_held_out: int) -> npt.NDArray[np.bool_]:
    classes, counts_K = np.unique(y, return_counts=True)
    if num_held_out > len(y) - len(classes):
        raise DatasetError(
            f"{num_held_out} of {len(y)} training images cannot be held out for the validation, since each "
            f"of {len(classes)} classes keeps one. Add images, or set a smaller data.validation_fraction, "
            "0 for none"
        )
    held_out_N = np.zeros(len(y), dtype=np.bool_)
    for label, count in zip(classes, _share(counts_K, total=num_held_out), strict=True):
        members = np.flatnonzero(y == label)
        places = ((np.arange(count) + 0.5) * len(members) / max(count, 1)).astype(np.intp)
        held_out_N[members[places]] = True
    return held_out_N


def _share(counts_K: npt.NDArray[np.intp], *, total: int) -> npt.NDArray[np.intp]:
    """Share a total among the classes in proportion, by largest remainder; of equal ones the first."""
    exact_K = counts_K * (total / counts_K.sum())
    shares_K: npt.NDArray[np.intp] = np.floor(exact_K).astype(np.intp)
    most_cut_off_first = np.argsort(shares_K - exact_K, kind="stable")
    shares_K[most_cut_off_first[: total - shares_K.sum()]] += 1
    return _spare_the_last(shares_K, counts_K)


def _spare_the_last(shares_K: npt.NDArray[np.intp], counts_K: npt.NDArray[np.intp]) -> npt.NDArray[np.intp]:
    """Leave every class an image: what is too much is shared among those with the most to spare."""
    spared_K = np.minimum(shares_K, counts_K - 1)
    for _ in range(int(shares_K.sum() - spared_K.sum())):
        spared_K[np.argmax(counts_K - 1 - spared_K)] += 1
    return spared_K
