"""Every network trains on each of Keras's backends, though the service uses TensorFlow."""

import sys

import numpy as np
import pytest

from models.catalog.lookup import ARCHITECTURES
from tests.models.backends import require, run_on
from tests.models.declared_network import list_pieces

# Builds every network of the catalog with our own layers, and trains it for a step.
TRAIN = """
import json, sys
import keras, numpy
from models.build import build_model
from models.catalog.lookup import ARCHITECTURES
from tests.models.declared_network import build_declared, choose, draw_images, list_pieces, narrow
losses = {}
for network in ARCHITECTURES.values():
    x_BHWC, y_B = draw_images(network)
    for name, pieces in list_pieces(network).items():
        model = build_declared(network, choose(network, options=narrow(network), **pieces))
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile(keras.optimizers.SGD(1e-3), loss)
        before = [numpy.asarray(keras.ops.convert_to_numpy(weight)) for weight in model.trainable_variables]
        loss = model.train_on_batch(x_BHWC, y_B)
        after = [numpy.asarray(keras.ops.convert_to_numpy(weight)) for weight in model.trainable_variables]
        moved = any((one != two).any() for one, two in zip(before, after))
        losses[f"{network.name} {name}"] = float(loss) if moved else None
print(json.dumps(losses))
"""


@pytest.mark.long
@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_every_network_trains(backend: str) -> None:
    require(backend)
    losses = run_on(backend, [sys.executable, "-c", TRAIN])
    assert set(losses) == {
        f"{network.name} {name}" for network in ARCHITECTURES.values() for name in list_pieces(network)
    }
    assert {name: loss for name, loss in losses.items() if loss is None or not np.isfinite(loss)} == {}
