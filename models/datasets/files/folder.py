"""Finds the images of a folder: one folder per class, parts of such folders, or tables that say what is what.

PATH/CLASS/…                        every fifth image of a class is a test image
PATH/train/CLASS/…  PATH/test/…     parts by a word in their names, as in Train, valid, test_set, seg_test;
                                    without a test part, that for the validation is the test
PATH/split.csv                      columns file, label, split (train, val or test)
PATH/train.csv  PATH/test.csv       columns file, label

Every file, a table too, has to lie below PATH after symbolic links; messages name files, and never quote
what is in one: they are read by everybody.
"""

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from models.datasets.files.image_files import ImageFiles, check_classes, name_some
from models.datasets.files.part_folders import get_part_folders, refuse_parts_in_classes
from models.datasets.files.split_table import COLUMNS, SPLIT_FILE, get_tables, read_tables
from models.datasets.files.splits import TEST, TRAIN, VALIDATION, Labelled, Parts
from models.datasets.files.walk import LEADS_AWAY, Walk, real_place
from models.errors import DatasetError

TEST_EVERY = 5


def index_folder(root: Path) -> ImageFiles:
    """List the images of a folder, without opening them.

    Raises:
        DatasetError: no such folder, no images, fewer than two classes, a class without training or test
            images, parts that cannot be told apart, a file in two of them or with two labels, or a table
            that is not what it must be.
    """
    try:
        return _index(root)
    except OSError as error:
        raise DatasetError(f"{error.filename or root} cannot be read: {error.strerror}") from None


def _index(root: Path) -> ImageFiles:
    if root.is_file():
        raise DatasetError(f"{root} is a file and no folder. An .npz file is named by npz:PATH")
    if not root.is_dir():
        raise DatasetError(f"There is no folder {root} on this machine")
    if tables := get_tables(root):
        parts = read_tables(root, tables)
        named = {part or TRAIN: path.name for path, part in tables.items()}
        return _check(root, *_choose_test(parts, named), left_out=_list_unlisted(root, parts))
    walk = Walk(root)
    folders = walk.list_folders(root)
    if splits := get_part_folders(root, folders):
        for folder in folders:
            if folder not in splits.values():
                walk.leave_out(folder, "is no part of the dataset by its name")
        parts = {part: _list_classes(walk, walk.list_folders(path)) for part, path in splits.items()}
        parts, sources = _choose_test(parts, {part: f"folder {path.name}" for part, path in splits.items()})
    else:
        images = _list_classes(walk, folders)
        refuse_parts_in_classes(root, images)
        parts = _hold_out(images)
        sources = {TEST: f"every {TEST_EVERY}th of a class"}
    if walk.followed:
        _check_once(root, parts)
    return _check(root, parts, sources, left_out=_list_left_out(walk))


def _list_classes(walk: Walk, folders: Sequence[Path]) -> Labelled:
    """All image files below each class's folder, in the order of their names."""
    images: Labelled = []
    for folder in folders:
        found = walk.list_images(folder)
        if not found:
            walk.leave_out(folder, "holds no images")
        images += [(path, folder.name) for path in found]
    return images


def _choose_test(parts: Parts, named: Mapping[str, str]) -> tuple[Parts, Mapping[str, str]]:
    """Use the validation images as test images if there are no others to test."""
    if parts.get(TEST) or not parts.get(VALIDATION):
        return parts, named
    sources = {part: name for part, name in named.items() if part != VALIDATION}
    taken = named.get(VALIDATION, "the rows for the validation")
    return (
        {TRAIN: parts[TRAIN], TEST: parts[VALIDATION]},
        {**sources, TEST: f"{taken}, since there is no part to test"},
    )


def _hold_out(images: Labelled) -> Parts:
    """Every fifth image of a class is a test image, beginning with the third."""
    train: Labelled = []
    test: Labelled = []
    seen: dict[str, int] = {}
    for path, label in images:
        number = seen[label] = seen.get(label, 0) + 1
        (test if number % TEST_EVERY == TEST_EVERY // 2 + 1 else train).append((path, label))
    # A class of two images gives one to each part.
    for label in sorted(seen.keys() - {label for _, label in test}):
        last = max(number for number, (_, other) in enumerate(train) if other == label)
        if seen[label] > 1:
            test.append(train.pop(last))
    return {TRAIN: train, TEST: test}


def _check_once(root: Path, parts: Parts) -> None:
    """Refuse a file that links put into two parts, or into two classes."""
    place = real_place()
    known: dict[str, tuple[Path, str, str]] = {}
    for part, images in parts.items():
        for path, label in images:
            first, *before = known.setdefault(place(path), (path, part, label))
            if before != [part, label]:
                one, two = (os.path.relpath(found, root) for found in (first, path))
                raise DatasetError(
                    f"{one} and {two} in {root} are one file, in two classes or parts. "
                    "Remove one of the links"
                )


def _list_left_out(walk: Walk) -> Mapping[str, int]:
    """The reasons, each with its number of files. Files that are no images come first, as one reason."""
    reasons = dict.fromkeys(walk.reasons, 1)
    if not walk.other_suffixes:
        return reasons
    kinds = Counter({suffix or "without a suffix": count for suffix, count in walk.other_suffixes.items()})
    told = name_some([kind for kind, _ in kinds.most_common()], most=3, separator=", ")
    count = kinds.total()
    what = "file that is no image" if count == 1 else "files that are no images"
    return {f"{count:,} {what} ({told})": count, **reasons}


def _list_unlisted(root: Path, parts: Parts) -> Mapping[str, int]:
    """The images of a folder that no row of its tables names."""
    place = real_place()
    listed = {place(path) for images in parts.values() for path, _ in images}
    count = sum(place(path) not in listed for path in Walk(root).list_images(root))
    what = "1 image" if count == 1 else f"{count:,} images"
    return {f"{what} that no row names": count} if count else {}


def _tell_left_out(left_out: Mapping[str, int]) -> str:
    if not left_out:
        return ""
    away = any(reason.endswith(LEADS_AWAY) for reason in left_out)
    advice = ". Copy there what the links name, or submit the folder that both are in" if away else ""
    return f". Left out: {name_some([*left_out], most=3)}{advice}"


def _check(
    root: Path, parts: Parts, sources: Mapping[str, str], *, left_out: Mapping[str, int]
) -> ImageFiles:
    labelled = [parts.get(part, []) for part in (TRAIN, VALIDATION, TEST)]
    told = _tell_left_out(left_out)
    if not any(labelled):
        raise DatasetError(
            f"{root} holds no images: expected one folder per class with files like .jpg or .png, "
            f"or a {SPLIT_FILE} with columns {', '.join(COLUMNS)}{told}"
        )
    names = tuple(sorted({label for images in labelled for _, label in images}))
    number = {name: index for index, name in enumerate(names)}
    paths = [[path for path, _ in images] for images in labelled]
    y = [np.array([number[label] for _, label in images], dtype=np.int32) for images in labelled]
    files = ImageFiles(
        train=paths[0],
        y_train=y[0],
        validation=paths[1],
        y_validation=y[1],
        test=paths[2],
        y_test=y[2],
        class_names=names,
        sources=sources,
        left_out=left_out,
    )
    try:
        check_classes(files)
    except DatasetError as error:
        raise DatasetError(f"Dataset folder {root}: {error}{told}") from None
    return files
