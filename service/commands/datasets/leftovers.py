"""What is left of datasets on the disk: of removed ones, of copies and uploads that did not finish."""

import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

from models.catalog.dataset_path import VERSION
from service.commands.datasets.publishing import discard
from service.domain.datasets import INCOMING, UPLOAD_KEPT, Dataset, UploadId
from service.settings import Settings
from service.store.datasets import datasets, uploads
from service.store.transaction import Store, Transaction

UPLOAD_NAME = re.compile(r"upload-(\d{1,18})")


@dataclass(frozen=True, slots=True, kw_only=True)
class Leftover:
    """A file or folder that may go, and why."""

    path: Path
    why: str


def list_leftovers(store: Store, settings: Settings) -> Sequence[Leftover]:
    """What may go of the datasets on this host's disk; changes nothing.

    Of versions in their place only those that this database knows: the folder may serve another one, too.
    """
    folder = settings.datasets_dir
    with store.reading() as tx:
        unused = tx.now - UPLOAD_KEPT
        going_on = {upload.id for upload in uploads.list_uploads(tx) if upload.touched_at >= unused}
        return [
            *_list_incoming(folder / INCOMING, going_on, unused),
            *_list_versions(tx, folder, unused),
        ]


def release_leftover(store: Store, path: Path) -> bool:
    """Decide again, now that it counts; False where it is needed again.

    A version is deleted at once; of an upload the row goes, and the caller deletes the file.
    """
    if VERSION.fullmatch(path.name):
        return discard(store, path)
    with store.transaction() as tx:
        number = _upload_of(path)
        upload = uploads.find_upload(tx, number) if number is not None else None
        if upload is None:
            return True
        if upload.touched_at >= tx.now - UPLOAD_KEPT:
            return False
        uploads.remove_upload(tx, upload.id)
    return True


def _list_incoming(folder: Path, going_on: set[UploadId], unused: datetime) -> Iterator[Leftover]:
    for path, used_at in _list_old(folder, unused):
        number = _upload_of(path)
        if number is None or number not in going_on:
            what = "a copy of a dataset" if number is None else "an upload of a dataset"
            yield Leftover(path=path, why=f"{what} with which nobody has gone on since {used_at:%Y-%m-%d}")


def _list_versions(tx: Transaction, folder: Path, unused: datetime) -> Iterator[Leftover]:
    for path, _ in _list_old(folder, unused):
        rows = datasets.list_rows_of(tx, path.name) if VERSION.fullmatch(path.name) else []
        if rows and not any(row.is_published and row.removed_at is None for row in rows):
            yield Leftover(path=path, why=_explain(rows[0]))


def _explain(dataset: Dataset) -> str:
    if dataset.removed_at is not None:
        return f"dataset {dataset.name} was removed on {dataset.removed_at:%Y-%m-%d}"
    return f"the command that was to add dataset {dataset.name} did not come to its end"


def _list_old(folder: Path, unused: datetime) -> Iterator[tuple[Path, datetime]]:
    """What lies in a folder and was not changed since then, with when it was."""
    if not folder.is_dir():
        return
    for path in sorted(folder.iterdir()):
        with suppress(FileNotFoundError):  # it goes while we look
            changed_at = datetime.fromtimestamp(path.lstat().st_mtime, timezone.utc)
            if changed_at < unused:
                yield path, changed_at


def _upload_of(path: Path) -> UploadId | None:
    match = UPLOAD_NAME.fullmatch(path.name)
    return UploadId(int(match[1])) if match else None
