"""Reads one dataset to its end and says what is wrong with it: python -m models.datasets.check NAME FOLDER"""

import sys
from pathlib import Path

from models.datasets.load import load_dataset
from models.errors import DatasetError

if __name__ == "__main__":
    try:
        load_dataset(sys.argv[1], directory=Path(sys.argv[2]))
    except DatasetError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(2)
