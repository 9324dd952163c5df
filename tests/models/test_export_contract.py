"""Every network of the catalog gives the same probabilities after it was exported, in every format."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from models.catalog.lookup import ARCHITECTURES, Architecture
from models.inference.export import FORMATS, export_network
from tests.models.declared_network import build_declared, choose, draw_images, narrow

# Exported in a second; the others trace the network anew.
QUICK = {"keras"}
CASES = [pytest.param(name, marks=() if name in QUICK else pytest.mark.long, id=name) for name in FORMATS]


def read_keras(path: Path, x_BHWC: Any) -> Any:
    return keras.saving.load_model(path, compile=False)(x_BHWC)


def read_savedmodel(path: Path, x_BHWC: Any) -> Any:
    network = tf.saved_model.load(str(path))  # holds the variables that `serve` reads
    return network.serve(x_BHWC)


def read_onnx(path: Path, x_BHWC: Any) -> Any:
    import onnxruntime

    session = onnxruntime.InferenceSession(path)
    (found,) = session.run(None, {session.get_inputs()[0].name: x_BHWC})
    return found


READERS: Mapping[str, Callable[[Path, Any], Any]] = {
    "keras": read_keras,
    "savedmodel": read_savedmodel,
    "onnx": read_onnx,
}


@pytest.mark.parametrize("format", CASES)
@pytest.mark.parametrize("network", ARCHITECTURES.values(), ids=list(ARCHITECTURES))
def test_an_exported_network_gives_the_same_probabilities(
    network: Architecture, format: str, tmp_path: Path
) -> None:
    model = build_declared(network, choose(network, options=narrow(network)))
    x_BHWC, _ = draw_images(network)
    output = tmp_path / f"network.{format}"
    export_network(model, output, format=format)
    found, expected = np.asarray(READERS[format](output, x_BHWC)), np.asarray(model(x_BHWC))
    assert expected.std() > 0
    if format in QUICK:
        np.testing.assert_array_equal(found, expected)
    else:
        np.testing.assert_allclose(found, expected, atol=1e-5)
