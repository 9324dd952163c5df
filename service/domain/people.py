"""People: who acts, and what each may ask for."""

from dataclasses import dataclass

# Jobs that a person may have waiting, unless another quota was granted: each plan reads all of them.
MOST_QUEUED = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """Who acts, as the operating system says; an operator is root, or owns the embedded data folder."""

    name: str
    operator: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """What an administrator has granted a person; the defaults are everybody's.

    `weight` is their share of the GPUs, relative to others. None means no quota.
    """

    name: str
    weight: float = 1.0
    max_gpus: int | None = None
    max_queued: int | None = MOST_QUEUED
    may_use_high: bool = False
    administrator: bool = False
