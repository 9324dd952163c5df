"""A network is used for what it knows: not if it has diverged, nor for other classes."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from PIL import Image

from models.datasets.files.decode import Pixels
from models.datasets.load import load_arrays
from models.errors import DivergedNetwork
from models.inference.acts import main
from models.inference.evaluation import evaluate_network
from models.inference.saved_network import FINAL_FILE, About, Probabilities, SavedNetwork, load_network

DIGITS = load_arrays("digits", directory=None)


@pytest.fixture
def save(build: Callable[..., Any], tmp_path: Path) -> Callable[..., Path]:
    """Save a softmax network for digits whose weights are all `factor`."""

    def save_one(*, factor: float) -> Path:
        model = build("softmax", input_shape=(8, 8, 1), pixel_mean=[78.0], pixel_std=[96.0])
        logits = model.get_layer("logits")
        logits.kernel.assign(np.full(logits.kernel.shape, factor, np.float32))
        model.save(tmp_path / FINAL_FILE)
        About(class_names=DIGITS.class_names, channels=1, resize=8, image_size=8).save(tmp_path)
        return tmp_path

    return save_one


def test_a_network_with_weights_that_are_not_finite_is_refused(
    save: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    folder = save(factor=np.nan)
    with pytest.raises(DivergedNetwork, match="not finite, in logits: its training diverged"):
        load_network(folder, file=FINAL_FILE)
    assert main(["evaluate", str(folder), "--file", FINAL_FILE, "--dataset", "digits"]) == 2
    assert "its training diverged" in capsys.readouterr().out


def test_scores_that_are_not_finite_count_as_wrong(save: Callable[..., Path]) -> None:
    network = load_network(save(factor=3e38), file=FINAL_FILE)
    found = evaluate_network(network, "digits", directory=None, ten_crop=False)
    assert (found["accuracy"], found["top1_error"], found["top5_error"], found["loss"]) == (0, 1, 1, None)
    assert f"{found['images']} images have scores that are not finite" in str(found["note"])
    json.dumps(found, allow_nan=False)


def test_a_probability_that_is_no_number_is_null(
    save: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Image.fromarray(DIGITS.x_test[0, ..., 0]).save(tmp_path / "digit.png")
    words = ["predict", str(save(factor=3e38)), "--file", FINAL_FILE, str(tmp_path / "digit.png")]
    assert main(words) == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert {one["probability"] for one in row["classes"]} == {None}


def test_ten_views_of_an_image_and_one_have_scores_of_their_own(
    save: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    folder = save(factor=1.0)
    logits = keras.saving.load_model(folder / FINAL_FILE)
    logits.get_layer("logits").kernel.assign(np.random.default_rng(0).normal(size=(64, 10)))
    logits.save(folder / FINAL_FILE)
    losses = []
    for words in ([], ["--ten-crop"]):
        assert main(["evaluate", str(folder), "--file", FINAL_FILE, "--dataset", "digits", *words]) == 0
        found = json.loads(capsys.readouterr().out)
        assert found["ten_crop"] is bool(words)
        losses.append(found["loss"])
    assert losses[0] != losses[1]


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched(SavedNetwork):
    """Keeps what it sees."""

    seen: list[Pixels] = field(default_factory=list)

    def predict(self, x_NHWC: Pixels, *, ten_crop: bool = False) -> Probabilities:
        self.seen.append(x_NHWC)
        return np.full((len(x_NHWC), 2), 0.5, np.float32)


def test_deep_files_are_evaluated_at_one_scale_by_a_network_that_knows_none(tmp_path: Path) -> None:
    for name, top in (("dim", 255), ("lit", 4095)):
        (tmp_path / name).mkdir()
        for number in range(4):
            image = Image.fromarray(np.full((8, 8), top, np.uint16))
            image.save(tmp_path / name / f"{number}.png")
    about = About(class_names=("dim", "lit"), channels=1, resize=8, image_size=8)
    network = Watched(model=keras.Sequential(), about=about)
    found = evaluate_network(network, f"folder:{tmp_path}", directory=None, ten_crop=False)
    assert [image.max() for image in np.concatenate(network.seen)] == [16, 255]
    assert found["note"] == "white is 4,095 in 2 files of integers of more than 8 bits"


def test_a_dataset_of_other_classes_is_refused(
    save: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["evaluate", str(save(factor=1.0)), "--file", FINAL_FILE, "--dataset", "synthetic"]
    assert main(words) == 2
    assert "other classes" in capsys.readouterr().out
