"""Checkpoints as they are recorded in SQL; the files themselves lie in the run folder."""

from dataclasses import dataclass

from service.domain.states import CheckpointKind


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """A restorable state: `digest` is the SHA-256 of its tensors file, `path` its folder."""

    step: int
    epoch: int
    kind: CheckpointKind
    bytes: int
    digest: str
    path: str
