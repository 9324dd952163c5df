"""The events that a trainer reports to its worker: lines of events.jsonl, written and read here alone.

docs/events.md says what each event and field means. A field whose default is None is left out if it is None.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Annotated

from pydantic import Field, TypeAdapter

from service.domain.jobs import Progress
from service.domain.states import Outcome
from service.escaping import escape_document

Count = Annotated[int, Field(ge=0, lt=2**63)]  # what a BIGINT column takes
Word = Annotated[str, Field(max_length=500)]
Environment = Annotated[Mapping[Word, Word | int], Field(max_length=50)]
Epoch = Annotated[int, Field(ge=0, lt=2**31)]  # what an INTEGER column takes


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """What the trainer does before the first step, or what is wrong later, in words."""

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """The first step is done; `step` is where the attempt began, `note` what a resume could not repeat.

    `environment` is all outside the spec that can change the last bit of a result.
    """

    step: Count
    exact: bool
    note: str = ""
    environment: Environment | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Points:
    """Values of metrics at a step; one that is not finite is None."""

    step: Count
    values: Mapping[str, float | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class EpochCompleted:
    """An epoch is complete; epochs count from 1."""

    epoch: Epoch


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckpointWritten:
    """A checkpoint is safely on disk."""

    step: Count
    epoch: Epoch
    best: bool
    bytes: Count
    digest: str
    path: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """The final event: how the attempt ended.

    `cause` is the value of a `Cause`, or one that only a newer trainer knows. With `pause`, only a person may
    resume the job.
    """

    outcome: Outcome
    reason: str
    cause: str | None = None
    weights_digest: str | None = None
    model: str | None = None
    pause: bool = False


Event = Stage | Started | Points | EpochCompleted | Progress | CheckpointWritten | Ended
KINDS: Mapping[type[Event], str] = {
    Stage: "stage",
    Started: "started",
    Points: "points",
    EpochCompleted: "epoch",
    Progress: "progress",
    CheckpointWritten: "checkpoint",
    Ended: "ended",
}
_READERS: Mapping[str, TypeAdapter[Event]] = {kind: TypeAdapter(event) for event, kind in KINDS.items()}


def encode(event: Event, *, at: float) -> bytes:
    """The line of an event; `at` is in seconds since 1970."""
    values = ((field, getattr(event, field.name)) for field in fields(event))
    given = {field.name: value for field, value in values if (field.default, value) != (None, None)}
    line = json.dumps({"kind": KINDS[type(event)], "at": at, **escape_document(given)}, allow_nan=False)
    return line.encode() + b"\n"


def decode(line: bytes | str) -> Event | None:
    """The event of a line; None if the line is damaged, or if only a newer cnnctl knows the event."""
    try:
        values = json.loads(line)
        # NaN and infinity are no JSON, and neither are surrogates, which older trainers wrote.
        text = json.dumps(escape_document(values), allow_nan=False)
        return _READERS[values["kind"]].validate_json(text, strict=True)
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
