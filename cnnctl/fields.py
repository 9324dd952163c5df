"""Short names of the spec's fields that people use most, for options of commands and arguments of Python."""

from collections.abc import Mapping

# Option → field of the spec; a test holds that there are such.
FIELDS: Mapping[str, str] = {
    "dataset": "data.dataset",
    "gpus": "resources.gpus",
    "init": "model.init",
    "activation": "model.activation",
    "dropout": "model.dropout",
    "norm": "model.norm",
    "pool": "model.pool",
    "head": "model.head",
    "l1": "model.l1",
    "l2": "model.l2",
    "augment": "data.augment",
    "loss": "loss.name",
    "class-weights": "loss.class_weights",
    "label-smoothing": "loss.label_smoothing",
    "optimizer": "optimizer.name",
    "lr": "optimizer.lr",
    "schedule": "schedule.name",
    "batch-size": "training.batch_size",
    "epochs": "training.epochs",
    "seed": "training.seed",
    "precision": "training.precision",
    "diagnostics": "training.diagnostics",
    "time-limit": "resources.time_limit_minutes",
}
