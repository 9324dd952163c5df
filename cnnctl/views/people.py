"""People: what they may have, what they have used, and whom they want told of their jobs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

from cnnctl.views.states import Cause, Channel, JobState, Occasion, Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageView:
    """GPU-hours of one person, project and outcome of attempts."""

    owner: Annotated[str, "who"]
    project: Annotated[str, "what it is counted under; empty where nothing was said"]
    outcome: Annotated[str, "of the attempts, see states.md; `running` of those that hold GPUs now"]
    attempts: Annotated[int, "how many"]
    gpu_hours: Annotated[float, "hours in which they held GPUs, times GPUs"]
    failed_hours: Annotated[float, "those of failed attempts, whole"]
    redone_hours: Annotated[float, "steps that a later attempt did again after a loss"]
    idle_hours: Annotated[float, "before the first step and while stopping"]
    wasted_hours: Annotated[float, "the sum of the three"]


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageDayView:
    """GPU-hours of one person on one day; a day on which they used none is left out."""

    day: Annotated[str, "the day in UTC, as in `2026-11-01`"]
    owner: Annotated[str, "who"]
    gpu_hours: Annotated[float, "hours of that day in which their attempts held GPUs, times GPUs"]


@dataclass(frozen=True, slots=True, kw_only=True)
class UserView:
    """What a person may have and do; a quota that is `null` is none."""

    name: Annotated[str, "who"]
    weight: Annotated[float, "their share of the GPUs, relative to others"]
    max_gpus: Annotated[int | None, "GPUs that they may hold at once"]
    max_queued: Annotated[int | None, "jobs that they may have waiting"]
    may_use_high: Annotated[bool, "the right to priority high"]
    administrator: Annotated[bool, "whether they may change everybody's jobs"]
    uid: Annotated[
        int | None, "their user number on the service's machine; `null` of who never came over the socket"
    ]
    seen_at: Annotated[
        datetime | None, "when they came in through the API last, to the minute; `null`: never"
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class HookView:
    """Where a person is told of their jobs; `last_job`, `delivered` and `error` are of its newest message."""

    hook: Annotated[int, "its number"]
    channel: Annotated[Channel, "`mail` or `webhook`"]
    address: Annotated[str, "of mails, or of the webhook"]
    on: Annotated[Sequence[Occasion], "of what it tells: `end`, `failure`, `preemption`"]
    via: Annotated[
        str, "how it was made: `terminal`, `socket`, `token NAME` or `browser`; empty: not recorded"
    ]
    last_job: Annotated[int | None, "the job that it told of; `null` where it has told nothing yet"]
    delivered: Annotated[bool | None, "whether the message has arrived; `null` where there is none"]
    error: Annotated[str, "why it has not arrived yet, as in `the server answered 500`"]


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookMessage:
    """What a webhook gets, by a POST.

    Any answer below 300 counts as delivered; else it is tried again for a day. A message may come twice.
    """

    job: Annotated[int, "the job's number"]
    occasion: Annotated[Occasion, "`end`, `failure` or `preemption`"]
    state: Annotated[JobState, "the job's state, see states.md"]
    owner: Annotated[str, "who submitted it"]
    project: Annotated[str, "what it is counted under; empty where nothing was said"]
    architecture: Annotated[str, "the network"]
    dataset: Annotated[str, "a name, or where it lies"]
    attempt: Annotated[
        int | None, "the number of its newest attempt; `null` of a job that was cancelled in the queue"
    ]
    outcome: Annotated[Outcome | None, "how that ended, see states.md; `null` as above"]
    cause: Annotated[Cause | None, "why it failed, as in `nan_loss`, see states.md; `null` as above"]
    reason: Annotated[str, "why it is in its state"]
    metrics: Annotated[Mapping[str, float | None], "last value of each metric by its name; see metrics.md"]
    log_tail: Annotated[Sequence[str], "the last lines of its log"]
    text: Annotated[str, "all of this in words, which chat services show"]
