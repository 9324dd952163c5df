import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models.catalog.lookup import DATASETS, CatalogError
from models.datasets.arrays import ImageArrays
from models.datasets.load import load_arrays, load_dataset
from models.errors import DatasetError

Write = Callable[..., Path]


def make_arrays(**overrides: Any) -> dict[str, Any]:
    """Three training images and two test images in the form of Fashion-MNIST; None leaves an array out."""
    draw = np.random.default_rng(0)
    arrays = {
        "x_train": draw.integers(0, 256, (3, 28, 28), dtype=np.uint8),
        "y_train": np.array([0, 9, 1], dtype=np.uint8),
        "x_test": draw.integers(0, 256, (2, 28, 28), dtype=np.uint8),
        "y_test": np.array([4, 5], dtype=np.uint8),
        **overrides,
    }
    return {key: array for key, array in arrays.items() if array is not None}


def load_fashion(directory: Path, **overrides: Any) -> ImageArrays:
    np.savez(directory / "fashion_mnist.npz", **make_arrays(**overrides))
    return load_arrays("fashion_mnist", directory=directory)


def test_digits_use_the_whole_range_of_a_pixel() -> None:
    arrays = load_arrays("digits", directory=None)
    assert arrays.x_train.min() == 0
    assert arrays.x_train.max() == 255


def test_digits_are_those_of_scikit_learn_each_once_in_one_of_the_parts() -> None:
    bunch = pytest.importorskip("sklearn.datasets").load_digits()
    arrays = load_arrays("digits", directory=None)
    ours = np.concatenate([arrays.x_train, arrays.x_test]).reshape(-1, 64)
    labels = np.concatenate([arrays.y_train, arrays.y_test])
    theirs = np.rint(bunch.data * 255 / 16).astype(np.uint8)
    ours_sorted, theirs_sorted = (
        sorted(map(tuple, np.column_stack([images, target]).tolist()))
        for images, target in ((ours, labels), (theirs, bunch.target))
    )
    assert ours_sorted == theirs_sorted


def test_digits_are_split_class_by_class() -> None:
    arrays = load_arrays("digits", directory=None)
    total = np.bincount(arrays.y_train) + np.bincount(arrays.y_test)
    np.testing.assert_allclose(np.bincount(arrays.y_test), total * 360 / 1797, atol=1)


def test_synthetic_classes_can_be_told_apart() -> None:
    arrays = load_arrays("synthetic", directory=None)
    means = np.stack([arrays.x_train[arrays.y_train == label].mean(axis=0) for label in range(10)])
    distances = ((arrays.x_test[:, None] - means) ** 2).sum(axis=(2, 3, 4))
    assert (distances.argmin(axis=1) == arrays.y_test).mean() > 0.8


def test_offline_datasets_and_files_need_neither_tensorflow_nor_scikit_learn(tmp_path: Path) -> None:
    np.savez(tmp_path / "fashion_mnist.npz", **make_arrays())
    program = (
        "import pathlib, sys; from models.datasets.load import load_arrays, load_dataset\n"
        "for name in sys.argv[2:]:\n"
        "    load_arrays(name, directory=pathlib.Path(sys.argv[1]))\n"
        "sys.exit(any(name in sys.modules for name in ('tensorflow', 'keras', 'sklearn')))"
    )
    names = ["fashion_mnist", *(name for name, dataset in DATASETS.items() if dataset.offline)]
    words = [sys.executable, "-c", program, str(tmp_path), *names]
    assert subprocess.run(words, check=False).returncode == 0


def test_an_unknown_dataset_is_refused() -> None:
    with pytest.raises(CatalogError, match=r"Did you mean digits?"):
        load_arrays("digit", directory=None)


@pytest.mark.parametrize("channel_axis", [False, True])
def test_a_file_in_the_folder_is_read(tmp_path: Path, *, channel_axis: bool) -> None:
    given = make_arrays()
    shape = (-1, 28, 28, 1) if channel_axis else (-1, 28, 28)
    arrays = load_fashion(
        tmp_path, x_train=given["x_train"].reshape(shape), x_test=given["x_test"].reshape(shape)
    )
    np.testing.assert_array_equal(arrays.x_train[..., 0], given["x_train"])
    np.testing.assert_array_equal(arrays.y_test, [4, 5])
    assert arrays.y_test.dtype == np.int32
    assert arrays.class_names[0] == "T-shirt/top"


def test_labels_may_be_a_column_as_keras_stores_them(tmp_path: Path) -> None:
    arrays = load_fashion(tmp_path, y_train=np.array([[1], [2], [3]], dtype=np.int64))
    np.testing.assert_array_equal(arrays.y_train, [1, 2, 3])


def test_a_file_may_name_its_classes(tmp_path: Path) -> None:
    names = tuple(f"class {label}" for label in range(10))
    assert load_fashion(tmp_path, class_names=np.array(names)).class_names == names


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (
            {"x_test": None, "y_test": None},
            "x_test, y_test missing; expected x_train, .* Received: 2 arrays",
        ),
        (
            {"x_train": np.zeros((3, 28, 28), np.float32)},
            "x_train must be uint8 .* Received: float32 of shape",
        ),
        (
            {"x_train": np.zeros((3, 784), np.uint8)},
            r"shape \(N, 28, 28, 1\).* Received: uint8 of shape \(3, 784\)",
        ),
        ({"x_train": np.zeros((3, 32, 32, 3), np.uint8)}, r"Received: uint8 of shape \(3, 32, 32, 3\)"),
        (
            {"x_train": np.zeros((0, 28, 28), np.uint8)},
            r"N at least 1. Received: uint8 of shape \(0, 28, 28\)",
        ),
        (
            {"y_train": np.zeros(2, np.uint8)},
            r"3 integers, one label per image. Received: uint8 of shape \(2,\)",
        ),
        ({"y_test": np.zeros(2, np.float64)}, "y_test must be 2 integers.* Received: float64"),
        (
            {"y_train": np.eye(3, dtype=np.uint8)},
            r"y_train must be 3 integers.* Received: uint8 of shape \(3, 3\)",
        ),
        ({"y_train": np.array([0, 10, 1])}, "y_train must be from 0 to 9. Received: 1 others"),
        ({"y_test": np.array([-1, 1])}, "y_test must be from 0 to 9. Received: 1 others"),
        ({"y_test": np.array([{}, 1], dtype=object)}, "cannot be read; expected .* without pickled objects"),
        (
            {"class_names": np.array(["a", "b"])},
            r"class_names must be 10 strings. Received: <U1 of shape \(2,\)",
        ),
    ],
)
def test_a_file_that_does_not_hold_what_it_must_is_refused_by_name(
    tmp_path: Path, overrides: dict[str, Any], message: str
) -> None:
    with pytest.raises(DatasetError, match=message) as error_info:
        load_fashion(tmp_path, **overrides)
    assert str(tmp_path / "fashion_mnist.npz") in str(error_info.value)


@pytest.mark.parametrize("kept", [0.0, 0.1, 0.5, 0.95])
def test_a_truncated_file_is_refused(tmp_path: Path, kept: float) -> None:
    load_fashion(tmp_path)
    path = tmp_path / "fashion_mnist.npz"
    whole = path.read_bytes()
    path.write_bytes(whole[: int(kept * len(whole))])
    with pytest.raises(DatasetError, match=r"fashion_mnist.npz: it cannot be read"):
        load_arrays("fashion_mnist", directory=tmp_path)


@pytest.mark.parametrize("content", [b"not a zip archive at all", b"PK\x03\x04" + bytes(100)])
def test_a_file_of_another_kind_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "mnist.npz").write_bytes(content)
    with pytest.raises(DatasetError, match=r"mnist.npz: it cannot be read"):
        load_arrays("mnist", directory=tmp_path)


def test_a_damaged_array_is_refused(tmp_path: Path) -> None:
    load_fashion(tmp_path)
    path = tmp_path / "fashion_mnist.npz"
    damaged = bytearray(path.read_bytes())
    damaged[1000:1010] = bytes(255 - byte for byte in damaged[1000:1010])
    path.write_bytes(damaged)
    with pytest.raises(DatasetError, match=r"cannot be read.* Received: BadZipFile"):
        load_arrays("fashion_mnist", directory=tmp_path)


def test_a_single_array_under_the_name_of_an_archive_is_refused(tmp_path: Path) -> None:
    with (tmp_path / "mnist.npz").open("wb") as file:
        np.save(file, np.zeros(3))
    with pytest.raises(DatasetError, match=r"holds a single array; expected an .npz archive"):
        load_arrays("mnist", directory=tmp_path)


def test_a_pipe_under_the_name_of_an_archive_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "x.npz")
    with pytest.raises(DatasetError, match=r"x\.npz: it is no file"):
        load_dataset(f"npz:{tmp_path / 'x.npz'}", directory=None)


def test_a_failed_download_says_what_was_tried_and_what_to_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import keras

    def fail() -> None:
        raise Exception("URL fetch failure: no route to host")

    monkeypatch.setattr(keras.datasets.mnist, "load_data", fail)
    with pytest.raises(DatasetError, match=r"keras.datasets.mnist failed: URL fetch failure") as error_info:
        load_arrays("mnist", directory=tmp_path)
    assert f"no mnist.npz in {tmp_path}" in str(error_info.value)
    assert "Set CNNCTL_DATASETS_DIR to a folder with mnist.npz" in str(error_info.value)


def test_without_a_file_the_dataset_comes_from_keras(monkeypatch: pytest.MonkeyPatch) -> None:
    import keras

    x = np.zeros((2, 32, 32, 3), dtype=np.uint8)
    y = np.array([[3], [9]], dtype=np.uint8)
    monkeypatch.setattr(keras.datasets.cifar10, "load_data", lambda: ((x, y), (x, y)))
    arrays = load_arrays("cifar10", directory=None)
    np.testing.assert_array_equal(arrays.y_train, [3, 9])
    assert arrays.class_names[3] == "cat"
