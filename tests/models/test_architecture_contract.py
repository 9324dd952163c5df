"""What every network of the catalog owes; a new entry is held to it without a line here."""

import importlib
import inspect
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from models.build import logits_model
from models.catalog.costs import count_layers
from models.catalog.lookup import ARCHITECTURES, DATASETS, Architecture, CatalogError
from models.catalog.network_builder import CLASS_MAPS, LOGITS, find_features
from models.catalog.verdicts import PREFIX, in_order
from models.diagnostics import Diagnostics
from models.errors import CannotSlide
from models.inference.sliding import make_sliding
from models.losses import LossConfig, make_loss
from service.domain.spec_request import resolve_spec
from tests.models.built_costs import list_costs
from tests.models.declared_network import (
    NUM_CLASSES,
    build_declared,
    choose,
    draw_images,
    image_shape,
    narrow,
)

PHOTOGRAPHS = next(dataset.name for dataset in DATASETS.values() if dataset.photographs)


@pytest.fixture(scope="module", params=ARCHITECTURES.values(), ids=list(ARCHITECTURES))
def network(request: pytest.FixtureRequest) -> Architecture:
    found = request.param
    assert isinstance(found, Architecture)
    return found


@pytest.fixture(scope="module")
def whole(network: Architecture) -> Any:
    """The network with all its weights; zeros are drawn at once."""
    return build_declared(network, choose(network, init="zeros"))


@pytest.fixture(scope="module")
def small(network: Architecture) -> Any:
    """The network with its own initializer, as narrow as its options let it be."""
    return build_declared(network, choose(network, options=narrow(network)))


def layers_with_weights(model: Any) -> list[Any]:
    """All but normalizations, whose scale and shift are no layer's own."""
    return [
        layer
        for layer in model.layers
        if layer.trainable_weights and not isinstance(layer, keras.layers.BatchNormalization)
    ]


def test_it_is_built_for_its_own_image_size(network: Architecture, whole: Any) -> None:
    assert whole.name == network.name
    assert whole.input_shape == (None, *image_shape(network))
    assert whole.output_shape == (None, NUM_CLASSES)


def test_its_file_states_its_parameters(network: Architecture, whole: Any) -> None:
    module = importlib.import_module(network.function.partition(":")[0])
    assert getattr(module, "PARAMETERS", None) == whole.count_params()
    height, width, channels = image_shape(network)
    legend = f"for {height}x{width}x{channels} images and {NUM_CLASSES} classes.\nPARAMETERS = "
    assert legend in inspect.getsource(module)


def test_its_layers_sort_by_name_in_their_order_and_the_logits_come_last(whole: Any) -> None:
    """Verdicts and tables know only the names of the layers that were measured."""
    names = [layer.name for layer in layers_with_weights(whole)]
    assert sorted(names, key=in_order) == names
    assert names[-1] in (LOGITS, CLASS_MAPS)


def test_every_layer_is_counted_as_keras_builds_it(network: Architecture, whole: Any) -> None:
    counted = count_layers(choose(network), input_shape=image_shape(network), num_classes=NUM_CLASSES)
    assert counted == list_costs(whole)
    assert sum(layer.parameters for layer in counted) == whole.count_params()


def test_every_default_survives_into_the_spec(network: Architecture) -> None:
    spec = resolve_spec(network.name, {})
    assert {name: getattr(spec.model, name) for name in network.defaults} == network.defaults
    assert spec.model.options == {option.name: option.default for option in network.options}
    assert (spec.data.image_size, spec.data.dataset) == (network.image_size, network.default_dataset)
    of_photographs = resolve_spec(network.name, {"data.dataset": PHOTOGRAPHS})
    assert of_photographs.data.augment == network.augment


def test_it_has_the_initialization_of_its_paper_exactly_where_the_catalog_says_so(
    network: Architecture, whole: Any
) -> None:
    _, paper = find_features(network.name)
    assert (paper is not None) == network.has_paper_init
    if paper is not None:
        named = {*paper.kernels, *paper.biases}
        assert named <= {layer.name for layer in layers_with_weights(whole)}


def test_it_has_feature_maps_exactly_where_the_catalog_says_so(network: Architecture, whole: Any) -> None:
    kinds = {type(layer) for layer in whole.layers}
    assert any(issubclass(kind, keras.layers.Conv2D) for kind in kinds) == network.has_feature_maps


def test_batch_normalization_is_built_exactly_where_there_are_hidden_layers(network: Architecture) -> None:
    if not network.has_hidden_layers:
        with pytest.raises(CatalogError, match="no hidden layer"):
            choose(network, norm="batch")
        return
    model = build_declared(network, choose(network, options=narrow(network), norm="batch"))
    assert any(isinstance(layer, keras.layers.BatchNormalization) for layer in model.layers)


def test_it_slides_exactly_where_it_has_feature_maps(network: Architecture, small: Any) -> None:
    x_BHWC, _ = draw_images(network)
    if not network.has_feature_maps:
        with pytest.raises(CannotSlide, match=f"{network.name} has no feature maps"):
            make_sliding(small)
        return
    found_BhwK = np.asarray(make_sliding(small).model(x_BHWC))
    assert found_BhwK.shape == (len(x_BHWC), 1, 1, NUM_CLASSES)
    np.testing.assert_allclose(found_BhwK[:, 0, 0], small(x_BHWC), atol=1e-5)


def test_one_step_with_a_finite_loss_changes_every_kernel(network: Architecture, small: Any) -> None:
    x_BHWC, y_B = draw_images(network)
    variables = logits_model(small).trainable_variables
    before = [variable.numpy() for variable in variables]
    loss, gradients = differentiate(small, x_BHWC, y_B)
    assert np.isfinite(loss)
    keras.optimizers.SGD(0.1).apply(gradients, variables)
    for old, variable in zip(before, variables, strict=True):
        assert np.isfinite(variable.numpy()).all(), variable.path
        assert np.any(variable.numpy() != old) or variable.path.endswith("bias"), variable.path
        variable.assign(old)


def differentiate(model: Any, x_BHWC: Any, y_B: Any) -> tuple[Any, Any]:
    network = logits_model(model)
    with tf.GradientTape() as tape:
        loss_B = make_loss(LossConfig())(tf.constant(y_B), network(x_BHWC, training=True))
        loss = tf.reduce_mean(loss_B)
    return loss, tape.gradient(loss, [variable.value for variable in network.trainable_variables])


def test_diagnostics_measure_every_layer_with_weights(network: Architecture, small: Any) -> None:
    x_BHWC, y_B = draw_images(network)
    values: Mapping[str, float] = Diagnostics(logits_model(small)).measure(
        tf.constant(x_BHWC), tf.constant(y_B)
    )
    measured = {name.removeprefix(PREFIX).partition("/")[0] for name in values}
    assert measured == {layer.name for layer in layers_with_weights(small)}
    assert all(np.isfinite(value) for value in values.values()), values
