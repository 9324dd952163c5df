"""The service as its clients meet it: who they are in it, how it is, and what went wrong."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any

from cnnctl.views.states import Scope, Subject


@dataclass(frozen=True, slots=True, kw_only=True)
class MeView:
    """Who the service takes the client for."""

    name: Annotated[str, "whose jobs they are"]
    administrator: Annotated[bool, "whether they may change everybody's jobs"]
    scope: Annotated[Scope, "the most that may be done this way: `read`, `submit` or `admin`"]
    via: Annotated[str, "how they came in: `terminal`, `socket`, `token NAME` or `browser`"]
    origin: Annotated[str, "from which address; empty on the service's own machine"]


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthView:
    """Whether the service is there to do the work."""

    up: Annotated[bool, "whether a scheduler and a worker are alive"]
    scheduler: Annotated[bool, "whether a scheduler is"]
    hosts: Annotated[Sequence[str], "hosts whose workers are"]
    notices: Annotated[Sequence[str], "in words, what keeps jobs waiting"]


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionView:
    """What answers; anybody may ask."""

    version: Annotated[str, "the release of cnnctl"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenView:
    """A token of a person; the secret itself is stored nowhere."""

    token: Annotated[int, "its number"]
    owner: Annotated[str, "whose it is"]
    name: Annotated[str, "their own word for it"]
    scope: Annotated[Scope, "the most that may be done with it: `read`, `submit` or `admin`"]
    created_at: Annotated[datetime, "when it was made"]
    expires_at: Annotated[datetime, "until when it is valid"]
    used_at: Annotated[datetime | None, "when it was used last, to the minute; `null`: never"]


@dataclass(frozen=True, slots=True, kw_only=True)
class NewTokenView:
    """A token that was just made; this is the only time that it is shown."""

    token: Annotated[int, "its number"]
    secret: Annotated[str, "the token, which begins with `cnn_`"]
    scope: Annotated[Scope, "the most that may be done with it"]
    expires_at: Annotated[datetime, "until when it is valid"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkView:
    """A link that opens a browser's session once."""

    url: Annotated[str, "where the browser goes"]
    expires_at: Annotated[datetime, "until when it works"]


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditView:
    """Something that somebody did."""

    entry: Annotated[int, "its number, which grows from entry to entry"]
    at: Annotated[datetime, "when"]
    actor: Annotated[str, "who: a person, `scheduler` or `worker HOST`"]
    via: Annotated[
        str,
        "how they came in: `terminal`, `socket`, `token NAME`, `browser`, or `service` of its own processes; "
        "empty where it was not recorded yet",
    ]
    origin: Annotated[str, "from which address; empty on the service's own machine"]
    subject: Annotated[
        Subject,
        "what it is about: `job`, `gpu`, `host`, `user`, `token`, `hook`, `dataset`, `garbage`, `link` or "
        "`session`",
    ]
    name: Annotated[str, "which one, as in `7` or `gpu01:0`"]
    job: Annotated[int | None, "the job's number; `null` of other subjects"]
    action: Annotated[str, "what was done, see states.md"]
    detail: Annotated[str, "more about it, in words"]
    before: Annotated[Mapping[str, Any] | None, "what was changed, as it was; `null` where nothing was"]
    after: Annotated[Mapping[str, Any] | None, "the same, as it is since then"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ProblemView:
    """Why a request was refused (RFC 9457)."""

    type: Annotated[str, "the kind of problem, as in `urn:cnnctl:job-not-found`"]
    title: Annotated[str, "the same for all problems of the kind"]
    status: Annotated[int, "the HTTP status"]
    detail: Annotated[str, "what happened, what is allowed, what was given, and what to do next"]
    exit_code: Annotated[int, "what `cnnctl` ends with"]
    field: Annotated[str, "the field of the request that is wrong; empty where it is no single one"] = ""
