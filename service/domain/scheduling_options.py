"""How to run a job. Not part of the spec: these options do not change the network that is trained."""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import TypedDict

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


class GivenScheduling(TypedDict, total=False):
    """Those of the options that were given."""

    priority: Priority
    project: str
    not_before: datetime | None
    exclusive: bool
    gpu_model: str | None
    host_name: str | None
    hosts: int


NOTHING_GIVEN = GivenScheduling()


def complete(
    given: SchedulingOptions | GivenScheduling, base: SchedulingOptions = DEFAULT_SCHEDULING
) -> SchedulingOptions:
    """All options: those that were not given are the base's."""
    return given if isinstance(given, SchedulingOptions) else replace(base, **given)
