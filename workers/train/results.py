"""Stores the results of a successful run: the final network, the best one, and how to use them."""

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import keras

from models.finiteness import list_not_finite
from models.inference.saved_network import About
from service.domain.spec import Spec
from workers.train.checkpoints.files import DamagedCheckpoint, Snapshot, read_checkpoint, read_manifest
from workers.train.data.images import RunImages


def describe_images(spec: Spec, images: RunImages) -> About:
    """Describe the training images, so that the network can be used on others."""
    return About(
        class_names=images.class_names,
        channels=images.channels,
        resize=spec.data.resize,
        image_size=spec.data.image_size,
        white_levels=dict(images.white_levels),
    )


def save_network(model: keras.Model, path: Path) -> Path:
    """Write a .keras file whole or not at all."""
    temporary = path.with_name(f"tmp-{path.name}")
    model.save(temporary)
    temporary.rename(path)
    return path


def find_best_checkpoint(candidates: Sequence[str], *, spec_digest: str) -> Snapshot | None:
    """The newest valid checkpoint that was the best when it was written, or None.

    A checkpoint of an older cnnctl may contain numbers that are not finite: it is skipped.
    """
    for path in sorted(candidates, key=lambda path: Path(path).name, reverse=True):
        if not _is_best(Path(path)):
            continue
        with suppress(DamagedCheckpoint):
            snapshot = read_checkpoint(Path(path))
            if snapshot.spec_digest == spec_digest and not list_not_finite(snapshot.network):
                return snapshot
    return None


def _is_best(path: Path) -> bool:
    """Whether a valid manifest says that its checkpoint was the best when it was written."""
    try:
        return bool(read_manifest(path)["best"])
    except (OSError, ValueError, KeyError, DamagedCheckpoint):
        return False
