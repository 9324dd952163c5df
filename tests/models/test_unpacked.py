"""Datasets that are unpacked once and mapped from then on."""

import os
from pathlib import Path

import numpy as np
import pytest

from models.datasets.arrays import ImageArrays
from models.datasets.unpacked import load_unpacked


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return write(tmp_path / "images.npz", gray=1)


def write(path: Path, *, gray: int) -> Path:
    x_NHW = np.full((20, 8, 8), gray, np.uint8)
    y_N = np.arange(20) % 2
    np.savez_compressed(
        path, x_train=x_NHW, y_train=y_N, x_test=x_NHW, y_test=y_N, class_names=np.array(["left", "right"])
    )
    return path


def load(source: Path, *, reserve_percent: float = 0.0) -> ImageArrays:
    kept = source.parent / "kept"
    found = load_unpacked(f"npz:{source}", directory=None, folder=kept, reserve_percent=reserve_percent)
    assert isinstance(found, ImageArrays)
    return found


def is_mapped(arrays: ImageArrays) -> bool:
    return isinstance(arrays.x_train, np.memmap)


def test_the_second_run_maps_what_the_first_has_unpacked(source: Path) -> None:
    first, second = load(source), load(source)
    assert (is_mapped(first), is_mapped(second)) == (False, True)
    for name in ("x_train", "y_train", "x_test", "y_test"):
        np.testing.assert_array_equal(getattr(first, name), getattr(second, name))
    assert second.class_names == first.class_names == ("left", "right")


def test_nothing_is_kept_where_it_would_take_from_the_reserve_of_the_disk(source: Path) -> None:
    for _ in range(2):
        assert not is_mapped(load(source, reserve_percent=100))
    assert list((source.parent / "kept").iterdir()) == []


def test_a_file_that_has_changed_is_unpacked_anew(source: Path) -> None:
    load(source)
    write(source, gray=7)
    os.utime(source, ns=(1, 1))
    before = load(source)
    write(source, gray=7)
    os.utime(source, ns=(2, 2))
    changed = load(source)
    assert not is_mapped(changed)
    assert (before.x_train.max(), changed.x_train.max()) == (7, 7)
    assert len(list((source.parent / "kept").iterdir())) == 1  # of the newest version


def test_a_copy_that_is_used_is_touched(source: Path) -> None:
    load(source)
    (copy,) = (source.parent / "kept").iterdir()
    os.utime(copy, (0, 0))
    load(source)
    assert copy.stat().st_mtime > 0


def test_a_damaged_copy_is_unpacked_anew(source: Path) -> None:
    load(source)
    (copy,) = (source.parent / "kept").glob("*/x_train.npy")
    copy.write_bytes(copy.read_bytes()[:-10])
    assert not is_mapped(load(source))
    assert is_mapped(load(source))


def test_where_nothing_can_be_kept_the_images_are_there_all_the_same(source: Path) -> None:
    (source.parent / "kept").write_text("a file where the folder should be")
    assert load(source).x_train.max() == 1
