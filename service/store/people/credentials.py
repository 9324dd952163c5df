"""Credentials: found by the digest of their secret."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import bindparam, delete, insert, select, update

from service.db.tables import credentials
from service.domain.credentials import Credential, CredentialId
from service.domain.states import CredentialKind, Scope
from service.store.rows import columns_of, to_value
from service.store.transaction import Transaction

_COLUMNS = columns_of(credentials, Credential)
_FIND = select(*_COLUMNS).where(
    credentials.c.digest == bindparam("wanted"), credentials.c.kind == bindparam("wanted_kind")
)


def add_credential(
    tx: Transaction,
    kind: CredentialKind,
    *,
    owner: str,
    name: str,
    operator: bool,
    scope: Scope,
    digest: str,
    expires_at: datetime,
) -> CredentialId:
    """Store a credential and return its number."""
    values = {"kind": kind, "owner": owner, "name": name, "operator": operator, "scope": scope}
    times = {"created_at": tx.now, "expires_at": expires_at}
    statement = insert(credentials).values(**values, **times, digest=digest).returning(credentials.c.id)
    return CredentialId(tx.connection.execute(statement).scalar_one())


def find_credential(tx: Transaction, kind: CredentialKind, digest: str) -> Credential | None:
    """The credential with this digest, also one that is no longer valid."""
    row = tx.connection.execute(_FIND, {"wanted": digest, "wanted_kind": kind}).mappings().first()
    return to_value(Credential, row) if row else None


def find_by_id(tx: Transaction, credential_id: CredentialId) -> Credential | None:
    """The credential with this number, also one that is no longer valid."""
    statement = select(*_COLUMNS).where(credentials.c.id == credential_id)
    row = tx.connection.execute(statement).mappings().first()
    return to_value(Credential, row) if row else None


def list_credentials(tx: Transaction, kind: CredentialKind, owner: str | None) -> Sequence[Credential]:
    """The credentials of a person, or of all, that are neither revoked nor expired; oldest first."""
    valid = (credentials.c.revoked_at.is_(None)) & (credentials.c.expires_at > tx.now)
    statement = select(*_COLUMNS).where(valid, credentials.c.kind == kind).order_by(credentials.c.id)
    if owner is not None:
        statement = statement.where(credentials.c.owner == owner)
    return [to_value(Credential, row) for row in tx.connection.execute(statement).mappings()]


def revoke(tx: Transaction, credential_id: CredentialId) -> bool:
    """End a credential; False if it was revoked before."""
    live = (credentials.c.id == credential_id) & credentials.c.revoked_at.is_(None)
    return tx.connection.execute(update(credentials).where(live).values(revoked_at=tx.now)).rowcount == 1


def set_used(tx: Transaction, credential_id: CredentialId) -> None:
    """Record that a credential was used just now."""
    mine = credentials.c.id == credential_id
    tx.connection.execute(update(credentials).where(mine).values(used_at=tx.now))


def forget_old(tx: Transaction, *, before: datetime) -> None:
    """Delete links and sessions that ended before then; tokens stay for whoever asks what they were."""
    old = (credentials.c.kind != CredentialKind.TOKEN) & (credentials.c.expires_at < before)
    tx.connection.execute(delete(credentials).where(old))
