"""What every dataset of the catalog owes; a new entry is held to it without a line here."""

import hashlib
import importlib
import inspect
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from models.build import build_model, logits_model
from models.catalog.lookup import DATASETS, Dataset
from models.catalog.network_config import NetworkConfig
from models.datasets.arrays import ImageArrays
from models.datasets.load import load_arrays
from models.errors import DatasetError
from models.losses import LossConfig, make_loss
from service.domain.spec_request import resolve_spec

IMAGES = 12
LEGEND = "training images, training labels, test images and test labels.\nDIGEST = "
every_dataset = pytest.mark.parametrize("dataset", DATASETS.values(), ids=list(DATASETS))
OFFLINE = [dataset for dataset in DATASETS.values() if dataset.offline]
DOWNLOADED = [dataset for dataset in DATASETS.values() if not dataset.offline]
offline = pytest.mark.parametrize("dataset", OFFLINE, ids=lambda dataset: dataset.name)
downloaded = pytest.mark.parametrize("dataset", DOWNLOADED, ids=lambda dataset: dataset.name)


def write_few(folder: Path, dataset: Dataset, *, shape: tuple[int, ...] | None = None) -> None:
    """Write the file that saves a download, with a few images of random pixels."""
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (IMAGES, *(shape or dataset.image_shape)), dtype=np.uint8)
    labels = (np.arange(IMAGES) % dataset.num_classes).astype(np.uint8)
    np.savez(folder / f"{dataset.name}.npz", x_train=images, y_train=labels, x_test=images, y_test=labels)


def load_some(dataset: Dataset, folder: Path) -> ImageArrays:
    if not dataset.offline:
        write_few(folder, dataset)
    return load_arrays(dataset.name, directory=folder)


@every_dataset
def test_its_images_have_the_form_that_training_takes(dataset: Dataset, tmp_path: Path) -> None:
    arrays = load_some(dataset, tmp_path)
    assert arrays.x_train.shape[1:] == arrays.x_test.shape[1:] == dataset.image_shape
    assert arrays.x_train.dtype == arrays.x_test.dtype == np.uint8
    assert arrays.y_train.dtype == arrays.y_test.dtype == np.int32
    assert arrays.y_train.shape == arrays.x_train.shape[:1]
    assert len(set(arrays.class_names)) == dataset.num_classes


@every_dataset
def test_a_network_learns_from_it(dataset: Dataset, tmp_path: Path) -> None:
    arrays = load_some(dataset, tmp_path)
    config = NetworkConfig(architecture="softmax", pool="none")
    shape, classes = dataset.image_shape, dataset.num_classes
    model = logits_model(build_model(config, input_shape=shape, num_classes=classes, seed=1))
    loss = make_loss(LossConfig())
    model.compile(keras.optimizers.SGD(1e-4), lambda y_B, logits_BK: loss(y_B, logits_BK))
    before = model.get_weights()
    assert np.isfinite(train_on(model, arrays))
    assert any(np.any(old != new) for old, new in zip(before, model.get_weights(), strict=True))


def train_on(model: Any, arrays: ImageArrays) -> float:
    x_BHWC, y_B = arrays.x_train[:IMAGES].astype(np.float32) / 255, arrays.y_train[:IMAGES]
    return float(model.train_on_batch(x_BHWC, y_B))


@every_dataset
def test_a_spec_takes_it_by_its_name(dataset: Dataset) -> None:
    spec = resolve_spec("softmax", {"data.dataset": dataset.name, "data.image_size": dataset.image_shape[0]})
    assert spec.data.dataset == dataset.name
    assert dataset.licence


@offline
def test_without_a_download_there_are_the_images_that_the_catalog_counts(dataset: Dataset) -> None:
    arrays = load_arrays(dataset.name, directory=None)
    assert (len(arrays.x_train), len(arrays.x_test)) == (dataset.train_images, dataset.test_images)
    assert set(arrays.y_train) == set(arrays.y_test) == set(range(dataset.num_classes))


@offline
def test_without_a_download_it_never_changes(dataset: Dataset) -> None:
    module = importlib.import_module(dataset.function.partition(":")[0])
    arrays = load_arrays(dataset.name, directory=None)
    parts = (arrays.x_train, arrays.y_train, arrays.x_test, arrays.y_test)
    digest = hashlib.sha256(b"".join(part.tobytes() for part in parts)).hexdigest()
    assert getattr(module, "DIGEST", None) == digest
    assert LEGEND in inspect.getsource(module)


@downloaded
def test_a_file_with_images_of_another_shape_is_refused_by_name(dataset: Dataset, tmp_path: Path) -> None:
    write_few(tmp_path, dataset, shape=(dataset.image_shape[0] + 1, *dataset.image_shape[1:]))
    with pytest.raises(DatasetError, match=f"{dataset.name}.npz: x_train must be"):
        load_arrays(dataset.name, directory=tmp_path)


@downloaded
def test_what_is_downloaded_is_compared_with_what_was_published(dataset: Dataset) -> None:
    """By Keras as it downloads, or else by the checksums of the catalog, of which there are four."""
    by_keras = "file_hash=" in inspect.getsource(getattr(keras.datasets, dataset.name).load_data)
    assert by_keras or len(dataset.idx_md5) == 4
