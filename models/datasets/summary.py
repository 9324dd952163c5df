"""Says in one line what was found in a dataset by place."""

from collections.abc import Iterator, Sequence

import numpy as np

from models.datasets.arrays import ImageArrays
from models.datasets.files.image_files import ImageFiles, Labels, name_some, tell_class

SHOWN = 3  # entries that are left out, by name


def summarize(found: ImageArrays | ImageFiles) -> str:
    """How many images and classes, which part is what, and what is left out.

    A class is named if it is named by a folder; what stands within a file is never told.
    """
    if isinstance(found, ImageArrays):
        train, test = len(found.y_train), len(found.y_test)
        classes = _count(len(found.class_names), "class")
        return f"{_count(train + test, 'image')} in {classes}, {train:,} to train on, {test:,} to test"
    return "; ".join(_tell_parts(found))


def _tell_parts(files: ImageFiles) -> Iterator[str]:
    parts = [
        f"{len(paths):,} {purpose}{_tell_source(files, part)}"
        for part, purpose, paths in (
            ("train", "to train on", files.train),
            ("validation", "for the validation", files.validation),
            ("test", "to test", files.test),
        )
        if paths
    ]
    classes = f"{_count(len(files.class_names), 'class')}{_name_ends(files)}"
    yield ", ".join([f"{_count(files.count, 'image')} in {classes}", *parts])
    if not files.validation and (single := _list_single(files, files.y_train)):
        yield f"of one image to train on, none can validate: {name_some(single, most=SHOWN, separator=', ')}"
    if files.left_out:
        yield f"{sum(files.left_out.values()):,} left out: {name_some([*files.left_out], most=SHOWN)}"


def _tell_source(files: ImageFiles, part: str) -> str:
    source = files.sources.get(part)
    return f" ({source})" if source else ""


def _name_ends(files: ImageFiles) -> str:
    """The first class and the last, where they are names of folders."""
    ends = [tell_class(files, label) for label in (0, len(files.class_names) - 1)]
    if ends != [files.class_names[0], files.class_names[-1]]:
        return ""
    return f" ({', '.join(ends)})" if len(files.class_names) == len(ends) else f" ({' … '.join(ends)})"


def _list_single(files: ImageFiles, labels: Labels) -> Sequence[str]:
    counts = np.bincount(labels, minlength=len(files.class_names))
    return [tell_class(files, int(label)) for label in np.flatnonzero(counts == 1)]


def _count(number: int, noun: str) -> str:
    plural = "classes" if noun == "class" else f"{noun}s"
    return f"{number:,} {noun if number == 1 else plural}"
