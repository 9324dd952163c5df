"""Decides when a checkpoint is due, takes it between two steps, and measures the time."""

import math
import time
from collections.abc import Callable

from service.domain.metrics import STALL
from service.domain.spec import CheckpointSpec
from workers.train.checkpoints.files import Snapshot
from workers.train.checkpoints.run_state import RunState
from workers.train.checkpoints.writer import CheckpointWriter
from workers.train.process.reporter import Reporter


class Saver:
    """Hands snapshots of a run to its writer: at most one per step, and normally one per `least_seconds`.

    The best snapshot is never dropped: if it comes too soon, it is kept in memory until a better snapshot, or
    until the next one is handed over. It goes to disk before any newer snapshot, so a run that is killed and
    resumed either has it or reaches it again. `check` raises for a snapshot that must not be kept.

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
        least_seconds: float,
    ) -> None:
        self._spec = spec
        self._state = state
        self._writer = writer
        self._reporter = reporter
        self._check = check
        self._least_seconds = least_seconds
        self._best: Snapshot | None = None
        self._saved_step = -1
        self._saved_at = time.monotonic()
        self._not_before = -math.inf

    def most_steps(self) -> int:
        """How many steps may be trained before the next check for a checkpoint."""
        every = self._spec.every_steps
        return every - self._state.step % every if every else 1_000_000

    def save_within_epoch(self) -> None:
        """Save if the interval in steps or time is over."""
        every, minutes = self._spec.every_steps, self._spec.every_minutes
        by_steps = every is not None and self._state.step % every == 0
        by_time = time.monotonic() - self._saved_at > 60 * (math.inf if minutes is None else minutes)
        if by_steps or by_time or self._best:
            self.save(best=False)

    def save_after_epoch(self, *, best: bool, must: bool) -> None:
        """Save after the best epoch so far, or if the interval in epochs is over."""
        due = (self._state.epoch - 1) % self._spec.every_epochs == 0
        if best or due or must or self._best:
            self.save(best=best, must=must)

    def save(self, *, best: bool, must: bool = False) -> None:
        """Save now, if it must or if it is not too soon.

        A stop request right after an epoch's end asks for the same step again.
        """
        if self._writer is None or self._state.step == self._saved_step:
            return
        started = time.perf_counter()
        if must or time.monotonic() >= self._not_before:
            self._hand_over(self._writer, best=best, must=must)
        elif best:
            self._hold(self._writer, self._take(self._writer, best=True))
        else:
            return
        stall = time.perf_counter() - started
        self._reporter.points(self._state.step, {STALL: stall})

    def close(self) -> None:
        """Hand over the best snapshot that is still kept in memory, however the training ended."""
        if self._writer is not None and self._best is not None:
            self._writer.put(self._best, must=True)

    def _hand_over(self, writer: CheckpointWriter, *, best: bool, must: bool) -> None:
        held = self._best
        if held is not None and held.position.step == self._state.step:
            writer.put(held, must=must)
        else:
            newest = self._take(writer, best=best)
            if best:
                self._hold(writer, None)
            writer.put(*([held] if held and not best else []), newest, must=must)
        self._best = None
        self._saved_step = self._state.step
        self._saved_at = time.monotonic()
        self._not_before = self._saved_at + self._least_seconds

    def _hold(self, writer: CheckpointWriter, best: Snapshot | None) -> None:
        if self._best is not None:
            writer.give_back(self._best)
        self._best = best

    def _take(self, writer: CheckpointWriter, *, best: bool) -> Snapshot:
        snapshot = self._state.snapshot(best=best, into=writer.take_written())
        self._check(snapshot)
        return snapshot
