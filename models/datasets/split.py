"""Holds out validation images, class by class.

Shapes: N images, K classes.
"""

import numpy as np
import numpy.typing as npt

from models.datasets.order import sort_keys
from models.errors import DatasetError

Indices = npt.NDArray[np.intp]
# The third word of the entropy; epochs have none, so that no epoch is ordered by the keys of the split.
SPLIT = 1


def split_validation(y: npt.NDArray[np.int32], *, fraction: float, seed: int) -> tuple[Indices, Indices]:
    """Return sorted indices of the training and of the validation images, every class in proportion.

    The validation images number `fraction` of all, rounded, but at least 1 if the fraction is above 0.

    Raises:
        DatasetError: the fraction is not one, or no image would be left to train on.
    """
    if not 0 <= fraction < 1:
        raise DatasetError(f"The validation fraction must be at least 0 and below 1. Received: {fraction:g}")
    num_held_out = max(1, round(fraction * len(y))) if fraction > 0 else 0
    if num_held_out >= len(y):
        raise DatasetError(
            f"A validation fraction of {fraction:g} leaves nothing to train on. Received: {len(y)} images"
        )
    held_out_N = _choose(y, num_held_out=num_held_out, seed=seed)
    return np.flatnonzero(~held_out_N), np.flatnonzero(held_out_N)


def _choose(y: npt.NDArray[np.int32], *, num_held_out: int, seed: int) -> npt.NDArray[np.bool_]:
    keys = sort_keys(len(y), entropy=(seed, 0, SPLIT))
    classes, counts_K = np.unique(y, return_counts=True)
    held_out_N = np.zeros(len(y), dtype=np.bool_)
    for label, count in zip(classes, _share(counts_K, total=num_held_out), strict=True):
        members = np.flatnonzero(y == label)
        held_out_N[members[np.argsort(keys[members], kind="stable")[:count]]] = True
    return held_out_N


def _share(counts_K: npt.NDArray[np.intp], *, total: int) -> npt.NDArray[np.intp]:
    """Share a total among the classes in proportion, by largest remainder; of equal ones the first."""
    exact_K = counts_K * (total / counts_K.sum())
    shares_K: npt.NDArray[np.intp] = np.floor(exact_K).astype(np.intp)
    most_cut_off_first = np.argsort(shares_K - exact_K, kind="stable")
    shares_K[most_cut_off_first[: total - shares_K.sum()]] += 1
    return shares_K
