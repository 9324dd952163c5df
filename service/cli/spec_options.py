"""The options that `submit` and `run` share: short names for spec fields, and `--set` for all of them."""

from collections.abc import Callable
from typing import Any, TypeVar

import click

from service.cli.param_types import Minutes
from service.domain.spec_request import parse_assignment

Command = TypeVar("Command", bound=Callable[..., Any])

# Option → spec field, value type, help.
FIELDS: dict[str, tuple[str, Any, str]] = {
    "dataset": ("data.dataset", str, "Name, folder:PATH or npz:PATH; the default depends on the network."),
    "gpus": ("resources.gpus", int, "GPUs, all on one host."),
    "init": ("model.init", str, "Initializer, as in orthogonal or normal:0.01."),
    "activation": ("model.activation", str, "Activation of the hidden layers."),
    "dropout": ("model.dropout", str, "none, standard:RATE or spatial:RATE."),
    "norm": ("model.norm", str, "none, lrn or batch."),
    "pool": ("model.pool", str, "max or average, and SIZE/STRIDE as in max:3/2."),
    "head": ("model.head", str, "flatten or gap."),
    "l1": ("model.l1", float, "Strength of the L1 penalty."),
    "l2": ("model.l2", float, "Strength of the L2 penalty."),
    "augment": ("data.augment", str, "none, or crop:PADDING, mirror and pca:SIGMA joined by commas."),
    "loss": ("loss.name", str, "cross_entropy or focal."),
    "class-weights": ("loss.class_weights", str, "none or balanced."),
    "label-smoothing": ("loss.label_smoothing", float, "Share of each target spread over all classes."),
    "optimizer": ("optimizer.name", str, "sgd, alexnet, adam or adamw."),
    "lr": ("optimizer.lr", float, "Learning rate at the start."),
    "schedule": ("schedule.name", str, "constant, step, cosine or plateau."),
    "batch-size": ("training.batch_size", int, "Images per step, over all GPUs together."),
    "epochs": ("training.epochs", int, "Passes over the training images."),
    "seed": ("training.seed", int, "Seed of everything random."),
    "precision": ("training.precision", str, "float32 or mixed_bfloat16."),
    "diagnostics": ("training.diagnostics", bool, "Record gradients and activations of each layer."),
    "time-limit": ("resources.time_limit_minutes", Minutes(), "Training time after which it fails: 90, 2h."),
}


def spec_options(command: Command) -> Command:
    """Add the network's name and the spec options to a command, which gets `architecture` and `fields`."""
    for name, (path, kind, text) in reversed(FIELDS.items()):
        flag = {"is_flag": True, "default": None} if kind is bool else {"type": kind}
        command = click.option(f"--{name}", path.replace(".", "__"), help=f"{text}  [{path}]", **flag)(
            command
        )
    command = click.option(
        "--set",
        "assignments",
        multiple=True,
        metavar="PATH=VALUE",
        help="Any spec field, as in --set schedule.step_epochs=5. See: cnnctl list fields",
    )(command)
    return click.argument("architecture")(command)


def collect_fields(values: dict[str, Any], assignments: tuple[str, ...]) -> dict[str, object]:
    """Gather the fields that were given; `--set` wins over a short option."""
    given = {name.replace("__", "."): value for name, value in values.items() if value is not None}
    return {**given, **dict(map(parse_assignment, assignments))}
