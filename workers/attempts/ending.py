"""How an attempt ended: the trainer's final event, or what its end without one means."""

import signal
from dataclasses import dataclass
from multiprocessing.process import BaseProcess

from service.domain.states import Cause, Outcome, StopRequest
from service.domain.trainer_events import Ended
from workers.train.process.failure_cause import NO_ROOM


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """Outcome, cause where something failed, and one line for the job's owner.

    After one with `pause`, only a person may let the job go on.
    """

    outcome: Outcome
    cause: Cause | None = None
    reason: str
    pause: bool = False


def infer_ending(
    final_event: Ended | None,
    process: BaseProcess | None,
    *,
    stop_request: StopRequest | None,
    closing: bool,
) -> Ending:
    """Judge a trainer that has ended; `process` is None where an earlier worker started it."""
    if final_event is not None and final_event.outcome is not Outcome.INTERRUPTED:
        cause = _read_cause(final_event.cause) if final_event.cause else None
        return Ending(outcome=final_event.outcome, cause=cause, reason=final_event.reason)
    if stop_request is StopRequest.CANCEL:
        return Ending(outcome=Outcome.CANCELLED, reason="cancelled while it ran")
    if final_event is not None and final_event.pause:
        return Ending(outcome=Outcome.INTERRUPTED, reason=final_event.reason, pause=True)
    if final_event is not None or closing or stop_request is not None:
        how = final_event.reason if final_event else "killed after the grace time"
        reason = f"interrupted ({how}); waits to continue from its newest checkpoint"
        return Ending(outcome=Outcome.INTERRUPTED, reason=reason)
    if process is None:
        reason = "the trainer had died when its worker came back"
        return Ending(outcome=Outcome.LOST, cause=Cause.LOST_HOST, reason=reason)
    if process.exitcode == NO_ROOM:
        reason = "the disk is full: not even the final event could be written. Free space, then retry"
        return Ending(outcome=Outcome.FAILED, cause=Cause.DISK_FULL, reason=reason)
    reason = f"the trainer died without a final event ({_exit_words(process.exitcode)})"
    return Ending(outcome=Outcome.LOST, cause=Cause.KILLED, reason=reason)


def _read_cause(text: str) -> Cause:
    """A cause; one that only a newer trainer knows, which this worker took over, is an error like others."""
    return Cause(text) if text in {cause.value for cause in Cause} else Cause.ERROR


def _exit_words(code: int | None) -> str:
    if code == -signal.SIGKILL:
        return "killed by signal 9; the kernel does that when the host's memory runs out"
    if code is not None and code < 0:
        return f"killed by signal {-code}"
    return f"exit status {code}"
