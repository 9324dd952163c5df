"""What is counted without building is what Keras builds, layer by layer, number by number."""

from itertools import pairwise
from typing import Any

import pytest

from models.build import build_model, logits_model
from models.catalog.costs import count_layers
from models.catalog.lookup import ACTIVATIONS, ARCHITECTURES, get_architecture
from models.catalog.network_config import NetworkConfig, network_defaults
from models.catalog.training_memory import count_slots, largest_batch, predict_memory
from service.domain.spec import OptimizerSpec
from tests.models.built_costs import list_costs
from workers.train.optimizers import make_optimizer

NARROW = {"width": 0.125}
STAGES = {"stages": "3x4,6x8", "dense_units": 5}
NETWORKS: list[tuple[str, dict[str, Any], tuple[int, int, int]]] = [
    *((name, {}, (32, 32, 3)) for name in ARCHITECTURES),
    ("mlp", {"norm": "batch", "dropout": "standard:0.5", "options": {"hidden_layers": 3}}, (8, 9, 1)),
    ("softmax", {"dropout": "standard"}, (8, 8, 1)),
    ("lenet5", {"norm": "batch", "dropout": "spatial:0.2", "activation": "tanh"}, (32, 40, 1)),
    (
        "lenet5",
        {"norm": "lrn", "head": "gap", "pool": "average:3/2", "l1": 0.1},
        (33, 33, 3),
    ),
    ("lenet5", {"dropout": "standard:0.5", "dropout_place": "all"}, (28, 28, 1)),
    ("convnet4", {"pool": "average:2/2", "norm": "batch", "init": "paper"}, (31, 37, 3)),
    ("convnet4", {"norm": "lrn", "dropout": "spatial:0.2", "dropout_place": "pool"}, (32, 32, 3)),
    ("convnet4", {"norm": "lrn_within:0.001"}, (32, 32, 3)),
    ("alexnet", {"norm": "lrn_within", "options": {"width": 0.25}}, (227, 227, 3)),
    ("alexnet", {"norm": "lrn", "options": {"towers": 1, "width": 0.25}}, (227, 227, 3)),
    ("alexnet", {"norm": "lrn", "options": {**NARROW, "padding": 2}}, (224, 224, 3)),
    ("alexnet", {"norm": "batch", "head": "gap", "options": {**NARROW, "form": "cifar"}}, (100, 96, 1)),
    ("alexnet", {"dropout": "standard:0.5", "options": {**NARROW, "form": "imagenet"}}, (90, 90, 3)),
    ("alexnet", {"pool": "max:2/2", "options": {**NARROW, "towers": 1, "padding": 1}}, (32, 32, 3)),
    ("vgg", {"norm": "lrn", "options": {**STAGES, "kernel": 7}}, (32, 32, 3)),
    (
        "vgg",
        {"norm": "batch", "head": "gap", "options": {"stages": "2x4,2x8", "kernel": 5}},
        (20, 24, 1),
    ),
    ("vgg", {"pool": "average:3/2", "dropout": "standard:0.1", "options": STAGES}, (40, 40, 3)),
]


def choose(architecture: str, **chosen: Any) -> NetworkConfig:
    """A network as a submission resolves it; zeros are drawn at once."""
    defaults = network_defaults(get_architecture(architecture), dropout=chosen.get("dropout"))
    return NetworkConfig(architecture=architecture, **{"init": "zeros", **defaults, **chosen})


@pytest.mark.parametrize(("architecture", "chosen", "input_shape"), NETWORKS)
def test_every_layer_is_counted_as_keras_builds_it(
    architecture: str, chosen: dict[str, Any], input_shape: tuple[int, int, int]
) -> None:
    config = choose(architecture, **chosen)
    counted = count_layers(config, input_shape=input_shape, num_classes=7)
    model = build_model(config, input_shape=input_shape, num_classes=7, seed=0, pixel_mean=None)
    assert counted == list_costs(model)
    assert sum(layer.parameters for layer in counted) == model.count_params()


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_no_activation_changes_what_is_counted(activation: str) -> None:
    costs = count_layers(choose("lenet5", activation=activation), input_shape=(32, 32, 3), num_classes=10)
    assert sum(layer.trained for layer in costs) == 62_006


@pytest.mark.parametrize("momentum", [0.0, 0.9])
@pytest.mark.parametrize("name", ["sgd", "alexnet", "adam", "adamw"])
def test_an_optimizer_keeps_as_many_numbers_as_are_counted(name: Any, momentum: float) -> None:
    model = logits_model(build_model(choose("lenet5"), input_shape=(32, 32, 3), num_classes=10, seed=0))
    optimizer = make_optimizer(OptimizerSpec(name=name, lr=0.01, momentum=momentum))
    optimizer.build(model.trainable_variables)
    kept = sum(variable.value.shape.num_elements() for variable in optimizer.variables if len(variable.shape))
    assert kept == count_slots(name, momentum=momentum) * model.count_params()


def test_memory_grows_by_the_same_with_every_image_and_by_the_optimizer_with_every_parameter() -> None:
    layers = count_layers(choose("convnet4"), input_shape=(32, 32, 3), num_classes=10)
    totals = [predict_memory(layers, batch_size=size).total for size in range(4)]
    assert len({after - before for before, after in pairwise(totals)}) == 1
    assert totals[0] == 4 * 3 * 89_578
    adam = predict_memory(layers, batch_size=0, optimizer_slots=2)
    assert adam.total - totals[0] == 4 * 89_578


def test_more_replicas_sum_gradients_and_half_precision_halves_activations() -> None:
    layers = count_layers(choose("lenet5"), input_shape=(32, 32, 3), num_classes=10)
    alone = predict_memory(layers, batch_size=8)
    assert predict_memory(layers, batch_size=8, replicas=2).gradients == 2 * alone.gradients
    mixed = predict_memory(layers, batch_size=8, precision="mixed_bfloat16")
    assert 2 * mixed.activations == alone.activations
    assert mixed.parameters == 6 * 62_006


def test_the_largest_batch_is_the_last_that_fits() -> None:
    layers = count_layers(choose("alexnet"), input_shape=(227, 227, 3), num_classes=1000)

    def total(batch_size: int) -> int:
        return predict_memory(layers, batch_size=batch_size).total

    capacity = 8 * 1024**3
    most = largest_batch(none=total(0), one=total(1), capacity=capacity)
    assert total(most) <= capacity < total(most + 1)
    assert largest_batch(none=total(0), one=total(1), capacity=total(0) - 1) == 0
