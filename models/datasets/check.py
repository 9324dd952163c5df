"""Reads one dataset to its end: python -m models.datasets.check NAME FOLDER VALIDATION_FRACTION

Prints what `check` returns as JSON, or in words what is wrong.
Exit status: 0 if it can be trained on, 2 if not, 3 if a package to read it is missing. Any other is a bug,
whose traceback is on stderr.
"""

import json
import sys
from collections.abc import Mapping
from pathlib import Path

from models.catalog.lookup import DATASETS
from models.errors import DatasetError

BAD, CANNOT_READ = 2, 3


def check(name: str, directory: Path, *, fraction: float) -> Mapping[str, object]:
    """Look into a dataset.

    Returns:
        found (what a dataset by place holds, in words; else empty), train_images (those that are not held
        out) and has_validation (whether the dataset has images for the validation itself).

    Raises:
        DatasetError: it cannot be trained on.
        ImportError: NumPy or the decoder of images is not installed, as in a plain install.
    """
    from models.datasets.arrays import ImageArrays
    from models.datasets.files.checksum import verify_checksum
    from models.datasets.load import load_dataset
    from models.datasets.split import hold_out
    from models.datasets.summary import summarize

    found = load_dataset(name, directory=directory)
    if isinstance(found, ImageArrays) and name in DATASETS:
        verify_checksum(found, DATASETS[name])
    has_validation = not isinstance(found, ImageArrays) and len(found.validation) > 0
    kept = found.y_train if has_validation else hold_out(found.y_train, fraction=fraction)[0]
    return {
        "found": "" if name in DATASETS else summarize(found),
        "train_images": len(kept),
        "has_validation": has_validation,
    }


def main() -> int:
    """Check what the command line names; returns the exit status."""
    try:
        name, directory, fraction = sys.argv[1:]
        sys.stdout.write(json.dumps(check(name, Path(directory), fraction=float(fraction))))
    except DatasetError as error:
        sys.stdout.write(f"{error}\n")
        return BAD
    except ImportError as error:
        sys.stderr.write(f"{error}\n")
        return CANNOT_READ
    return 0


if __name__ == "__main__":
    sys.exit(main())
