"""What a trained network says of the test images, image by image.

Shapes: N test images, in the dataset's order.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True, slots=True, kw_only=True)
class Predictions:
    """A file of it has an array for each field."""

    labels: npt.NDArray[np.int32]
    """(N,): the right class of each image."""
    classes: npt.NDArray[np.int32]
    """(N,): the class with the largest score."""
    probabilities: npt.NDArray[np.float32]
    """(N,): the probability that the network gives to that class."""

    def recalls(self) -> Mapping[int, float]:
        """The share of a class's images that are found, by class; classes without images are left out."""
        right_N = self.classes == self.labels
        return {int(label): float(right_N[self.labels == label].mean()) for label in np.unique(self.labels)}

    def save(self, path: Path) -> None:
        """Write an .npz file whole or not at all."""
        temporary = path.with_name(f"tmp-{path.name}")
        np.savez_compressed(temporary, **asdict(self))
        temporary.rename(path)


def load_predictions(path: Path) -> Predictions:
    """Read what `Predictions.save` has written."""
    with np.load(path, allow_pickle=False) as arrays:
        return Predictions(
            labels=arrays["labels"], classes=arrays["classes"], probabilities=arrays["probabilities"]
        )
