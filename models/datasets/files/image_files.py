"""Holds the files of a dataset with their labels, and leaves out those that cannot be read."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from models.errors import DatasetError

NAMED = 10

Labels = npt.NDArray[np.int32]


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageFiles:
    """Labelled image files; y_* are int32 (N,) indices of `class_names`.

    Without files for the validation, some of those to train on are held out. `sources` says where the parts
    come from, `left_out` what was found and is not read, both in words; the numbers are those of files and
    folders.
    """

    train: Sequence[Path]
    y_train: Labels
    test: Sequence[Path]
    y_test: Labels
    class_names: tuple[str, ...]
    validation: Sequence[Path] = ()
    y_validation: Labels = field(default_factory=lambda: np.zeros(0, np.int32))
    sources: Mapping[str, str] = field(default_factory=dict)
    left_out: Mapping[str, int] = field(default_factory=dict)

    @property
    def count(self) -> int:
        return len(self.train) + len(self.validation) + len(self.test)


def drop_broken(files: ImageFiles, broken: Mapping[Path, str]) -> tuple[ImageFiles, str]:
    """Leave out files that cannot be read; returns what is left, and a sentence that names them.

    Raises:
        DatasetError: a class has no training or no test image left.
    """
    if not broken:
        return files, ""
    note = (
        f"{len(broken):,} of {files.count:,} image files cannot be read and are left out: "
        f"{name_some([*broken.values()])}"
    )

    def keep(paths: Sequence[Path], labels: Labels) -> tuple[list[Path], Labels]:
        good = np.array([path not in broken for path in paths], bool)
        return [path for path in paths if path not in broken], labels[good]

    train, y_train = keep(files.train, files.y_train)
    validation, y_validation = keep(files.validation, files.y_validation)
    test, y_test = keep(files.test, files.y_test)
    left = replace(
        files,
        train=train,
        y_train=y_train,
        validation=validation,
        y_validation=y_validation,
        test=test,
        y_test=y_test,
    )
    try:
        check_classes(left)
    except DatasetError as error:
        raise DatasetError(f"{error}. {note}") from None
    if files.validation and not validation:
        raise DatasetError(f"No image for the validation is left. {note}")
    return left, note


def check_classes(files: ImageFiles) -> None:
    """Refuse what cannot be told apart.

    Raises:
        DatasetError: fewer than two classes, or a class without images to train on or to test.
    """
    names = files.class_names
    if len(names) < 2:
        raise DatasetError(f"at least two classes are needed to tell apart. Received: {tell_class(files, 0)}")
    for part, labels in (("training", files.y_train), ("test", files.y_test)):
        empty = np.flatnonzero(np.bincount(labels, minlength=len(names)) == 0)
        if len(empty):
            told = ", ".join(tell_class(files, label) for label in empty[:NAMED])
            raise DatasetError(
                f"no {part} images for {len(empty)} of {len(names)} classes ({told}). "
                "Add some, or take the class out"
            )


def tell_class(files: ImageFiles, label: int) -> str:
    """A class by its folder's name, else by an image of it: what a table says of it stays there."""
    paths = [
        listed[np.flatnonzero(labels == label)[0]]
        for listed, labels in (
            (files.train, files.y_train),
            (files.validation, files.y_validation),
            (files.test, files.y_test),
        )
        if (labels == label).any()
    ]
    if any(files.class_names[label] in path.parts for path in paths):
        return files.class_names[label]
    return f"that of {paths[0]}" if paths else f"number {label + 1} in the order of their names"


def name_some(told: Sequence[str], *, most: int = NAMED, separator: str = "; ") -> str:
    """The first of them, and how many more there are."""
    more = f"{separator}and {len(told) - most:,} more" if len(told) > most else ""
    return separator.join(told[:most]) + more
