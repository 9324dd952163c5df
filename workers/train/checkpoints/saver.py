"""Decides when a checkpoint is due, takes it between two steps, and measures how long that took."""

import math
import time
from collections.abc import Callable

from service.domain.spec import CheckpointSpec
from workers.train.checkpoints.files import Snapshot
from workers.train.checkpoints.run_state import RunState
from workers.train.checkpoints.writer import CheckpointWriter
from workers.train.process.reporter import Reporter


class Saver:
    """Hands snapshots of a run to its writer, at most one a step; `check` raises for one not to be kept.

    Without a writer it does nothing: of several hosts, only the chief's trainer writes.
    """

    def __init__(
        self,
        spec: CheckpointSpec,
        state: RunState,
        writer: CheckpointWriter | None,
        reporter: Reporter,
        *,
        check: Callable[[Snapshot], None],
    ) -> None:
        self._spec = spec
        self._state = state
        self._writer = writer
        self._reporter = reporter
        self._check = check
        self._saved_step = -1
        self._saved_at = time.monotonic()

    def most_steps(self) -> int:
        """How many steps may be trained before a checkpoint has to be looked at."""
        every = self._spec.every_steps
        return every - self._state.step % every if every else 1_000_000

    def save_within_epoch(self) -> None:
        """Save when the interval by steps or by time is over."""
        every, minutes = self._spec.every_steps, self._spec.every_minutes
        by_steps = every is not None and self._state.step % every == 0
        by_time = time.monotonic() - self._saved_at > 60 * (math.inf if minutes is None else minutes)
        if by_steps or by_time:
            self.save(best=False)

    def is_due_after_epoch(self) -> bool:
        return (self._state.epoch - 1) % self._spec.every_epochs == 0

    def save(self, *, best: bool) -> None:
        """Save now; a request right after an epoch's end asks for the same step again."""
        if self._writer is None or self._state.step == self._saved_step:
            return
        self._saved_step = self._state.step
        started = time.perf_counter()
        snapshot = self._state.snapshot(best=best, into=self._writer.take_written())
        self._check(snapshot)
        self._writer.put(snapshot)
        stall = time.perf_counter() - started
        self._saved_at = time.monotonic()
        self._reporter.points(self._state.step, {"checkpoint_stall_seconds": stall})
