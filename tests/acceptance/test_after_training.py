"""What a trained network is good for: predictions, scores, other formats, detection; on real processes."""

import json
import os
import re
import stat
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from PIL import Image

from models.datasets.load import load_arrays
from tests.json_keys import check_keys
from tests.stack import Stack

pytestmark = pytest.mark.xdist_group("stack")
DIGITS = load_arrays("digits", directory=None)


@pytest.fixture(scope="module")
def job(stack: Stack) -> int:
    number = stack.submit("lenet5", "--dataset", "digits", "--epochs", "8", "--seed", "1")
    stack.finished(number)
    return number


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    """Two digits on a black ground, each three times as large as in the dataset."""
    ground = np.zeros((32, 80), np.uint8)
    for number, left in ((0, 4), (1, 48)):
        ground[4:28, left : left + 24] = np.kron(DIGITS.x_test[number, ..., 0], np.ones((3, 3), np.uint8))
    Image.fromarray(ground).save(tmp_path / "photo.png")
    return tmp_path / "photo.png"


def save_digit(folder: Path, number: int) -> Path:
    path = folder / f"digit{number}.png"
    Image.fromarray(DIGITS.x_test[number, ..., 0]).save(path)
    return path


def ask(stack: Stack, *words: str) -> Any:
    return json.loads(stack.cnnctl(*words, "--json").stdout)


def test_predict_tells_what_images_show(stack: Stack, job: int, tmp_path: Path) -> None:
    images = [save_digit(tmp_path, number) for number in range(6)]
    found = ask(stack, "predict", str(job), *map(str, images), "--top", "3")
    assert [row["image"] for row in found] == [str(path) for path in images]
    right = [row["classes"][0]["class"] == str(DIGITS.y_test[n]) for n, row in enumerate(found)]
    assert sum(right) >= 5
    assert all(len(row["classes"]) == 3 for row in found)
    check_keys(found, "predict JOB IMAGE…")
    table = stack.cnnctl_here("predict", str(job), str(images[0])).stdout
    assert "PROBABILITY" in table


def test_evaluate_gives_the_scores_of_the_best_epoch(stack: Stack, job: int) -> None:
    found = ask(stack, "evaluate", str(job))
    assert found["images"] == 360
    assert found["accuracy"] == pytest.approx(stack.job(job)["metrics"]["test_accuracy"], abs=0.03)
    assert found["top1_error"] == pytest.approx(1 - found["accuracy"])
    assert found["top5_error"] < found["top1_error"]
    assert sum(row["images"] for row in found["classes"]) == 360
    check_keys(found, "evaluate JOB")
    shown = stack.cnnctl_here("evaluate", str(job), "--ten-crop").stdout
    assert re.search(r"top1_error +0\.\d{4}\n", shown)
    assert re.search(r"CLASS +IMAGES +ACCURACY\n *0 +3\d +[01]\.\d{4}\n", shown)


LOAD_KERAS = """
import sys, numpy, keras, models.keras_builder
print(keras.saving.load_model(sys.argv[1])(numpy.load(sys.argv[2])).numpy().tolist())
"""
LOAD_SAVEDMODEL = """
import sys, numpy, tensorflow
network = tensorflow.saved_model.load(sys.argv[1])
print(network.serve(numpy.load(sys.argv[2])).numpy().tolist())
"""
LOAD_ONNX = """
import sys, numpy, onnxruntime
session = onnxruntime.InferenceSession(sys.argv[1])
print(session.run(None, {session.get_inputs()[0].name: numpy.load(sys.argv[2])})[0].tolist())
"""


def weights_in(path: Path) -> dict[str, bytes]:
    """The bytes of every array in a .keras file."""
    found = {}
    with (
        zipfile.ZipFile(path) as archive,
        archive.open("model.weights.h5") as file,
        h5py.File(file) as weights,
    ):
        weights.visititems(
            lambda name, item: found.update({name: item[()].tobytes()}) if hasattr(item, "dtype") else None
        )
    return found


def test_an_exported_network_is_the_trained_one_and_overwrites_nothing(
    stack: Stack, job: int, tmp_path: Path
) -> None:
    output = tmp_path / "exported.keras"
    stack.cnnctl("export", str(job), "--format", "keras", "--output", str(output))
    best = Path(stack.job(job)["model"]).with_name("best.keras")
    assert weights_in(output) == weights_in(best) != {}
    again = stack.cnnctl_here("export", str(job), "--format", "onnx", "--output", str(output), code=2)
    assert "is there already" in again.stderr


@pytest.mark.long
def test_every_format_gives_the_probabilities_of_the_network(stack: Stack, job: int, tmp_path: Path) -> None:
    pixels = tmp_path / "pixels.npy"
    np.save(pixels, np.random.default_rng(0).integers(0, 256, (4, 32, 32, 1)).astype(np.float32))
    found = {}
    for kind, program in (("keras", LOAD_KERAS), ("savedmodel", LOAD_SAVEDMODEL), ("onnx", LOAD_ONNX)):
        output = tmp_path / f"exported-{kind}{'.keras' if kind == 'keras' else ''}"
        stack.cnnctl("export", str(job), "--format", kind, "--output", str(output))
        found[kind] = np.array(json.loads(stack.python(program, str(output), str(pixels))))
    np.testing.assert_allclose(found["savedmodel"], found["keras"], atol=1e-5)
    np.testing.assert_allclose(found["onnx"], found["keras"], atol=1e-5)


def test_detect_finds_digits_in_a_larger_image_and_draws_them(
    stack: Stack, job: int, photo: Path, tmp_path: Path
) -> None:
    drawn = tmp_path / "drawn.png"
    words = ("--output", str(drawn), "--scale", "1", "--threshold", "0.8")
    found = ask(stack, "detect", str(job), str(photo), *words)
    check_keys(found, "detect JOB IMAGE")
    classes = {box["class_name"] for box in found["boxes"]}
    assert classes & {str(DIGITS.y_test[0]), str(DIGITS.y_test[1])}
    assert all(box["bottom"] - box["top"] == pytest.approx(32, abs=0.2) for box in found["boxes"])
    with Image.open(drawn) as image:
        assert image.size == (13 * 80, 13 * 32)
        assert len(image.getcolors(10_000) or []) > 3  # boxes in colour on a gray image


def test_what_cannot_be_done_is_said(stack: Stack, job: int, tmp_path: Path) -> None:
    odd = tmp_path / os.fsdecode(b"error: caf\xe9\n.png")
    odd.write_text("no image")
    refused = stack.cnnctl("predict", str(job), str(odd), code=2)
    assert "error: caf\\xe9\n.png cannot be read as an image" in refused.stderr
    assert "Traceback" not in refused.stderr
    for dataset, words in (("minst", "Did you mean mnist?"), ("zip:/x", "is folder:PATH or npz:PATH")):
        assert words in stack.cnnctl_here("evaluate", str(job), "--dataset", dataset, code=2).stderr
    assert (
        "there is no home folder"
        in stack.cnnctl_here("export", str(job), "--output=~nosuchuser/x", code=2).stderr
    )
    assert "999" in stack.cnnctl_here("predict", "999", "x.png", code=3).stderr
    cancelled = stack.submit("lenet5", "--dataset", "digits", "--epochs", "500")
    stack.cnnctl_here("cancel", str(cancelled))
    stack.finished(cancelled, "cancelled")
    conflict = stack.cnnctl_here("export", str(cancelled), code=4)
    assert "has no trained network: it is cancelled" in conflict.stderr


def test_the_copy_of_a_private_dataset_and_all_else_that_a_job_leaves_is_private(
    stack: Stack, job: int, tmp_path: Path
) -> None:
    private = tmp_path / "private"
    private.mkdir(mode=0o700)
    images, labels = np.zeros((40, 8, 8), np.uint8), np.arange(40, dtype=np.uint8) % 2
    np.savez(private / "own.npz", x_train=images, y_train=labels, x_test=images, y_test=labels)
    words = ("--dataset", f"npz:{private}/own.npz", "--epochs", "1", "--batch-size", "8")
    view = stack.finished(stack.submit("mlp", *words))
    written = [path for path in stack.home.rglob("*") if path.name not in ("scheduler.log", "worker.log")]
    assert {"x_train.npy", "cnnctl.db", "trainer.log", "state.safetensors"} <= {path.name for path in written}
    assert Path(view["model"]) in written
    assert [str(path) for path in written if path.lstat().st_mode & 0o077] == []
    program = [sys.executable, "-m", "service.cli.main", "export", str(job), "--output"]
    mine = tmp_path / "mine.keras"
    subprocess.run([*program, mine], env=stack.environment, cwd=stack.home, umask=0o027, check=True)
    assert stat.S_IMODE(mine.stat().st_mode) == 0o640  # as the person wants it who asked for it
