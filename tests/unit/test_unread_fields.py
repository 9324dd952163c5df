"""A field that nothing reads is refused, with what would read it."""

from collections.abc import Mapping

import pytest

from service.domain.spec_request import resolve_spec, spec_paths
from service.domain.unread_fields import READ_WITH
from service.errors import SpecError

READ_ALWAYS = {
    *("model.architecture", "model.init", "model.dropout", "model.norm", "model.pool", "model.head"),
    *("model.l1", "model.l2", "model.options"),
    *("data.dataset", "data.image_size", "data.resize", "data.augment", "data.normalize"),
    *("data.validation_fraction", "data.train_fraction", "data.keep"),
    *("optimizer.name", "optimizer.lr", "optimizer.weight_decay", "optimizer.max_norm"),
    *("loss.name", "loss.label_smoothing", "loss.class_weights", "schedule.name"),
    *("training.batch_size", "training.epochs", "training.seed", "training.precision"),
    *("training.deterministic", "training.diagnostics", "training.early_stopping.patience_epochs"),
    "training.early_stopping.minimum_change",  # decides also which checkpoint is the best
    *("checkpoint.every_epochs", "checkpoint.every_steps", "checkpoint.every_minutes", "checkpoint.keep"),
    *("resources.gpus", "resources.time_limit_minutes", "schema_version"),
}
VALUES: Mapping[str, tuple[object, Mapping[str, object], Mapping[str, object]]] = {
    "optimizer.momentum": (0.5, {"optimizer.name": "adam"}, {"optimizer.name": "alexnet"}),
    "loss.gamma": (1.0, {}, {"loss.name": "focal"}),
    "loss.alpha": (1.0, {}, {"loss.name": "focal"}),
    "schedule.factor": (0.5, {"schedule.name": "cosine"}, {"schedule.name": "plateau"}),
    "schedule.step_epochs": (3, {"schedule.name": "cosine"}, {"schedule.name": "step"}),
    "schedule.patience_epochs": (3, {"schedule.name": "step"}, {"schedule.name": "plateau"}),
    "schedule.minimum_lr": (1e-4, {"schedule.name": "step"}, {"schedule.name": "cosine"}),
    "model.dropout_place": ("pool", {}, {"model.dropout": "standard:0.5"}),
    "model.penalize": ("all", {}, {"model.l2": 0.1}),
    "training.early_stopping.monitor": (
        "val_accuracy",
        {"data.validation_fraction": 0, "training.early_stopping.patience_epochs": 0},
        {},
    ),
    "training.ten_crop": (True, {}, {"data.resize": 40}),
    "data.in_memory_mib": (1, {}, {"data.dataset": "folder:/photographs"}),
}


def test_of_every_field_it_is_said_when_it_is_read() -> None:
    assert READ_ALWAYS.isdisjoint(READ_WITH)
    assert {path for path, _ in spec_paths()} == READ_ALWAYS | READ_WITH.keys() - {"model.dense_units"}
    assert READ_WITH.keys() - VALUES.keys() == {"model.activation", "model.dense_units"}  # below


@pytest.mark.parametrize("path", VALUES)
def test_a_given_field_is_taken_exactly_where_something_reads_it(path: str) -> None:
    value, without, with_reader = VALUES[path]
    with pytest.raises(SpecError, match=rf"{path} would have no effect: it is read only with ") as refusal:
        resolve_spec("lenet5", {**without, path: value})
    assert READ_WITH[path][1] in str(refusal.value)
    resolve_spec("lenet5", {**with_reader, path: value})
    resolve_spec("lenet5", without)


def test_an_activation_needs_hidden_layers() -> None:
    with pytest.raises(SpecError, match="read only with a network with hidden layers"):
        resolve_spec("softmax", {"model.activation": "tanh"})
    resolve_spec("mlp", {"model.activation": "tanh"})


def test_dense_layers_have_units_only_where_there_are_any() -> None:
    with pytest.raises(SpecError, match=r"model\.dense_units .* with model\.head flatten"):
        resolve_spec("vgg", {"model.head": "gap", "model.dense_units": 64})
    resolve_spec("vgg", {"model.dense_units": 64})
