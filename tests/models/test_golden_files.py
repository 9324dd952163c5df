"""Networks, surveys and unpacked images that an older cnnctl left on the disk are used as they are."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from models.datasets.arrays import ImageArrays
from models.datasets.files.decoder import Decoder, recall_survey
from models.datasets.unpacked import load_unpacked
from models.inference.saved_network import load_about, load_network


@pytest.fixture
def old(golden_of_servers: Path) -> Path:
    """The folder of its run folders."""
    return golden_of_servers / "runs"


@pytest.mark.parametrize("file", ["model.keras", "best.keras"])
def test_a_network_of_one_block_predicts(old: Path, file: str) -> None:
    network = load_network(old / "4" / "1", file=file)
    assert network.about.channels == 1
    probabilities_NK = network.predict(np.zeros((3, 8, 8, 1), np.uint8))
    assert probabilities_NK.shape == (3, 2)
    assert np.allclose(probabilities_NK.sum(axis=1), 1, atol=1e-5)


def test_a_network_with_convolutions_regularizers_and_dropout_predicts(golden: Path) -> None:
    network = load_network(golden / "runs" / "1" / "1", file="model.keras")
    side = network.about.resize
    assert network.predict(np.zeros((2, side, side, 1), np.uint8)).shape == (2, 10)


def test_what_is_known_of_a_network_is_read_from_a_newer_version(old: Path, tmp_path: Path) -> None:
    known = load_about(old / "4" / "1")
    values = json.loads((old / "4" / "1" / "network.json").read_text())
    (tmp_path / "network.json").write_text(json.dumps({**values, "calibration": 1.5}))
    assert load_about(tmp_path) == known


def only(paths: "list[Path]") -> Path:
    (path,) = paths
    return path


def test_unpacked_images_are_mapped(old: Path, tmp_path: Path) -> None:
    """Put where this version looks for those of a file that says otherwise."""
    source, kept = tmp_path / "images.npz", tmp_path / "kept"
    x_NHW, y_N = np.zeros((4, 8, 8), np.uint8), np.arange(4) % 2
    np.savez_compressed(source, x_train=x_NHW, y_train=y_N, x_test=x_NHW, y_test=y_N)
    load_unpacked(f"npz:{source}", directory=None, folder=kept)
    place = only(list(kept.iterdir()))
    shutil.rmtree(place)
    shutil.copytree(only([path for path in (old / ".surveys").iterdir() if path.is_dir()]), place)
    found = load_unpacked(f"npz:{source}", directory=None, folder=kept)
    assert isinstance(found, ImageArrays)
    assert (found.x_train.shape, found.x_test.shape) == ((40, 8, 8, 1), (10, 8, 8, 1))
    assert found.class_names == ("0", "1")


def test_a_survey_that_says_nothing_of_white_levels_is_made_anew(old: Path, tmp_path: Path) -> None:
    image = tmp_path / "image.png"
    image.write_bytes(b"oops")
    kept = tmp_path / "kept"
    kept.mkdir()
    shutil.copy(only(list((old / ".surveys").glob("*.json"))), kept)
    decoder = Decoder(side=8, channels=3, threads=1)
    survey = recall_survey(decoder, [image], folder=kept, say=lambda _: None)
    assert [path.name for path in survey.broken] == ["image.png"]
    assert len(list(kept.iterdir())) == 2
