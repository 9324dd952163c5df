"""Every network of the catalog gives the same probabilities after it was exported, in every format."""

import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from models.catalog.lookup import ARCHITECTURES, NORMS, Architecture
from models.errors import CannotExport
from models.inference.copies import copy_in_float32, copy_in_plain_keras
from models.inference.export import FORMATS, export_network
from tests.models.backends import require, run_on
from tests.models.declared_network import build_declared, choose, draw_images, list_pieces, narrow

# Loads .keras files in a process that has none of our packages, and prints what they answer.
LOAD_ALONE = """
import json, sys
sys.modules.update(models=None, service=None, workers=None)
import keras, numpy
answers = {}
for path in sys.argv[2:]:
    network = keras.saving.load_model(path)
    found = network(numpy.load(sys.argv[1])[f"{network.input_shape[1]}"])
    answers[path] = keras.ops.convert_to_numpy(found).tolist()
print(json.dumps(answers))
"""


@pytest.fixture
def mixed() -> Iterator[None]:
    keras.config.set_dtype_policy("mixed_bfloat16")
    yield
    keras.config.set_dtype_policy("float32")


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


def build_of(network: Architecture, pieces: Mapping[str, str]) -> Any:
    """Build with numbers where a new network has zeros or ones: biases, statistics."""
    model = build_declared(network, choose(network, options=narrow(network), **pieces))
    random = np.random.default_rng(0)
    for weight in model.weights:
        if len(weight.shape) == 1:
            weight.assign(weight + random.uniform(0, 0.1, weight.shape))
    return model


@pytest.mark.parametrize("norm", NORMS)
def test_every_norm_has_its_like_in_plain_keras(norm: str) -> None:
    network = ARCHITECTURES["convnet4"]
    model, (x_BHWC, _) = build_of(network, {"norm": norm}), draw_images(network)
    copied = copy_in_plain_keras(model)
    np.testing.assert_allclose(copied(x_BHWC), model(x_BHWC), atol=1e-6)
    assert not [layer for layer in copied.layers if type(layer).__module__.startswith("models.")]


@pytest.mark.long  # but for .keras, see below: each traces the network anew
@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("network", ARCHITECTURES.values(), ids=list(ARCHITECTURES))
def test_an_exported_network_gives_the_same_probabilities(
    network: Architecture, format: str, tmp_path: Path
) -> None:
    check_export(network, format, tmp_path, atol=1e-6 if format == "keras" else 1e-5)


def check_export(network: Architecture, format: str, folder: Path, *, atol: float) -> None:
    """Export a network of each of its pieces, and compare what is read back with it and with its copy."""
    x_BHWC, _ = draw_images(network)
    for number, pieces in enumerate(list_pieces(network).values()):
        model = build_of(network, pieces)
        output = folder / f"network{number}.{format}"
        export_network(model, output, format=format)
        found, expected = np.asarray(READERS[format](output, x_BHWC)), np.asarray(model(x_BHWC))
        assert expected.std() > 0
        np.testing.assert_allclose(found, expected, atol=atol)
        if format != "keras":
            np.testing.assert_allclose(found, np.asarray(copy_in_float32(model)(x_BHWC)), atol=1e-6)


@pytest.mark.parametrize(
    ("backend", "atol"),
    [
        pytest.param("tensorflow", 1e-6, marks=pytest.mark.long),
        pytest.param("jax", 1e-5, marks=pytest.mark.long),
        pytest.param("torch", 1e-5, marks=pytest.mark.long),
    ],
)
def test_a_keras_file_is_loaded_by_a_process_that_has_keras_alone(
    backend: str, atol: float, tmp_path: Path
) -> None:
    require(backend)
    expected, images = {}, {}
    for network in ARCHITECTURES.values():
        x_BHWC, _ = draw_images(network)
        images[f"{network.image_size}"] = x_BHWC
        for name, pieces in list_pieces(network).items():
            path = tmp_path / f"{network.name} {name}.keras"
            model = build_of(network, pieces)
            export_network(model, path, format="keras")
            expected[str(path)] = np.asarray(model(x_BHWC))
    np.savez(tmp_path / "images.npz", **images)
    words = [sys.executable, "-I", "-c", LOAD_ALONE, str(tmp_path / "images.npz"), *expected]
    for name, found in run_on(backend, words).items():
        np.testing.assert_allclose(found, expected[name], atol=atol, err_msg=name)


@pytest.mark.long
@pytest.mark.usefixtures("mixed")
@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("network", ARCHITECTURES.values(), ids=list(ARCHITECTURES))
def test_a_network_of_mixed_arithmetic_is_exported(
    network: Architecture, format: str, tmp_path: Path
) -> None:
    check_export(network, format, tmp_path, atol=1e-2)


def test_places_that_cannot_be_written_are_refused_in_words(tmp_path: Path) -> None:
    model = build_of(ARCHITECTURES["softmax"], {})
    (tmp_path / "file").write_text("")
    places = {
        tmp_path / "model": r"name that ends in \.keras",
        tmp_path / "file" / "model.keras": "cannot be written",
        tmp_path / ("x" * 300 + ".keras"): "cannot be written: File name too long",
    }
    for path, message in places.items():
        with pytest.raises(CannotExport, match=message):
            export_network(model, path, format="keras")
    longest = tmp_path / ("x" * 249 + ".keras")
    export_network(model, longest, format="keras")
    assert longest.is_file()
    assert {path.name for path in tmp_path.iterdir()} == {"file", longest.name}
    (tmp_path / "there.keras").write_text("precious")
    with pytest.raises(CannotExport, match="is there already"):
        export_network(model, tmp_path / "there.keras", format="keras")
    assert (tmp_path / "there.keras").read_text() == "precious"
