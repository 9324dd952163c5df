"""A study that was started, and its runs."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NewType

from service.domain.jobs import JobId
from service.domain.states import Priority, Stage, StudyState

StudyId = NewType("StudyId", int)
RunId = NewType("RunId", int)


@dataclass(frozen=True, slots=True, kw_only=True)
class Study:
    """Arms that somebody lets run over seeds; `definition` is its canonical JSON, `digest` its SHA-256.

    `planned_seeds` were decided with the definition, before the first run; `seeds` are those since then.
    """

    id: StudyId
    name: str
    owner: str
    scale: str
    definition: str
    digest: str
    planned_seeds: int
    seeds: int
    priority: Priority
    state: StudyState
    reason: str
    submitted_at: datetime
    ended_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyRun:
    """One arm with one seed; its numbers are kept here, so that they outlive its job.

    It waits or runs while it has neither `numbers` nor a `failure`.
    """

    id: RunId
    study_id: StudyId
    stage: Stage
    arm: str
    seed: int
    tuned: Mapping[str, Any]
    """The tuned fields of its spec, by dotted path."""
    training_digest: str
    job_id: JobId | None
    """None: its numbers came from elsewhere."""
    shared: bool
    """Whether the job was an earlier study's, with the same spec."""
    numbers: Mapping[str, Any] | None
    failure: str

    @property
    def has_ended(self) -> bool:
        return self.numbers is not None or bool(self.failure)
