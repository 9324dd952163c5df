"""The lab's own datasets: a name means its newest version, and a version never changes."""

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NewType

from service.domain.states import DatasetKind

NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
NAME_RULE = "1 to 64 of a-z, 0-9, . _ and -, of which the first is a letter or a digit"
DIGEST = re.compile(r"[0-9a-f]{64}")
INCOMING = ".incoming"
"""In the folder of the datasets, the folder of what is copied, uploaded or deleted."""
MOST_FILES = 2_000_000  # a table of all files is kept in memory; the largest dataset in print has 1.4 million
MOST_UPLOADS = 3  # unfinished ones a person may have
UPLOAD_KEPT = timedelta(days=1)  # after the newest piece

DatasetId = NewType("DatasetId", int)
UploadId = NewType("UploadId", int)


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """One version of one of the lab's datasets."""

    id: DatasetId
    name: str
    version: str
    """As specs name it, and its folder or file in the folder of the datasets; see `format_version`."""
    kind: DatasetKind
    digest: str
    """SHA-256, in hex: see `service.commands.datasets.files`."""
    owner: str
    description: str
    found: str
    """How many images, classes and parts, in one line; empty where nobody could look."""
    files: int
    bytes: int
    added_at: datetime
    is_published: bool
    """Whether its files are in their place; else somebody is about to put them there, or was."""
    removed_at: datetime | None
    removed_by: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """An upload that is not finished: one file, an .npz or an uncompressed tar of a folder's content."""

    id: UploadId
    owner: str
    name: str
    kind: DatasetKind
    description: str
    total_bytes: int
    digest: str
    """SHA-256, in hex, that the whole file must have."""
    begun_at: datetime
    touched_at: datetime


def format_version(name: str, kind: DatasetKind, digest: str) -> str:
    """Name a version: `models.catalog.dataset_path` reads it again."""
    return f"{name}@{digest[:16]}{'.npz' if kind is DatasetKind.NPZ else ''}"
