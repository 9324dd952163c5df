"""Tells folders that are parts of a dataset from folders that are classes; refuses what could be either."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from models.catalog.dataset_path import is_data
from models.datasets.files.image_files import name_some
from models.datasets.files.splits import TEST, TRAIN, Labelled, find_part, guess_part, looks_like_part
from models.errors import DatasetError


def get_part_folders(root: Path, folders: Sequence[Path]) -> Mapping[str, Path]:
    """The folders that are parts by their names; empty where all folders are classes.

    Raises:
        DatasetError: they look like parts, and which is which cannot be said.
    """
    if not any(guess_part(folder.name) for folder in folders):
        return {}
    inside = {folder: _list_names(folder) for folder in folders}
    named = _name_parts(inside)
    splits = {part: folder for folder, part in named.items()}
    wrong = ""
    if len(named) > len(splits) and any(inside[folder] for folder in named):
        wrong = "several of them are one part by their names"
    elif unclear := _find_unclear(named, inside):
        wrong = f"{unclear.name} looks like a part, and which cannot be said"
    elif len(splits) > 1 and TRAIN not in splits:
        wrong = "none is to train on"
    elif len(named) == 1 and any(len(inside[folder]) > 1 for folder in named):
        wrong = "there is no other part"
    if wrong:
        raise DatasetError(
            f"{root} has the folders {name_some([path.name for path in folders], separator=', ')}: {wrong}. "
            "Expected: train beside val, test or both, each with the folders of the classes. Rename folders, "
            "move them away, or submit the one that holds the classes"
        )
    return splits if 1 < len(splits) == len(named) else {}


def _name_parts(inside: Mapping[Path, set[str]]) -> Mapping[Path, str]:
    """The folders that are parts by their names, with what is in each.

    A word in a name, as in `seg_train`, counts where there are folders inside, or where every name has one:
    a class of images may be called `test_tube`.
    """
    guessed = {folder: part for folder in inside if (part := guess_part(folder.name))}
    every = len(guessed) == len(inside)
    return {
        folder: part for folder, part in guessed.items() if every or inside[folder] or find_part(folder.name)
    }


def _find_unclear(named: Mapping[Path, str], inside: Mapping[Path, set[str]]) -> Path | None:
    """A folder that has the classes of a part and is none by its name; any name, until two are there."""
    whole = {TRAIN, TEST} <= {*named.values()}
    for folder, names in inside.items():
        alike = any(names & inside[part] for part in named)
        if folder not in named and alike and (not whole or looks_like_part(folder.name)):
            return folder
    return None


def _list_names(folder: Path) -> set[str]:
    with os.scandir(folder) as entries:
        return {entry.name for entry in entries if is_data(entry.name) and entry.is_dir()}


def refuse_parts_in_classes(root: Path, images: Labelled) -> None:
    """Refuse images of CLASS/train and CLASS/test, which would be mixed.

    Raises:
        DatasetError: a class has such folders.
    """
    depth = len(root.parts) + 1
    inside: dict[str, set[str]] = {}
    for path, label in images:
        if len(path.parts) > depth + 1:
            inside.setdefault(label, set()).add(path.parts[depth])
    for label, names in inside.items():
        if len({guess_part(name) for name in names} - {None}) > 1:
            raise DatasetError(
                f"{label} in {root} has folders of its own to train on and to test. Expected: train/CLASS "
                f"and test/CLASS, or a split.csv. If they hold classes, submit {root / label}"
            )
