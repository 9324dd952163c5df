"""A trained network on disk: the model file, and beside it what must be known to use it.

Shapes: N images, H W space, S side of what the network sees, C channels, K classes.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path

import keras
import numpy as np
import numpy.typing as npt

from models.datasets.files.decode import Pixels, read_square
from models.datasets.files.depth import WhiteLevels
from models.errors import DivergedNetwork
from models.finiteness import list_not_finite
from models.keras_defaults import use_defaults
from models.views import centre_view, cut_views, ten_views

ABOUT_FILE = "network.json"
FINAL_FILE = "model.keras"
BEST_FILE = "best.keras"
BATCH = 64

Probabilities = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """What a model file does not say: class names, and how images are brought to what the network sees.

    `white_levels` say what was white in the training files of more than 8 bits, by the kind of their numbers.
    Files of another kind are scaled by what is white in the dataset that is evaluated, or each by what is
    white in itself; so are all files if the network is of an older cnnctl, which did not keep this.
    """

    class_names: tuple[str, ...]
    channels: int
    resize: int
    image_size: int
    white_levels: WhiteLevels = field(default_factory=dict)

    def save(self, folder: Path) -> None:
        (folder / ABOUT_FILE).write_text(json.dumps(asdict(self), indent=1))


@dataclass(frozen=True, slots=True, kw_only=True)
class SavedNetwork:
    """A trained network, from pixels 0..255 to probabilities (N, K)."""

    model: keras.Model
    about: About

    @property
    def room(self) -> int:
        """How much larger, in pixels a side, stored images are than what the network sees."""
        return self.about.resize - self.about.image_size

    def read(self, paths: Sequence[Path]) -> Pixels:
        """Read image files as (N, resize, resize, C).

        Raises:
            DatasetError: a file cannot be read; the message names it.
        """
        about = self.about
        return np.stack(
            [
                read_square(
                    path, side=about.resize, channels=about.channels, white_levels=about.white_levels
                ).pixels
                for path in paths
            ]
        )

    def predict(self, x_NHWC: Pixels, *, ten_crop: bool = False) -> Probabilities:
        """Give probabilities (N, K) for images of any one size; of ten views, their mean."""
        views_V3 = ten_views(room=self.room) if ten_crop else centre_view(room=self.room)
        found = [self._predict_batch(batch, views_V3) for batch in _batches(x_NHWC)]
        return np.concatenate(found)

    def _predict_batch(self, x_NHWC: Pixels, views_V3: npt.NDArray[np.int32]) -> Probabilities:
        x: keras.KerasTensor = x_NHWC
        if x_NHWC.shape[1:3] != (self.about.resize, self.about.resize):
            x = keras.ops.image.resize(x_NHWC.astype(np.float32), (self.about.resize,) * 2)
        total = np.zeros((len(x_NHWC), len(self.about.class_names)), np.float32)
        for view_3 in views_V3:
            cut = cut_views(x, np.tile(view_3, (len(x_NHWC), 1)), side=self.about.image_size)
            total += keras.ops.convert_to_numpy(self.model(keras.ops.cast(cut, "float32"), training=False))
        mean_NK: Probabilities = total / np.float32(len(views_V3))
        return mean_NK


def load_about(folder: Path) -> About:
    """Read what `About.save` has written, also in a newer version with fields that are not known here."""
    values = json.loads((folder / ABOUT_FILE).read_text())
    known = {field.name: values[field.name] for field in fields(About) if field.name in values}
    return About(**{**known, "class_names": tuple(values["class_names"])})


def load_network(folder: Path, *, file: str) -> SavedNetwork:
    """Load `file` of a run folder.

    Raises:
        DivergedNetwork: a weight of it is not finite.
    """
    # Registered classes are found by their import.
    import models.keras_builder  # noqa: F401

    use_defaults()
    model = keras.saving.load_model(folder / file, compile=False)
    wrong = [layer.name for layer in model.layers if list_not_finite(layer.get_weights())]
    if wrong:
        raise DivergedNetwork(
            f"{folder / file} has weights that are not finite, in {', '.join(wrong)}: its training diverged. "
            "Train it again with a smaller --lr"
        )
    return SavedNetwork(model=model, about=load_about(folder))


def _batches(x_NHWC: Pixels) -> Iterator[Pixels]:
    for first in range(0, len(x_NHWC), BATCH):
        yield x_NHWC[first : first + BATCH]
