"""Uploads that are not finished; a finished one has no row."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import delete, insert, select, update

from service.db.tables import dataset_uploads
from service.domain.datasets import Upload, UploadId
from service.domain.states import DatasetKind
from service.store.rows import columns_of, to_value
from service.store.transaction import Transaction

LARGEST_ID = 2**31 - 1  # of an INTEGER column
_COLUMNS = columns_of(dataset_uploads, Upload)


def add_upload(
    tx: Transaction,
    *,
    owner: str,
    name: str,
    kind: DatasetKind,
    description: str,
    total_bytes: int,
    digest: str,
) -> Upload:
    """Store a new upload."""
    values = {
        "owner": owner,
        "name": name,
        "kind": kind,
        "description": description,
        "total_bytes": total_bytes,
        "digest": digest,
        "begun_at": tx.now,
        "touched_at": tx.now,
    }
    statement = insert(dataset_uploads).values(values).returning(*_COLUMNS)
    return to_value(Upload, tx.connection.execute(statement).mappings().one())


def find_upload(tx: Transaction, upload_id: UploadId) -> Upload | None:
    """The upload with this number, or None."""
    if not 0 < upload_id <= LARGEST_ID:
        return None
    statement = select(*_COLUMNS).where(dataset_uploads.c.id == upload_id)
    row = tx.connection.execute(statement).mappings().first()
    return to_value(Upload, row) if row else None


def list_uploads(tx: Transaction, *, owner: str | None = None) -> Sequence[Upload]:
    """All uploads, or a person's, the oldest first."""
    statement = select(*_COLUMNS).order_by(dataset_uploads.c.id)
    if owner is not None:
        statement = statement.where(dataset_uploads.c.owner == owner)
    return [to_value(Upload, row) for row in tx.connection.execute(statement).mappings()]


def touch_upload(tx: Transaction, upload_id: UploadId) -> None:
    """Note that somebody goes on with an upload."""
    statement = update(dataset_uploads).where(dataset_uploads.c.id == upload_id)
    tx.connection.execute(statement.values(touched_at=tx.now))


def remove_upload(tx: Transaction, upload_id: UploadId) -> None:
    """Forget an upload."""
    tx.connection.execute(delete(dataset_uploads).where(dataset_uploads.c.id == upload_id))


def remove_expired(tx: Transaction, *, before: datetime) -> None:
    """Forget the uploads that nobody has gone on with since then."""
    tx.connection.execute(delete(dataset_uploads).where(dataset_uploads.c.touched_at < before))
