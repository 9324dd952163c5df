"""Chooses a part of the training images, class by class: fewer images, or classes of unequal size.

Shapes: N training images, n chosen ones, K classes.
"""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from models.datasets.order import sort_keys
from models.datasets.split import Indices
from models.errors import DatasetError

NO_EPOCH = 0  # epochs count from 1, so this order is that of none of them
ROUNDING = 1e-9  # 0.29 of 100 images are 29, and in binary a little less


def choose_subset(
    labels_N: npt.NDArray[np.int32], *, fraction: float, shares: Mapping[int, float], seed: int
) -> Indices:
    """Return the sorted places (n,) of `fraction` of each class, times the class's share if it has one.

    What is left of a class is rounded down, but at least one image. The seed chooses, and smaller parts are
    parts of larger ones.

    Raises:
        DatasetError: a share is for a class without images.
    """
    if fraction == 1 and not shares:
        return np.arange(len(labels_N))
    present = np.unique(labels_N).tolist()
    if absent := sorted(set(shares) - set(present)):
        raise DatasetError(
            f"data.keep names class {absent[0]}, which has no training images. Those with images are "
            f"{present[0]} to {present[-1]}"
        )
    order_N = np.argsort(sort_keys(len(labels_N), entropy=(seed, NO_EPOCH)), kind="stable")
    chosen_N = np.zeros(len(labels_N), dtype=np.bool_)
    for label in present:
        members = order_N[labels_N[order_N] == label]
        count = int(len(members) * fraction * shares.get(label, 1.0) + ROUNDING)
        chosen_N[members[: max(1, count)]] = True
    return np.flatnonzero(chosen_N)
