"""Credentials: secrets that prove who somebody is, of which only digests are stored."""

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NewType

from service.bound import Bound
from service.domain.states import CredentialKind, Scope

CredentialId = NewType("CredentialId", int)

TOKEN_PREFIX = "cnn_"  # by which people, and scanners of published code, know what it is
SECRET_BYTES = {CredentialKind.TOKEN: 32, CredentialKind.LINK: 16, CredentialKind.SESSION: 32}
LONGEST_SECRET = 128  # characters; none of ours is longer
LINK_LIFE = timedelta(seconds=60)
SESSION_LIFE = timedelta(days=7)
TOKEN_NAME = Bound(least=1, most=64, why="it is shown in a table")
MOST_TOKENS = 50  # that a person may have at once
MOST_SESSIONS = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Credential:
    """A secret that was given to a person; the secret itself is stored nowhere."""

    id: CredentialId
    kind: CredentialKind
    owner: str
    name: str
    """The person's own word for it."""
    operator: bool
    """Whether its owner was root, or the owner of the embedded data folder, when it was made."""
    scope: Scope
    created_at: datetime
    expires_at: datetime
    used_at: datetime | None
    revoked_at: datetime | None

    def is_valid(self, now: datetime) -> bool:
        """Whether it still proves anything."""
        return self.revoked_at is None and now < self.expires_at


def make_secret(kind: CredentialKind) -> str:
    """A new secret, in letters that URLs and headers take."""
    prefix = TOKEN_PREFIX if kind is CredentialKind.TOKEN else ""
    return prefix + secrets.token_urlsafe(SECRET_BYTES[kind])


def digest_of(secret: str) -> str:
    """What is stored of a secret: SHA-256 is enough, because nobody can guess 128 random bits."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()
