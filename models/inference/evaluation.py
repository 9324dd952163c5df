"""Scores a trained network on test images.

Shapes: N images, H W space, C channels, K classes.
"""

import math
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from keras.ops import convert_to_numpy

from models.datasets.arrays import ImageArrays
from models.datasets.files.decode import Pixels
from models.datasets.files.decoder import Decoder
from models.datasets.files.image_files import drop_broken
from models.datasets.load import load_dataset
from models.errors import DatasetError
from models.inference.saved_network import BATCH, SavedNetwork
from models.losses import TOP, is_among_top

THREADS = 4
SMALLEST = 1e-12  # a probability of 0 would make the mean loss infinite


def evaluate_network(
    network: SavedNetwork, dataset: str, *, directory: Path | None, ten_crop: bool
) -> dict[str, object]:
    """Score every test image of a dataset; with `ten_crop`, by the mean probability of ten views.

    Returns:
        loss (cross-entropy; None where a score is not finite), accuracy, top1_error, top5_error (None for 5
        classes or fewer), images, note, and the accuracy of each class.

    Raises:
        DatasetError: the dataset cannot be loaded, or has other classes or channels than the network.
    """
    batches, labels, note = _test_images(network, dataset, directory=directory)
    p_NK = np.concatenate([network.predict(x_NHWC, ten_crop=ten_crop) for x_NHWC in batches])
    right_N = convert_to_numpy(is_among_top(labels, p_NK, top=1)).astype(bool)
    among_top_N = convert_to_numpy(is_among_top(labels, p_NK)).astype(bool)
    p_right_N = p_NK[np.arange(len(labels)), labels]
    loss = float(-np.log(np.maximum(p_right_N, SMALLEST)).mean())
    unclear = int((~np.isfinite(p_NK).all(axis=1)).sum())
    if unclear:
        said = f"{unclear} images have scores that are not finite: they count as wrong"
        note = "; ".join(filter(None, [note, said]))
    names = network.about.class_names
    return {
        "dataset": dataset,
        "ten_crop": ten_crop,
        "images": len(labels),
        "loss": loss if math.isfinite(loss) else None,
        "accuracy": float(right_N.mean()),
        "top1_error": float(1 - right_N.mean()),
        "top5_error": float(1 - among_top_N.mean()) if len(names) > TOP else None,
        "classes": [
            {
                "class": name,
                "images": int((labels == label).sum()),
                "accuracy": float(right_N[labels == label].mean()) if (labels == label).any() else None,
            }
            for label, name in enumerate(names)
        ],
        "note": note,
    }


def _test_images(
    network: SavedNetwork, dataset: str, *, directory: Path | None
) -> tuple[Iterator[Pixels], npt.NDArray[np.int32], str]:
    found, about = load_dataset(dataset, directory=directory), network.about
    if found.class_names != about.class_names:
        raise DatasetError(
            f"The network tells other classes apart: {_name_some(about.class_names)}. "
            f"Received: {dataset} with {_name_some(found.class_names)}"
        )
    if isinstance(found, ImageArrays):
        if found.x_test.shape[-1] != about.channels:
            raise DatasetError(
                f"The network takes {about.channels} channels. "
                f"Received: {found.x_test.shape[-1]} in {dataset}"
            )
        return _slices(found.x_test), found.y_test, ""
    decoder = Decoder(
        side=about.resize, channels=about.channels, threads=THREADS, white_levels=about.white_levels
    )
    survey = decoder.survey(found.test, keep=False, say=lambda _: None)
    found, broken = drop_broken(found, survey.broken)
    return _decoded(decoder, found.test), found.y_test, "; ".join(filter(None, [survey.note, broken]))


def _name_some(names: Sequence[str]) -> str:
    more = ", …" if len(names) > TOP else ""
    return f"{len(names)} classes ({', '.join(names[:TOP])}{more})"


def _slices(x_NHWC: Pixels) -> Iterator[Pixels]:
    for first in range(0, len(x_NHWC), BATCH):
        yield x_NHWC[first : first + BATCH]


def _decoded(decoder: Decoder, paths: Sequence[Path]) -> Iterator[Pixels]:
    images = decoder.decode_ahead(paths, ahead=2 * BATCH)
    for first in range(0, len(paths), BATCH):
        yield np.stack([next(images) for _ in paths[first : first + BATCH]])
