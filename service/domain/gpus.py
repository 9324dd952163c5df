"""Hosts and their GPUs."""

from dataclasses import dataclass
from datetime import datetime

from service.domain.states import GpuState


@dataclass(frozen=True, slots=True, kw_only=True)
class Gpu:
    """A device of a host; a simulated one is a logical CPU device and says so in its model."""

    uuid: str
    host_name: str
    number: int
    model: str
    memory_mib: int
    simulated: bool
    state: GpuState = GpuState.AVAILABLE
    reason: str = ""


def is_model(model: str, wanted: str) -> bool:
    """Whether a GPU's model is what a person means: `h200` is an NVIDIA H200."""
    return wanted.casefold() in model.casefold()


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """A machine with a worker; `heartbeat_at` is None when its worker has left.

    `clock_ahead_seconds` is how far its clock is ahead of the database's, None where nobody has measured it.
    """

    name: str
    worker: str
    cores: int
    heartbeat_at: datetime | None
    clock_ahead_seconds: float | None = None
