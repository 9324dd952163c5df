"""Folders as people have them: parts by their names, what file servers leave behind, links, tables."""

import ctypes
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from models.datasets.files.folder import index_folder
from models.datasets.files.image_files import ImageFiles
from models.datasets.summary import summarize
from models.errors import DatasetError


def fill(folder: Path, *, count: int = 10, seed: int = 0) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        pixels = np.random.default_rng(1000 * seed + number).integers(0, 255, (6, 6, 3))
        Image.fromarray(pixels.astype(np.uint8)).save(folder / f"{number:03d}.png")
    return folder


def classes(root: Path, *names: str, count: int = 10) -> Path:
    for number, name in enumerate(names):
        fill(root / name, count=count, seed=number)
    return root


def counts(files: ImageFiles) -> tuple[list[int], list[int], list[int]]:
    size = len(files.class_names)
    train, validation, test = (
        np.bincount(y, minlength=size).tolist() for y in (files.y_train, files.y_validation, files.y_test)
    )
    return train, validation, test


def names(files: ImageFiles) -> list[str]:
    return ["/".join(path.parts[-2:]) for path in [*files.train, *files.test]]


@pytest.mark.parametrize("train", ["train", "Train", "TRAINING", "training_set", "train2017", "img_train"])
@pytest.mark.parametrize(
    "other", ["val", "Valid", "validation", "test", "testing", "test_set", "val-images", "CarsTest"]
)
def test_two_parts_are_known_by_their_names_and_the_second_is_the_test(
    tmp_path: Path, train: str, other: str
) -> None:
    classes(tmp_path / train, "cat", "dog", count=3)
    classes(tmp_path / other, "cat", "dog", count=2)
    files = index_folder(tmp_path)
    assert files.class_names == ("cat", "dog")
    assert counts(files) == ([3, 3], [0, 0], [2, 2])
    assert files.sources["train"] == f"folder {train}"
    assert files.sources["test"].startswith(f"folder {other}")


def test_of_three_parts_that_for_the_validation_is_kept_apart(tmp_path: Path) -> None:
    for part, count in (("train", 3), ("valid", 2), ("test", 1)):
        classes(tmp_path / part, "cat", "dog", count=count)
    fill(tmp_path / "drawings", count=1)
    files = index_folder(tmp_path)
    assert counts(files) == ([3, 3], [2, 2], [1, 1])
    assert list(files.left_out) == ["drawings is no part of the dataset by its name"]


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        (("train", "val", "valid"), "several of them are one part"),
        (("train", "Training"), "several of them are one part"),
        (("val", "test"), "none is to train on"),
        (("train", "eval"), "eval looks like a part"),
        (("train", "test", "holdout"), "holdout looks like a part"),
        (("train",), "no other part"),
        (("train", "masks"), "masks looks like a part"),
        (("test", "masks"), "masks looks like a part"),
        (("train_val", "test"), "train_val looks like a part"),
        (("train", "test", "train_small"), "several of them are one part"),
        (("seg_train",), "no other part"),
    ],
)
def test_parts_that_cannot_be_told_apart_are_refused_in_words(
    tmp_path: Path, parts: tuple[str, ...], message: str
) -> None:
    for part in parts:
        classes(tmp_path / part, "cat", "dog", count=4)
    with pytest.raises(DatasetError, match=message) as caught:
        index_folder(tmp_path)
    assert "Expected: train beside val, test or both" in str(caught.value)


@pytest.mark.parametrize("train", ["train", "seg_train"])
@pytest.mark.parametrize("other", ["unlabelled", "predict", "boat"])
def test_a_part_with_classes_is_no_class_beside_a_folder_of_images(
    tmp_path: Path, train: str, other: str
) -> None:
    classes(tmp_path / train, "cat", "dog", count=4)
    fill(tmp_path / other)
    with pytest.raises(DatasetError, match=f"{train}.*: there is no other part"):
        index_folder(tmp_path)


def test_parts_that_hold_no_classes_are_no_classes(tmp_path: Path) -> None:
    classes(tmp_path, "cars_train", "cars_test", count=4)
    with pytest.raises(DatasetError, match="holds no images: expected one folder per class"):
        index_folder(tmp_path)


def test_a_class_may_have_the_word_for_a_part_in_its_name(tmp_path: Path) -> None:
    classes(tmp_path, "flask", "test_tube", "train_station", count=5)
    assert index_folder(tmp_path).class_names == ("flask", "test_tube", "train_station")


def test_what_is_beside_train_and_test_with_their_classes_is_named(tmp_path: Path) -> None:
    for part in ("train", "test", "masks"):
        classes(tmp_path / part, "cat", "dog", count=2)
    files = index_folder(tmp_path)
    assert counts(files) == ([2, 2], [0, 0], [2, 2])
    assert list(files.left_out) == ["masks is no part of the dataset by its name"]


def test_classes_may_be_numbered_tests(tmp_path: Path) -> None:
    classes(tmp_path, "test1", "test2", "train1", count=5)
    assert index_folder(tmp_path).class_names == ("test1", "test2", "train1")


def test_a_folder_of_links_to_elsewhere_is_told_what_to_do(tmp_path: Path) -> None:
    classes(tmp_path / "archive", "cat", "dog", count=4)
    for name in ("cat", "dog"):
        (tmp_path / "pets" / name).mkdir(parents=True)
        for path in (tmp_path / "archive" / name).iterdir():
            (tmp_path / "pets" / name / path.name).symlink_to(path)
    with pytest.raises(DatasetError, match=r"Left out: cat/.* Copy there what the links name, or submit the"):
        index_folder(tmp_path / "pets")


def test_a_class_may_be_called_train(tmp_path: Path) -> None:
    classes(tmp_path, "boat", "train", count=4)
    assert index_folder(tmp_path).class_names == ("boat", "train")
    fill(tmp_path / "train" / "steam", count=2)
    fill(tmp_path / "boat" / "sail", count=2)
    assert counts(index_folder(tmp_path)) == ([5, 5], [0, 0], [1, 1])


def test_parts_within_each_class_are_refused(tmp_path: Path) -> None:
    for name in ("cat", "dog"):
        classes(tmp_path / name, "train", "test", count=4)
    fill(tmp_path / "bird")
    fill(tmp_path / "fox" / "train")
    with pytest.raises(DatasetError, match=r"cat in .* has folders of its own to train on and to test"):
        index_folder(tmp_path)


def test_a_file_is_said_to_be_no_folder(tmp_path: Path) -> None:
    (tmp_path / "pets.npz").write_bytes(b"")
    with pytest.raises(DatasetError, match=r"pets.npz is a file and no folder. .* npz:PATH"):
        index_folder(tmp_path / "pets.npz")


@pytest.mark.parametrize("name", [".ipynb_checkpoints", "@eaDir", "__MACOSX", "#recycle", "$RECYCLE.BIN"])
def test_hidden_and_system_folders_are_no_data_at_any_depth(tmp_path: Path, name: str) -> None:
    classes(tmp_path, "cat", "dog", count=7)
    plain = names(index_folder(tmp_path))
    fill(tmp_path / name)
    fill(tmp_path / "cat" / name)
    fill(tmp_path / "cat" / name / "more")
    (tmp_path / "dog" / "Thumbs.db").write_bytes(b"")
    (tmp_path / "dog" / "._000.png").write_bytes(b"")
    files = index_folder(tmp_path)
    assert files.class_names == ("cat", "dog")
    assert names(files) == plain
    assert not files.left_out


def test_parts_have_no_hidden_classes(tmp_path: Path) -> None:
    for part in ("train", "test", ".cache"):
        classes(tmp_path / part, "cat", "dog", ".ipynb_checkpoints", count=2)
    assert counts(index_folder(tmp_path)) == ([2, 2], [0, 0], [2, 2])


def test_what_is_no_image_and_what_lies_beside_classes_is_counted_and_named(tmp_path: Path) -> None:
    classes(tmp_path, "cat", "dog", count=5)
    fill(tmp_path, count=1)
    (tmp_path / "empty").mkdir()
    (tmp_path / "cat" / "a.heic").write_bytes(b"")
    (tmp_path / "cat" / "b.HEIC").write_bytes(b"")
    (tmp_path / "dog" / "notes").write_bytes(b"")
    os.mkfifo(tmp_path / "dog" / "pipe.png")  # whose opening would never end
    (tmp_path / "dog" / "link.png").symlink_to("pipe.png")
    assert list(index_folder(tmp_path).left_out) == [
        "3 files that are no images (.heic, without a suffix)",
        "000.png lies in no class's folder",
        "dog/pipe.png is no file",
        "dog/link.png is no file",
        "empty holds no images",
    ]
    assert "; 7 left out: 3 files that are no images (" in summarize(index_folder(tmp_path))
    (tmp_path / "cat" / "a.heic").unlink()
    (tmp_path / "dog" / "notes").unlink()
    assert "1 file that is no image (.heic)" in summarize(index_folder(tmp_path))


def test_a_dangling_link_is_left_out_and_named(tmp_path: Path) -> None:
    classes(tmp_path, "cat", "dog")
    (tmp_path / "cat" / "zz.png").symlink_to("/nowhere")
    (tmp_path / "dog" / "zz.png").symlink_to(tmp_path / "nowhere")
    files = index_folder(tmp_path)
    assert files.count == 20
    assert [reason.split()[0] for reason in files.left_out] == ["cat/zz.png", "dog/zz.png"]


def test_a_linked_folder_inside_a_class_is_read_where_it_stays_below_the_folder(tmp_path: Path) -> None:
    classes(tmp_path, "cat", "dog")
    fill(tmp_path / ".store" / "more", count=5, seed=7)
    (tmp_path / "cat" / "more").symlink_to(tmp_path / ".store" / "more")
    files = index_folder(tmp_path)
    assert counts(files) == ([12, 8], [0, 0], [3, 2])
    assert not files.left_out


def test_links_that_lead_back_are_named_and_end(tmp_path: Path) -> None:
    classes(tmp_path, "cat", "dog")
    (tmp_path / "cat" / "again").symlink_to(tmp_path / "cat")
    (tmp_path / "cat" / "zz.png").symlink_to("000.png")
    files = index_folder(tmp_path)
    assert files.count == 20
    assert list(files.left_out) == [
        "cat/again is a link to a folder that is read already",
        "cat/zz.png is a link to a file that is read already",
    ]


@pytest.mark.parametrize("link", ["cat/more", "puma"])
def test_links_that_put_an_image_into_two_classes_are_refused(tmp_path: Path, link: str) -> None:
    classes(tmp_path, "cat", "dog")
    (tmp_path / link).symlink_to(tmp_path / "dog")
    with pytest.raises(DatasetError, match=r"are one file, in two classes or parts"):
        index_folder(tmp_path)


def test_a_linked_class_is_read(tmp_path: Path) -> None:
    classes(tmp_path, "cat", ".dog")
    (tmp_path / "dog").symlink_to(".dog")
    assert counts(index_folder(tmp_path)) == ([8, 8], [0, 0], [2, 2])


@contextmanager
def as_nobody() -> Iterator[None]:
    """Open files without the rights of root, which may read everything."""
    libc = ctypes.CDLL(None)
    libc.setfsuid(65534)
    try:
        yield
    finally:
        libc.setfsuid(os.getuid())


def test_an_unreadable_class_is_refused_and_an_unreadable_corner_named() -> None:
    with tempfile.TemporaryDirectory() as name:
        root = classes(Path(name), "cat", "dog")
        for folder in (root, root / "cat", root / "dog"):
            folder.chmod(0o755)  # whatever the umask
        hidden = fill(root / "dog" / "private")
        hidden.chmod(0)
        with as_nobody():
            assert list(index_folder(root).left_out) == ["dog/private cannot be read: Permission denied"]
        hidden.chmod(0o755)
        (root / "dog").chmod(0)
        with as_nobody(), pytest.raises(DatasetError, match=r"dog cannot be read: Permission denied"):
            index_folder(root)
        (root / "dog").chmod(0o755)


def test_suffixes_of_jpeg_and_avif_are_known(tmp_path: Path) -> None:
    for name in ("cat", "dog"):
        (tmp_path / name).mkdir()
        for suffix in ("jfif", "jpe", "avif", "JPG"):
            Image.new("RGB", (6, 6)).save(tmp_path / name / f"a.{suffix}")
    assert index_folder(tmp_path).count == 8


HEAD = "file,label,split\n"
ROWS = [
    f"{name}/{number:03d}.png,{name},{'test' if number % 5 == 0 else 'train'}"
    for name in ("cat", "dog")
    for number in range(10)
]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_table_is_read_in_every_encoding_that_says_what_it_is(tmp_path: Path, encoding: str) -> None:
    classes(tmp_path, "cat", "dog")
    (tmp_path / "split.csv").write_text(
        HEAD + "\n".join(ROWS).replace(",cat,", ",kätzchen,"), encoding=encoding
    )
    files = index_folder(tmp_path)
    assert files.class_names == ("dog", "kätzchen")
    assert counts(files) == ([8, 8], [0, 0], [2, 2])


def test_a_table_may_have_rows_for_the_validation(tmp_path: Path) -> None:
    classes(tmp_path, "cat", "dog")
    rows = [row.replace("9.png,cat,train", "9.png,cat,valid") for row in ROWS]
    (tmp_path / "split.csv").write_text(HEAD + "\n".join(rows))
    assert counts(index_folder(tmp_path)) == ([7, 8], [1, 0], [2, 2])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("cat/000.png,caf\xe9,train\n".encode("cp1252"), r"line 2, byte 16: not UTF-8"),
        (b"cat/000.png,cat,train\ncat/001.png\n", "line 3: .* Look at the column label"),
        (b"cat/000.png,cat\n", "line 2: .* Look at the column split"),
        (b"cat/000.png,,train\n", "line 2: .* Look at the column label"),
        (b"cat/000, 1.png,cat,train\n", "line 2: more fields than the first line has columns"),
        (b"cat/000.png,cat,train\n" + b"x" * 200_000 + b",cat,train\n", "line 3: no row of a CSV file"),
        (b"cat/000.png,cat,train\ncat/0\x0000.png,cat,train\n", "line 3: a zero, which no text has"),
        (b"cat/000.png,cat,train\ncat/000.png,cat,test\n", "line 3: the file of line 2 again, as train and"),
        (b"cat/000.png,cat,train\ncat/000.png,dog,train\n", "line 3: the file of line 2 again, with two"),
        (b"cat/000.png,cat,train\ndog/../cat/000.png,cat,test\n", "line 3: the file of line 2 again"),
    ],
)
def test_a_table_that_is_not_what_it_must_be_is_refused_by_its_line(
    tmp_path: Path, content: bytes, message: str
) -> None:
    classes(tmp_path, "cat", "dog")
    (tmp_path / "split.csv").write_bytes(HEAD.encode() + content)
    with pytest.raises(DatasetError, match=f"split.csv, {message}"):
        index_folder(tmp_path)


def test_a_table_with_semicolons_is_told_what_is_read(tmp_path: Path) -> None:
    classes(tmp_path, "cat", "dog")
    (tmp_path / "split.csv").write_text("\n".join([HEAD.strip(), *ROWS]).replace(",", ";"))
    with pytest.raises(DatasetError, match=r"columns file, label, split, separated by commas"):
        index_folder(tmp_path)


@pytest.mark.parametrize("head", ["path,label", "file,label", "Label,Filename", "id,path,class"])
def test_pairs_in_a_table_a_part_are_read(tmp_path: Path, head: str) -> None:
    classes(tmp_path, "cat", "dog")
    for part, word in (("train", "train"), ("test", "test")):
        rows = []
        for row in ROWS:
            file, label, split = row.split(",")
            fields = {"id": "7", "path": file, "file": file, "Filename": file, "label": label, "Label": label}
            if split == word:
                rows.append(",".join({**fields, "class": label}[column] for column in head.split(",")))
        (tmp_path / f"{part}.csv").write_text("\n".join([head, *rows]))
    files = index_folder(tmp_path)
    assert counts(files) == ([8, 8], [0, 0], [2, 2])
    assert files.sources == {"train": "train.csv", "test": "test.csv"}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-be", "utf-16-le"])
def test_pairs_are_read_in_every_encoding_that_says_what_it_is(tmp_path: Path, encoding: str) -> None:
    write_pairs(tmp_path, "path,label", encoding=encoding, mark=encoding in ("utf-16-be", "utf-16-le"))
    files = index_folder(tmp_path)
    assert files.sources == {"train": "train.csv", "test": "test.csv"}
    assert counts(files) == ([8, 8], [0, 0], [2, 2])


@pytest.mark.parametrize(
    ("head", "encoding", "message"),
    [
        ("path;label", "utf-8", "must begin with the columns file, label, separated by commas"),
        ("path\tlabel", "utf-8", "must begin with the columns file, label, separated by commas"),
        ("path,label,gr\xf6\xdfe", "cp1252", "line 1, byte 14: not UTF-8. Save the table as UTF-8"),
        ("path,label", "utf-16-le", "line 1: a zero, which no text has. Save the table as UTF-8"),
        ("path,label", "utf-16-be", "line 1: a zero, which no text has. Save the table as UTF-8"),
    ],
)
def test_pairs_that_cannot_be_read_are_refused_and_not_ignored(
    tmp_path: Path, head: str, encoding: str, message: str
) -> None:
    write_pairs(tmp_path, head, encoding=encoding)
    with pytest.raises(DatasetError, match=rf"test.csv,? {message}"):
        index_folder(tmp_path)


def write_pairs(root: Path, head: str, *, encoding: str, mark: bool = False) -> None:
    """Class folders with a train.csv and a test.csv beside them."""
    classes(root, "cat", "dog")
    separator = ";" if ";" in head else "\t" if "\t" in head else ","
    for part in ("train", "test"):
        rows = [separator.join(row.split(",")[:2]) for row in ROWS if row.endswith(part)]
        text = "\ufeff" * mark + "\n".join([head, *rows])
        (root / f"{part}.csv").write_bytes(text.encode(encoding))


def test_spaces_around_a_field_are_no_part_of_it(tmp_path: Path) -> None:
    classes(tmp_path, "cat", "dog")
    (tmp_path / "split.csv").write_text(HEAD + "\n".join(ROWS[:10] + [r.replace(",", " , ") for r in ROWS]))
    assert index_folder(tmp_path).class_names == ("cat", "dog")


def test_a_file_in_two_tables_is_refused(tmp_path: Path) -> None:
    classes(tmp_path, "cat", "dog")
    (tmp_path / "train.csv").write_text("path,label\ncat/000.png,cat\n")
    (tmp_path / "test.csv").write_text("path,label\ncat/001.png,cat\ncat/000.png,cat\n")
    with pytest.raises(
        DatasetError, match=r"train.csv, line 2: the file of .*/test.csv, line 3, again, as t"
    ):
        index_folder(tmp_path)


def test_other_tables_beside_class_folders_are_none_of_ours(tmp_path: Path) -> None:
    classes(tmp_path, "cat", "dog")
    for part in ("train", "test"):
        (tmp_path / f"{part}.csv").write_text("id,pixel0,pixel1\n1,2,3\n")
    files = index_folder(tmp_path)
    assert counts(files) == ([8, 8], [0, 0], [2, 2])
    assert list(files.left_out) == ["2 files that are no images (.csv)"]


def test_every_class_of_two_images_keeps_one_to_train_on(tmp_path: Path) -> None:
    classes(tmp_path, *(f"c{number}" for number in range(10)), count=2)
    files = index_folder(tmp_path)
    assert counts(files) == ([1] * 10, [0] * 10, [1] * 10)
    assert [path.parent.name for path in files.test] == list(files.class_names)


@pytest.mark.parametrize(
    ("folders", "said"),
    [
        (
            ("cat", "dog"),
            "20 images in 2 classes (cat, dog), 16 to train on, 4 to test (every 5th of a class)",
        ),
        (
            ("train/a", "train/b", "train/c", "Val/a", "Val/b", "Val/c"),
            "60 images in 3 classes (a … c), 30",
        ),
        (("train/a", "train/b", "val/a", "val/b"), "20 to test (folder val, since there is no part to test)"),
        (("cat", "dog", "none"), "; 1 left out: none holds no images"),
    ],
)
def test_what_is_found_is_said_in_one_line(tmp_path: Path, folders: tuple[str, ...], said: str) -> None:
    for number, folder in enumerate(folders):
        fill(tmp_path / folder, count=0 if folder == "none" else 10, seed=number)
    line = summarize(index_folder(tmp_path))
    assert said in line
    assert "\n" not in line


def test_images_that_no_row_names_are_counted(tmp_path: Path) -> None:
    classes(tmp_path, "cat", "dog")
    (tmp_path / "again").symlink_to("cat")  # to images that are named
    (tmp_path / "split.csv").write_text(HEAD + "\n".join(ROWS[:7] + ROWS[10:15]))
    assert summarize(index_folder(tmp_path)).endswith("; 8 left out: 8 images that no row names")
    (tmp_path / "split.csv").write_text(HEAD + "\n".join(ROWS))
    assert "left out" not in summarize(index_folder(tmp_path))


def test_what_is_found_in_a_table_names_no_class_and_single_images_are_named(tmp_path: Path) -> None:
    classes(tmp_path, "cat", "dog", count=3)
    rows = [
        "cat/000.png,salt,train",
        "cat/001.png,salt,test",
        "dog/000.png,word,train",
        "dog/001.png,word,test",
    ]
    (tmp_path / "split.csv").write_text(HEAD + "\n".join([*rows, "dog/002.png,word,train"]))
    assert summarize(index_folder(tmp_path)) == (
        "5 images in 2 classes, 3 to train on (split.csv), 2 to test; of one image to train on, none can "
        f"validate: that of {tmp_path}/cat/000.png; 1 left out: 1 image that no row names"
    )
