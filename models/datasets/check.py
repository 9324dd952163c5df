"""Reads one dataset to its end and says what is wrong with it: python -m models.datasets.check NAME FOLDER

Exit status: 0 it is fine, 2 it is not, 3 a package is missing to read it. Anything else is a fault of ours.
"""

import sys
from pathlib import Path

from models.catalog.lookup import DATASETS
from models.errors import DatasetError

BAD, CANNOT_READ = 2, 3


def check(name: str, folder: Path) -> None:
    """Read a dataset whole.

    Raises:
        ModuleNotFoundError: the plain install has no NumPy, and no decoder of images.
        DatasetError: it is damaged, or not what it must be.
    """
    from models.datasets.arrays import ImageArrays
    from models.datasets.files.checksum import verify_checksum
    from models.datasets.load import load_dataset

    found = load_dataset(name, directory=folder)
    if isinstance(found, ImageArrays) and name in DATASETS:
        verify_checksum(found, DATASETS[name])


if __name__ == "__main__":
    try:
        check(sys.argv[1], Path(sys.argv[2]))
    except DatasetError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(BAD)
    except ModuleNotFoundError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(CANNOT_READ)
