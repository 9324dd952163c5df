"""Reads one dataset to its end and says what is wrong with it: python -m models.datasets.check NAME FOLDER"""

import sys
from pathlib import Path

from models.catalog.lookup import DATASETS
from models.datasets.arrays import ImageArrays
from models.datasets.files.checksum import verify_checksum
from models.datasets.load import load_dataset
from models.errors import DatasetError

if __name__ == "__main__":
    try:
        name = sys.argv[1]
        found = load_dataset(name, directory=Path(sys.argv[2]))
        if isinstance(found, ImageArrays) and name in DATASETS:
            verify_checksum(found, DATASETS[name])
    except DatasetError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(2)
