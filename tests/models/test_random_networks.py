"""Any spec that can be written is either refused with a reason, or builds, trains and is saved whole."""

import tempfile
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from models.augmentation import draw_views
from models.build import build_model, logits_model
from models.catalog.augmentation_config import Augmentation
from models.catalog.costs import check_network
from models.catalog.lookup import ACTIVATIONS, ARCHITECTURES, HEADS, INITIALIZERS, NORMS, CatalogError
from models.catalog.network_config import PLACES, NetworkConfig
from models.losses import LossConfig, make_loss
from models.views import cut_views
from tests.properties import examples

RANDOM = np.random.default_rng(0)
OPTIONS: dict[str, st.SearchStrategy[dict[str, Any]]] = {
    "mlp": st.fixed_dictionaries({"hidden_units": st.integers(1, 20), "hidden_layers": st.integers(0, 3)}),
    "alexnet": st.fixed_dictionaries(
        {
            "width": st.just(0.125),
            "towers": st.sampled_from([1, 2]),
            "form": st.sampled_from(["auto", "imagenet", "cifar"]),
            "padding": st.integers(-1, 3),
        }
    ),
    "vgg": st.fixed_dictionaries(
        {
            "stages": st.sampled_from(["1x4", "2x4,2x8", "3x4,6x8", "1x4,1x4,1x4", "x", "0x3"]),
            "kernel": st.sampled_from([3, 5, 7]),
            "dense_units": st.integers(1, 20),
        }
    ),
}


@st.composite
def choices(draw: Any) -> dict[str, Any]:
    architecture = draw(st.sampled_from(list(ARCHITECTURES)))
    return {
        "architecture": architecture,
        "init": draw(st.sampled_from(list(INITIALIZERS))),
        "activation": draw(st.sampled_from(list(ACTIVATIONS))),
        "dropout": draw(st.sampled_from(["none", "standard:0.5", "spatial:0.3", "standard:0"])),
        "dropout_place": draw(st.sampled_from(PLACES)),
        "norm": draw(st.sampled_from(list(NORMS))),
        "pool": draw(
            st.sampled_from(["none", "max:2/2", "max:3/2", "average:3/3", "average:2/1", "max:5/5"])
        ),
        "head": draw(st.sampled_from(list(HEADS))),
        "l1": draw(st.sampled_from([0.0, 1e-4])),
        "l2": draw(st.sampled_from([0.0, 1e-3])),
        "penalize": draw(st.sampled_from(["kernels", "all"])),
        "options": draw(OPTIONS.get(architecture, st.just({}))),
    }


# TensorFlow 2.21 does not know NumPy 2's `copy` yet; Keras meets it when it saves.
@pytest.mark.filterwarnings(
    "ignore:__array__ implementation doesn't accept:DeprecationWarning:keras.src.backend.tensorflow.core"
)
@pytest.mark.timeout(600)
@pytest.mark.property
@settings(
    deadline=None, max_examples=examples(250), suppress_health_check=[HealthCheck.too_slow], derandomize=True
)
@given(fields=choices(), side=st.integers(6, 40), channels=st.sampled_from([1, 3]))
def test_a_network_is_refused_or_trains_and_comes_back_from_disk(
    fields: dict[str, Any], side: int, channels: int
) -> None:
    try:
        config = NetworkConfig(**fields)
        check_network(config, image_size=side)
    except CatalogError as refusal:
        event("refused")
        if len(str(refusal)) < 20:
            pytest.fail(f"a refusal without a reason: {refusal}")
        return
    event("built")
    model = build_model(config, input_shape=(side, side, channels), num_classes=3, seed=1)
    take_a_step(model, side=side, channels=channels)
    x_BHWC = RANDOM.normal(size=(2, side, side, channels)).astype(np.float32)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "network.keras")
        model.save(path)
        np.testing.assert_array_equal(keras.saving.load_model(path)(x_BHWC), model(x_BHWC))


def take_a_step(model: Any, *, side: int, channels: int) -> None:
    stored = tf.constant(RANDOM.integers(0, 256, (4, side + 2, side + 2, channels)), tf.float32)
    views = draw_views(Augmentation(crop_padding=1, mirror=True), num_images=4, room=2, seed=0, epoch=1)
    network, loss = logits_model(model), make_loss(LossConfig(focal_gamma=1.0, label_smoothing=0.1))
    optimizer = keras.optimizers.SGD(1e-6)
    with tf.GradientTape() as tape:
        logits_BK = network(cut_views(stored / 255, views, side=side), training=True)
        value = tf.reduce_mean(loss(tf.constant([0, 1, 2, 0]), logits_BK)) + sum(network.losses)
    variables = network.trainable_variables
    gradients = tape.gradient(value, [variable.value for variable in variables])
    assert all(gradient is not None for gradient in gradients)
    optimizer.apply(gradients, variables)
    assert np.isfinite(value)
    assert all(np.isfinite(variable.numpy()).all() for variable in variables)
