"""Datasets by place: folders of images, and .npz files that the catalog does not know."""

import traceback
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from models.datasets.arrays import ImageArrays
from models.datasets.files.decode import read_image
from models.datasets.files.folder import index_folder
from models.datasets.files.image_files import ImageFiles, drop_broken
from models.datasets.load import load_dataset
from models.datasets.unpacked import load_unpacked
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
        ("file,label\na.png,b\n", "must begin with the columns file, label, split, separated by commas$"),
        (
            "file,label,split\ncats/000.png,a,other\n",
            "line 2: a row is a file, its label, and train, val or test. Look at the column split$",
        ),
        (
            "file,label,split\ncats/999.png,a,train\n",
            "names 1 files that are not there, the first in line 2$",
        ),
        ("file,label,split\ncats/000.png\n", "line 2: a row is a file"),
        ("file,label,split\n,a,train\n", "line 2: a row is a file"),
        (f"file,label,split\n{'x' * 300}/a.png,a,train\n", "names 1 files that are not there"),
        ("file,label,split\ncats/000.png,a,train\ncats/001.png,a,test\n", "at least two classes"),
        (
            "file,label,split\ncats/000.png,a,train\ncats/001.png,a,test\ndogs/small/000.png,b,train\n",
            r"no test images for 1 of 2 classes \(that of .*dogs/small/000.png\)",
        ),
    ],
)
def test_a_split_file_that_cannot_be_trained_on_is_refused(pets: Path, text: str, message: str) -> None:
    (pets / "split.csv").write_text(text)
    with pytest.raises(DatasetError, match=message):
        index_folder(pets)


@pytest.mark.parametrize(
    "name", ["/etc/hostname", "../elsewhere.png", "cats/../../elsewhere.png", "link.png"]
)
def test_an_entry_that_leaves_the_folder_is_refused_whether_it_exists_or_not(
    tmp_path: Path, name: str
) -> None:
    root = tmp_path / "pets"
    fill(root / "cats", count=4)
    (root / "link.png").symlink_to(tmp_path / "elsewhere.png")
    (root / "split.csv").write_text(f"file,label,split\ncats/000.png,a,train\n{name},b,train\n")
    for _ in range(2):
        with pytest.raises(
            DatasetError, match=r"line 3: the file does not lie below .*/pets after symbolic links"
        ) as caught:
            index_folder(root)
        assert name not in str(caught.value)
        fill_one(tmp_path / "elsewhere.png")


def fill_one(path: Path) -> None:
    Image.fromarray(np.zeros((6, 6, 3), np.uint8)).save(path)


def test_an_entry_may_be_absolute_or_a_link_as_long_as_it_stays(pets: Path) -> None:
    (pets / "link.png").symlink_to(pets / "cats" / "000.png")
    rows = ["link.png,a,train", f"{pets}/cats/001.png,a,test", "cats/../dogs/small/000.png,b,train"]
    (pets / "split.csv").write_text("\n".join(["file,label,split", *rows, "dogs/small/001.png,b,test"]))
    assert labels(index_folder(pets)) == ([1, 1], [1, 1])
    link = pets.with_name("link-to-pets")
    link.symlink_to(pets)
    assert labels(index_folder(link)) == ([1, 1], [1, 1])


SECRET = "root:$6$salt$hash,word,other"


@pytest.mark.parametrize(
    "begin", [SECRET, f"file,label,split\n{SECRET}", f"\xff{SECRET}", f"file,label,split\n\xff{SECRET}"]
)
def test_a_split_file_that_is_a_link_to_somewhere_else_is_not_opened(pets: Path, begin: str) -> None:
    secret = pets.parent / "secret"
    secret.write_bytes(begin.encode("latin1"))
    (pets / "split.csv").symlink_to(secret)
    with pytest.raises(DatasetError, match=r"split.csv does not lie below") as caught:
        index_folder(pets)
    assert_says_nothing(caught.value)
    (pets / "split.csv").unlink()
    (pets / "split.csv").write_bytes(begin.encode("latin1"))  # of its owner alone, and read by the service
    with pytest.raises(DatasetError, match=r"split.csv") as caught:
        index_folder(pets)
    assert_says_nothing(caught.value)


def assert_says_nothing(error: BaseException) -> None:
    """A trainer's log shows the chain of errors, too."""
    said = "".join(traceback.format_exception(error))
    assert not [word for word in ("salt", "word", "other", "0xff") if word in said], said


@pytest.mark.parametrize("exists", [True, False])
def test_what_links_to_somewhere_else_is_never_read_and_never_said_to_be_there(
    tmp_path: Path, *, exists: bool
) -> None:
    root, private = tmp_path / "pets", tmp_path / "private"
    if exists:
        fill(private, count=4)
    fill(root / "cats", count=4)
    fill(root / "mice", count=4)
    (root / "dogs").symlink_to(private)
    with pytest.raises(DatasetError, match=r"dogs is a link .* does not lie below .*/pets after") as caught:
        index_folder(root)
    assert str(caught.value).startswith(f"{root}/dogs is a link that leads out of the folder or nowhere")
    (root / "dogs").unlink()
    (root / "mice" / "more").symlink_to(private)
    (root / "mice" / "x.png").symlink_to(private / "000.png")
    files = index_folder(root)
    assert labels(files) == ([3, 3], [1, 1])
    assert list(files.left_out) == [
        f"mice/{name} is a link that leads out of the folder or nowhere" for name in ("more", "x.png")
    ]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.ppm", b"P6 salt"),
        ("a.ppm", b"P6\n12345678901234\n"),
        ("a.png", b"\x89PNG\r\n\x1a\nsalt word"),
        ("a.gif", b"GIF89asalt"),
        ("a.txt", b"salt"),
    ],
)
def test_an_image_that_cannot_be_read_is_not_quoted(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DatasetError, match=f"{name} cannot be read as an image: .") as caught:
        read_image(tmp_path / name, channels=3)
    said = "".join(traceback.format_exception(caught.value))
    assert "salt" not in said
    assert "1234567890" not in said


def test_an_npz_file_that_cannot_be_read_is_not_quoted(tmp_path: Path) -> None:
    path = tmp_path / "own.npz"
    header = b"{'salt': 'word', "
    path.write_bytes(b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header)
    with pytest.raises(DatasetError, match=r"own.npz: it cannot be read") as caught:
        load_dataset(f"npz:{path}", directory=None)
    assert_says_nothing(caught.value)
    np.savez(path, salt=np.zeros(1), word=np.zeros(1))
    with pytest.raises(DatasetError, match=r"Received: 2 arrays") as caught:
        load_dataset(f"npz:{path}", directory=None)
    assert_says_nothing(caught.value)
    records = np.zeros(20, [("salt", "i4"), ("word", "i4")])
    with pytest.raises(DatasetError, match=r"Received: records of shape") as caught:
        load_dataset(write(tmp_path, y_train=records), directory=None)
    assert_says_nothing(caught.value)


def test_a_place_has_to_lie_in_a_root_after_symbolic_links_if_there_are_any(
    pets: Path, tmp_path: Path
) -> None:
    load = partial(load_unpacked, directory=None, folder=tmp_path / "kept")
    assert load(f"folder:{pets}", roots=[]) is not None
    for root in (pets, pets.parent):
        assert load(f"folder:{pets}", roots=[Path("/nowhere"), root]) is not None
    allowed = tmp_path.with_name(f"{tmp_path.name}-allowed")
    allowed.mkdir()
    (allowed / "link").symlink_to(pets)
    for place in (
        pets,
        allowed / "link",
        allowed / ".." / tmp_path.name,
        tmp_path.with_name(f"{tmp_path.name}-other"),
    ):
        with pytest.raises(DatasetError, match=r"does not lie below .*-allowed .*CNNCTL_DATA_ROOTS"):
            load(f"folder:{place}", roots=[allowed])
    link = tmp_path.with_name(f"{tmp_path.name}-link-to-allowed")
    link.symlink_to(pets)
    assert load(f"folder:{pets}/", roots=[link]) is not None
    assert load("digits", roots=[allowed]) is not None


def test_folders_that_cannot_be_trained_on_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"There is no folder"):
        index_folder(tmp_path / "nowhere")
    with pytest.raises(DatasetError, match=r"holds no images"):
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
    left, note = drop_broken(files, broken)
    assert labels(left) == ([7, 6], [1, 1])
    assert note.startswith("2 of 17 image files cannot be read and are left out: a.png")
    with pytest.raises(DatasetError, match=r"no test images for 1 of 2 classes .*left out: z.png"):
        drop_broken(files, {files.test[2]: "z.png cannot be read"})


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


def test_labels_may_be_of_different_integer_types(tmp_path: Path) -> None:
    y = {"y_train": (np.arange(20) % 4).astype(np.int64), "y_test": (np.arange(8) % 4).astype(np.uint64)}
    read = load_dataset(write(tmp_path, **y), directory=None)
    assert isinstance(read, ImageArrays)
    assert read.y_train.dtype == read.y_test.dtype == np.int32
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
        ({"y_test": np.zeros(8, int)}, "y_test has no image of 3 of 4 classes, the first: label 1"),
        ({"y_train": np.arange(20) % 4 - 1}, "y_train must be from 0 to 3. Received: 5 others"),
        ({"y_train": np.arange(20) / 4}, "must be integers"),
        (
            {"y_train": np.arange(20) % 4 * 10**8 + 12_345_678, "y_test": np.arange(8) % 4 * 10**8},
            "labels must be classes counted from 0, .* at most 19, for 20 labels in y_train and 8 in y_test",
        ),
        ({"y_test": np.full(8, 2**64 - 1, np.uint64)}, "labels must be classes counted from 0"),
        ({"x_test": np.uint8(3)}, r"x_test must be uint8 of shape .* Received: uint8 of shape \(\)"),
        ({"x_train": np.uint8(3)}, r"x_train must be of shape .* Received: uint8 of shape \(\)"),
        ({"y_test": np.int32(3)}, "y_test must be 8 integers"),
        ({"class_names": np.array("cats and dogs")}, "class_names must be an array of one string a class"),
        ({"class_names": np.zeros((2, 2))}, "class_names must be an array of one string a class"),
        ({"class_names": np.arange(4)}, "class_names must be 4 strings"),
        ({"x_train": np.zeros((20, 8, 0, 3), np.uint8)}, "H and W at least 1"),
        ({"x_train": np.zeros((20, 0, 8, 3), np.uint8)}, "H and W at least 1"),
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
