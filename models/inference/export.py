"""Writes a trained network in the formats of others."""

import importlib.util
import shutil
from pathlib import Path

import keras

from models.errors import DatasetError

FORMATS = ("keras", "savedmodel", "onnx")


def export_network(model: keras.Model, output: Path, *, format: str) -> None:
    """Write a network, from pixels 0..255 (N, H, W, C) to probabilities (N, K), to a new file or folder.

    Raises:
        DatasetError: something is there already, or a package for the format is missing.
    """
    if output.exists():
        raise DatasetError(f"{output} is there already. Choose another name with --output, or remove it")
    if format == "onnx" and importlib.util.find_spec("tf2onnx") is None:
        raise DatasetError("Export to ONNX needs more packages. Run: pip install 'cnnctl[onnx]'")
    output.parent.mkdir(parents=True, exist_ok=True)
    # Under another name first: what is cut short must not look whole.
    temporary = output.with_name(f"tmp-{output.name}")
    try:
        if format == "keras":
            model.save(temporary)
        else:
            model(keras.ops.zeros((1, *model.input_shape[1:])))  # Keras exports only what was called once
            kind = "tf_saved_model" if format == "savedmodel" else format
            model.export(temporary, format=kind, verbose=False)
        temporary.rename(output)
    finally:
        if temporary.is_dir():
            shutil.rmtree(temporary)
        temporary.unlink(missing_ok=True)
