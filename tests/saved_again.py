"""What a saved network says, asked in children of the trainers' warm parent.

Each in a process of its own, since the first operation fixes the devices of a process for good; a child has
TensorFlow already, whose import takes longer than all that is asked.
"""

import multiprocessing
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt

from models.datasets.load import load_arrays


def ask(
    question: Callable[[Path, Path], None], path: Path, output: Path
) -> Mapping[str, npt.NDArray[np.float32]]:
    """What a question says of a saved network; the warm parent must be there."""
    process = multiprocessing.get_context("forkserver").Process(target=question, args=(path, output))
    process.start()
    process.join()
    assert process.exitcode == 0
    with np.load(output) as found:
        return dict(found)


def predict(folder: Path, output: Path) -> None:
    """Probabilities of the test digits, by one view and by ten, as the service loads the network."""
    from models.inference.saved_network import load_network

    network, x = load_network(folder, file="model.keras"), load_arrays("digits", directory=None).x_test
    np.savez(output, centre=network.predict(x), ten=network.predict(x, ten_crop=True))


def score_by_keras(path: Path, output: Path) -> None:
    """The share of test digits that Keras alone, which knows no layer of ours, finds right."""
    import keras

    digits = load_arrays("digits", directory=None)
    pixels = keras.ops.image.resize(digits.x_test.astype("float32"), (32, 32))
    network = keras.saving.load_model(path)
    right = network.predict(pixels, verbose=0).argmax(-1) == digits.y_test
    np.savez(output, accuracy=right.mean())
