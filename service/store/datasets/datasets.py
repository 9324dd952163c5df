"""The lab's own datasets: rows stay for ever, and at most one of a name is live."""

from collections.abc import Sequence

from sqlalchemy import insert, select, text, update

from service.db.tables import datasets
from service.domain.datasets import Dataset, DatasetId, format_version
from service.domain.states import DatasetKind
from service.store.rows import columns_of, to_value
from service.store.transaction import Transaction

NAME_LOCK = 7216  # any number that no other two-number lock uses
_COLUMNS = columns_of(datasets, Dataset)
_LIVE = datasets.c.is_published & datasets.c.removed_at.is_(None)


def lock_name(tx: Transaction, name: str) -> None:
    """Let nobody else add, remove or newly use a dataset of this name until the end of this transaction.

    A name may have no row yet. SQLite's write transaction is such a lock already.
    """
    if tx.connection.dialect.name != "sqlite":
        lock = text("SELECT pg_advisory_xact_lock(:kind, hashtext(:name))")
        tx.connection.execute(lock, {"kind": NAME_LOCK, "name": name})


def add_dataset(
    tx: Transaction,
    *,
    name: str,
    kind: DatasetKind,
    digest: str,
    owner: str,
    description: str,
    found: str,
    files: int,
    bytes: int,
) -> Dataset:
    """Store a version whose files are not in their place yet."""
    values = {
        "name": name,
        "version": format_version(name, kind, digest),
        "kind": kind,
        "digest": digest,
        "owner": owner,
        "description": description,
        "found": found,
        "files": files,
        "bytes": bytes,
        "added_at": tx.now,
        "is_published": False,
    }
    row = tx.connection.execute(insert(datasets).values(values).returning(*_COLUMNS)).mappings().one()
    return to_value(Dataset, row)


def set_published(tx: Transaction, dataset_id: DatasetId) -> None:
    """Let the name mean this version from now on."""
    statement = update(datasets).where(datasets.c.id == dataset_id)
    tx.connection.execute(statement.values(is_published=True))


def set_removed(tx: Transaction, dataset_id: DatasetId, *, by: str) -> None:
    """Let the name mean nothing any more; the row stays."""
    statement = update(datasets).where(datasets.c.id == dataset_id)
    tx.connection.execute(statement.values(removed_at=tx.now, removed_by=by))


def find_dataset(tx: Transaction, name: str) -> Dataset | None:
    """The version that a name means now, or None."""
    statement = select(*_COLUMNS).where(datasets.c.name == name, _LIVE)
    row = tx.connection.execute(statement).mappings().first()
    return to_value(Dataset, row) if row else None


def list_datasets(tx: Transaction) -> Sequence[Dataset]:
    """What each name means now, by name."""
    statement = select(*_COLUMNS).where(_LIVE).order_by(datasets.c.name)
    return [to_value(Dataset, row) for row in tx.connection.execute(statement).mappings()]


def list_versions(tx: Transaction, name: str) -> Sequence[Dataset]:
    """All versions that a name has ever meant, the newest first."""
    mine = (datasets.c.name == name) & datasets.c.is_published
    statement = select(*_COLUMNS).where(mine).order_by(datasets.c.id.desc())
    return [to_value(Dataset, row) for row in tx.connection.execute(statement).mappings()]


def list_rows_of(tx: Transaction, version: str) -> Sequence[Dataset]:
    """All rows of a version, also of files that never were in their place, the newest first."""
    statement = select(*_COLUMNS).where(datasets.c.version == version).order_by(datasets.c.id.desc())
    return [to_value(Dataset, row) for row in tx.connection.execute(statement).mappings()]
