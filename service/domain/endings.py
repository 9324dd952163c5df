"""How an attempt ended: what a worker reports of its trainer, and what that means beside a stop request."""

import errno
import signal
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from service.domain.jobs import Member
from service.domain.states import Cause, Outcome, StopRequest
from service.domain.stored_spec import MADE_BY_NEWER

if TYPE_CHECKING:
    from service.domain.trainer_events import Ended  # imports pydantic, which commands do without

NO_SPACE = errno.ENOSPC  # exit status of a trainer that cannot write even its final event
# Causes that a trainer may have only because it lost a trainer on another host.
SECONDARY = {None, Cause.DEVICE_ERROR, Cause.KILLED, Cause.ERROR}


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """Outcome, cause where something failed, and one line for the job's owner.

    With `pause`, only a person may resume the job.
    """

    outcome: Outcome
    cause: Cause | None = None
    reason: str
    pause: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainerReport:
    """The facts that a worker knows of a trainer that is gone; the store infers the ending from them."""

    final_event: "Ended | None" = None
    exit_status: int | None = None  # below 0 the signal that killed it; None: unknown
    adopted: bool = False  # an earlier worker of the host started it
    told_to_stop: bool = False  # its worker did so before the end: after a stop request, or when it shut down
    failure: Ending | None = None  # what happened to it from outside, as when its run folder was removed
    without_trainer: Ending | None = None  # no trainer ran: for example, it could not be started


def infer_ending(report: TrainerReport, *, stop_request: StopRequest | None) -> Ending:
    """The ending of an attempt, inferred from what its worker reports."""
    if report.without_trainer:
        return report.without_trainer
    ending = _infer(report, stop_request)
    if report.failure and ending.outcome in (Outcome.FAILED, Outcome.LOST):
        return report.failure
    return ending


def _infer(report: TrainerReport, stop_request: StopRequest | None) -> Ending:
    event = report.final_event
    if event is not None and event.outcome is not Outcome.INTERRUPTED:
        cause = _read_cause(event.cause) if event.cause else None
        return Ending(outcome=event.outcome, cause=cause, reason=event.reason)
    if stop_request is StopRequest.CANCEL:
        return Ending(outcome=Outcome.CANCELLED, reason="cancelled while it ran")
    if event is not None and event.pause:
        return Ending(outcome=Outcome.INTERRUPTED, reason=event.reason, pause=True)
    if event is not None or report.told_to_stop:
        how = event.reason if event else "killed after the grace time"
        reason = f"interrupted ({how}); waits to continue from its newest checkpoint"
        return Ending(outcome=Outcome.INTERRUPTED, reason=reason)
    return _explain_silent_end(report)


def _explain_silent_end(report: TrainerReport) -> Ending:
    """The ending of an attempt whose trainer has written no final event."""
    if report.adopted:
        reason = "the trainer had died when its worker came back"
        return Ending(outcome=Outcome.LOST, cause=Cause.LOST_HOST, reason=reason)
    if report.exit_status == NO_SPACE:
        reason = "the disk is full: not even the final event could be written. Free space, then retry"
        return Ending(outcome=Outcome.FAILED, cause=Cause.DISK_FULL, reason=reason)
    reason = f"the trainer died without a final event ({_exit_words(report.exit_status)})"
    return Ending(outcome=Outcome.LOST, cause=Cause.KILLED, reason=reason)


def merge_endings(ending: Ending, others: Sequence[Member]) -> Ending:
    """The chief's ending, unless it only follows from how another member ended."""
    refusals = [member.reason for member in others if member.reason.startswith(MADE_BY_NEWER)]
    if refusals and ending.outcome is not Outcome.CANCELLED:
        return Ending(outcome=Outcome.INTERRUPTED, reason=refusals[0])
    if ending.outcome not in (Outcome.FAILED, Outcome.LOST) or ending.cause not in SECONDARY:
        return ending
    bad = [member for member in others if member.outcome in (Outcome.FAILED, Outcome.LOST)]
    first = [member for member in bad if member.cause not in SECONDARY or member.cause is Cause.KILLED]
    return ending_of_member(first[0]) if first else ending


def ending_of_member(member: Member) -> Ending:
    """A member's ending as that of its attempt."""
    assert member.outcome is not None
    return Ending(
        outcome=member.outcome, cause=member.cause, reason=f"on {member.host_name}: {member.reason}"
    )


def _read_cause(text: str) -> Cause:
    """Parse a cause; one of a newer trainer that this worker took over is ERROR if it is unknown here."""
    return Cause(text) if text in {cause.value for cause in Cause} else Cause.ERROR


def _exit_words(code: int | None) -> str:
    if code == -signal.SIGKILL:
        return "killed by signal 9; the kernel does that when the host's memory runs out"
    if code is not None and code < 0:
        return f"killed by signal {-code}"
    return f"exit status {code}"
