"""How to run a job. Not part of the spec: these options do not change the network that is trained."""

from dataclasses import dataclass
from datetime import datetime

from service.domain.states import Priority


@dataclass(frozen=True, slots=True, kw_only=True)
class SchedulingOptions:
    """What a person asks of the scheduler with a submission; the defaults ask for nothing.

    `gpu_model` is part of a model's name, see `domain.gpus.is_model`; `exclusive` keeps other jobs off the
    host. Each of several `hosts` gives the same number of GPUs.
    """

    priority: Priority = Priority.NORMAL
    project: str = ""
    not_before: datetime | None = None
    exclusive: bool = False
    gpu_model: str | None = None
    host_name: str | None = None
    hosts: int = 1


DEFAULT_SCHEDULING = SchedulingOptions()
