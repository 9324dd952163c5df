"""Writes a trained network in the formats of others."""

import importlib.util
import tempfile
from pathlib import Path

import keras

from models.errors import CannotExport
from models.inference.copies import copy_in_float32, copy_in_plain_keras

FORMATS = ("keras", "savedmodel", "onnx")


def export_network(model: keras.Model, output: Path, *, format: str) -> None:
    """Write a network, from pixels 0..255 (N, H, W, C) to probabilities (N, K), to a new file or folder.

    A .keras file holds layers of Keras alone, so that it is loaded without this project; the other formats
    are in float32.

    Raises:
        CannotExport: there is no such place, something is there already, or a package is missing.
    """
    if format == "onnx" and importlib.util.find_spec("tf2onnx") is None:
        raise CannotExport("Export to ONNX needs more packages. Run: pip install 'cnnctl[onnx]'")
    _check_place(output, format=format)
    try:
        # In a folder of its own first: what is cut short must not look whole.
        with tempfile.TemporaryDirectory(prefix="cnnctl-export-", dir=output.parent) as folder:
            written = Path(folder) / output.name
            _write(model, written, format=format)
            written.rename(output)
    except OSError as error:
        raise CannotExport(f"{output} cannot be written: {error.strerror or error}") from None


def _write(model: keras.Model, output: Path, *, format: str) -> None:
    if format == "keras":
        copy_in_plain_keras(model).save(output)
        return
    exact = copy_in_float32(model)
    exact(keras.ops.zeros((1, *model.input_shape[1:])))  # Keras exports only what was called once
    exact.export(output, format="tf_saved_model" if format == "savedmodel" else format, verbose=False)


def _check_place(output: Path, *, format: str) -> None:
    if format == "keras" and output.suffix != ".keras":
        raise CannotExport(f"A Keras file needs a name that ends in .keras. Received: --output {output}")
    try:
        if output.exists():
            raise CannotExport(f"{output} is there already. Choose another name with --output, or remove it")
        output.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:  # a parent that is a file, a name that is too long, no right to write
        raise CannotExport(f"{output} cannot be written: {error.strerror}") from None
