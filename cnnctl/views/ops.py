"""The service itself: what is wrong with it, and what on its disk may go."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that was checked.

    What concerns single jobs is there only when something is wrong; its subjects are `stale lease`, `orphaned
    trainer`, `clock skew`, `unreadable checkpoint`, `folder without row` and `row without folder`.
    """

    subject: Annotated[str, "what was checked"]
    found: Annotated[str, "what was found there"]
    remedy: Annotated[str, "what to do; empty when all is well"] = ""
    itself: Annotated[str, "what happens if nobody does it"] = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class GarbageFolder:
    """A folder that no job can still need."""

    path: Annotated[str, "where it lies"]
    kind: Annotated[
        str,
        "`checkpoint`, `unfinished` (half written by an attempt that has ended), `orphan` (a run folder that "
        "the database does not know), `unpacked` (images of a dataset) or `dataset` (what is left of a "
        "removed one, or of a copy or upload that did not come to its end)",
    ]
    job: Annotated[int | None, "the job it is of; `null` of `orphan`, `unpacked` and `dataset`"]
    why: Annotated[str, "why nobody needs it, as in `job 1 has succeeded, and this is not its best`"]
    bytes: Annotated[int, "its size"]
    kept: Annotated[str, "why it could not go after all; empty where it went or would go"]


@dataclass(frozen=True, slots=True, kw_only=True)
class GarbageView:
    """What was deleted, or would be."""

    dry_run: Annotated[bool, "whether nothing was deleted"]
    bytes: Annotated[int, "the size of what is gone, or would go"]
    folders: Annotated[Sequence[GarbageFolder], "each folder that may go"]
    gpu_minutes: Annotated[
        int,
        "how many minutes of the GPUs' history are gone, or would go: those of each GPU older than 30 days",
    ]
