"""The metrics that a trainer records, and points of their series.

`step` is the number of optimizer steps since the start of the job, for every metric.
"""

from collections.abc import Mapping
from dataclasses import dataclass

STALL = "checkpoint_stall_seconds"
METRICS: Mapping[str, str] = {
    "batch_loss": "loss on the training batches, regularization included, mean since the last point",
    "batch_accuracy": "accuracy on the training batches, mean since the last point",
    "loss": "loss on the training images, regularization included, mean over the epoch",
    "accuracy": "accuracy on the training images, mean over the epoch, while they were learned",
    "data_loss": "`loss` without regularization, mean over the epoch",
    "penalty": "share of `loss` that is regularization (L1 and L2), mean over the epoch",
    "chance_accuracy": "share of the most frequent class among the training images, once, at step 0",
    "val_loss": "cross-entropy on the validation images after the epoch",
    "val_accuracy": "accuracy on the validation images after the epoch",
    "val_top5_accuracy": "share of validation images whose class is among the five likeliest",
    "test_loss": "cross-entropy on the test images, once, with the final weights",
    "test_accuracy": "accuracy on the test images, once, with the final weights",
    "test_top5_accuracy": "share of test images whose class is among the five likeliest",
    "test_ten_crop_accuracy": "test accuracy by the mean over ten views, once, with `training.ten_crop`",
    "test_worst_recall": "lowest share of a class's test images that are classified right",
    "lr": "learning rate of the epoch",
    STALL: "how long training stood still for a checkpoint, at its step",
    "images_per_second": "training images per second of wall time over the epoch, all replicas together",
}


@dataclass(frozen=True, slots=True)
class Point:
    """One value of a series; a value that is not finite is stored as None."""

    name: str
    step: int
    value: float | None
