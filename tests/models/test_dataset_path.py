"""Datasets by place: folders of images, and .npz files that the catalog does not know."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from models.datasets.arrays import ImageArrays
from models.datasets.files.folder import ImageFiles, index_folder, leave_out
from models.datasets.load import load_dataset
from models.errors import DatasetError


def fill(folder: Path, *, count: int) -> None:
    folder.mkdir(parents=True)
    for number in range(count):
        pixels = np.full((6, 6, 3), number, np.uint8)
        Image.fromarray(pixels).save(folder / f"{number:03d}.png")


@pytest.fixture
def pets(tmp_path: Path) -> Path:
    fill(tmp_path / "cats", count=10)
    fill(tmp_path / "dogs" / "small", count=7)
    (tmp_path / "dogs" / "notes.txt").write_text("not an image")
    return tmp_path


def labels(files: ImageFiles) -> tuple[list[int], list[int]]:
    return np.bincount(files.y_train).tolist(), np.bincount(files.y_test).tolist()


def test_one_folder_per_class_gives_every_fifth_image_to_the_test(pets: Path) -> None:
    files = index_folder(pets)
    assert files.class_names == ("cats", "dogs")
    assert labels(files) == ([8, 6], [2, 1])
    assert not {*files.train} & {*files.test}
    assert [path.stem for path in files.test] == ["002", "007", "002"]


def test_folders_train_and_test_are_the_split(tmp_path: Path) -> None:
    for part, count in (("train", 4), ("test", 2)):
        for name in ("a", "b"):
            fill(tmp_path / part / name, count=count)
    assert labels(index_folder(tmp_path)) == ([4, 4], [2, 2])


def test_a_split_file_says_what_is_what(pets: Path) -> None:
    rows = [
        "file,label,split",
        "cats/000.png,tabby,train",
        "cats/001.png,tabby,test",
        "dogs/small/000.png,terrier,train",
        "dogs/small/003.png,terrier,test",
    ]
    (pets / "split.csv").write_text("\n".join(rows))
    files = index_folder(pets)
    assert files.class_names == ("tabby", "terrier")
    assert labels(files) == ([1, 1], [1, 1])


def test_classes_that_are_mere_numbers_are_named_by_their_folders(pets: Path) -> None:
    rows = ["file,label,split", "dogs/small/000.png,1,train", "dogs/small/001.png,1,test"]
    rows += ["cats/000.png,0,train", "cats/001.png,0,test"]
    (pets / "split.csv").write_text("\n".join(rows))
    files = index_folder(pets)
    assert files.class_names == ("cats", "small")
    assert [files.class_names[k] for k in files.y_train] == [path.parent.name for path in files.train]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("file,label\na.png,b\n", "must have the columns file, label, split. Received: file, label"),
        (
            "file,label,split\ncats/000.png,a,valid\n",
            "line 2: split must be train or test. Received: 'valid'",
        ),
        ("file,label,split\ncats/999.png,a,train\n", "names 1 files that are not there"),
        ("file,label,split\ncats/000.png,a,train\ncats/001.png,a,test\n", "at least two classes"),
        (
            "file,label,split\ncats/000.png,a,train\ncats/001.png,a,test\ndogs/small/000.png,b,train\n",
            r"no test images for 1 of 2 classes \(b\)",
        ),
    ],
)
def test_a_split_file_that_cannot_be_trained_on_is_refused(pets: Path, text: str, message: str) -> None:
    (pets / "split.csv").write_text(text)
    with pytest.raises(DatasetError, match=message):
        index_folder(pets)


def test_folders_that_cannot_be_trained_on_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="There is no folder"):
        index_folder(tmp_path / "nowhere")
    with pytest.raises(DatasetError, match="holds no images"):
        index_folder(tmp_path)
    fill(tmp_path / "only", count=5)
    with pytest.raises(DatasetError, match=r"at least two classes are needed to tell apart. Received: only"):
        index_folder(tmp_path)
    fill(tmp_path / "single", count=1)
    with pytest.raises(DatasetError, match=r"no test images for 1 of 2 classes \(single\)"):
        index_folder(tmp_path)


def test_a_class_of_two_images_gives_one_to_each_part(tmp_path: Path) -> None:
    fill(tmp_path / "a", count=2)
    fill(tmp_path / "b", count=6)
    assert labels(index_folder(tmp_path)) == ([1, 5], [1, 1])


def test_broken_files_are_counted_and_named_and_a_class_without_others_refused(pets: Path) -> None:
    files = index_folder(pets)
    broken = {files.train[0]: "a.png cannot be read", files.test[0]: "b.png cannot be read"}
    left, note = leave_out(files, broken)
    assert labels(left) == ([7, 6], [1, 1])
    assert note.startswith("2 of 17 image files cannot be read and are left out: a.png")
    with pytest.raises(DatasetError, match=r"no test images for 1 of 2 classes .*left out: z.png"):
        leave_out(files, {files.test[2]: "z.png cannot be read"})


def arrays(**changes: Any) -> dict[str, Any]:
    random = np.random.default_rng(0)
    return {
        "x_train": random.integers(0, 256, (20, 8, 10, 3)).astype(np.uint8),
        "y_train": np.arange(20) % 4,
        "x_test": random.integers(0, 256, (8, 8, 10, 3)).astype(np.uint8),
        "y_test": np.arange(8) % 4,
        **changes,
    }


def write(folder: Path, **changes: Any) -> str:
    np.savez(folder / "own.npz", **arrays(**changes))
    return f"npz:{folder / 'own.npz'}"


def test_a_file_of_ones_own_is_read_and_cropped_to_squares(tmp_path: Path) -> None:
    read = load_dataset(write(tmp_path), directory=None)
    assert isinstance(read, ImageArrays)
    assert read.x_train.shape == (20, 8, 8, 3)
    np.testing.assert_array_equal(read.x_train, arrays()["x_train"][:, :, 1:9])
    assert read.class_names == ("0", "1", "2", "3")


def test_gray_images_may_lack_the_channel_axis(tmp_path: Path) -> None:
    gray = {key: arrays()[key][..., 0] for key in ("x_train", "x_test")}
    read = load_dataset(write(tmp_path, **gray), directory=None)
    assert isinstance(read, ImageArrays)
    assert read.x_train.shape == (20, 8, 8, 1)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"x_train": np.full((20, 8, 10, 3), np.nan)}, "x_train holds 4,800 values that are not a number"),
        ({"x_train": np.zeros((20, 8, 10, 3))}, "x_train must be uint8"),
        ({"x_train": np.zeros((20, 8, 10, 4), np.uint8)}, "with 1 or 3 channels"),
        ({"y_train": np.zeros(20, int), "y_test": np.zeros(8, int)}, "at least two classes"),
        ({"y_test": np.zeros(8, int)}, "y_test has no image of 3 of 4 classes, the first: 1"),
        ({"y_train": np.arange(20) % 4 - 1}, "y_train must be from 0 to 3. Received: -1"),
        ({"y_train": np.arange(20) / 4}, "must be integers"),
        (
            {
                "y_train": (np.arange(20) % 4).astype(np.uint8),
                "class_names": np.array([f"c{i}" for i in range(300)]),
            },
            "y_train is uint8, which cannot tell 300 classes apart but 256",
        ),
    ],
)
def test_a_file_that_cannot_be_trained_on_is_refused(tmp_path: Path, changes: Any, message: str) -> None:
    with pytest.raises(DatasetError, match=message):
        load_dataset(write(tmp_path, **changes), directory=None)
