"""The unique partial indexes: one live attempt per job, one live lease per GPU, one dataset per name.

They are apart from the tables: naming a dialect in an index imports it, and only migrations need that.
"""

from typing import Any

from sqlalchemy import Column, Index, text

from service.db.tables import attempts, datasets, leases

# Table → the names of its partial indexes, for code that does not import a dialect.
PARTIAL_INDEXES = {
    "attempts": ("uq_attempts_live_job",),
    "datasets": ("uq_datasets_live_name",),
    "leases": ("uq_leases_live_gpu",),
}


def add_partial_indexes() -> None:
    """Add the partial indexes to the metadata, for a comparison with the database."""
    _live("uq_attempts_live_job", attempts.c.job_id, "state <> 'ended'")
    _live("uq_leases_live_gpu", leases.c.gpu_uuid, "released_at IS NULL")
    _live("uq_datasets_live_name", datasets.c.name, "is_published AND removed_at IS NULL")


def _live(name: str, column: Column[Any], condition: str) -> None:
    Index(name, column, unique=True, sqlite_where=text(condition), postgresql_where=text(condition))
