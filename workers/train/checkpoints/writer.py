"""Copies variables, writes snapshots in a thread, and finds the checkpoint to continue from."""

import queue
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import keras
import numpy as np

from service.disk_reserve import check_free_space
from service.domain.run_folder import is_checkpoint
from service.domain.trainer_events import CheckpointWritten, Stage
from workers.train.checkpoints.files import (
    Array,
    DamagedCheckpoint,
    Snapshot,
    read_checkpoint,
    write_checkpoint,
)
from workers.train.process.reporter import Reporter


def copy_variables(
    variables: Sequence[keras.Variable], into: Sequence[Array] | None = None
) -> Sequence[Array]:
    """Copy variables into host memory, or into the arrays of an earlier copy; a 0-d array stays 0-d.

    Reused memory is four times as fast as memory that the system must allocate first.
    """
    if into is None:
        return [np.asarray(variable.value.numpy()) for variable in variables]
    for variable, array in zip(variables, into, strict=True):
        np.copyto(array, _look_at(variable))
    return into


def make_room(variables: Sequence[keras.Variable]) -> Sequence[Array]:
    """Arrays for a copy of variables, in memory that is already allocated."""
    return [np.full(variable.shape, 0, np.dtype(variable.dtype)) for variable in variables]


def _look_at(variable: keras.Variable) -> Array:
    """A variable's value, without a copy if it is in host memory."""
    tensor = variable.value.read_value()
    return np.asarray(memoryview(tensor)) if "CPU" in tensor.device else tensor.numpy()


def assign_variables(variables: Sequence[keras.Variable], arrays: Sequence[Array]) -> None:
    """Set variables by index.

    Raises:
        DamagedCheckpoint: number or shapes differ, so the arrays belong to another network.
    """
    check_shapes(variables, arrays)
    for variable, array in zip(variables, arrays, strict=True):
        variable.assign(array)


def check_shapes(variables: Sequence[keras.Variable], arrays: Sequence[Array]) -> None:
    """Raise DamagedCheckpoint as `assign_variables` does, without setting anything."""
    shapes, given = [tuple(v.shape) for v in variables], [array.shape for array in arrays]
    if shapes != given:
        raise DamagedCheckpoint(
            f"it holds {len(given)} arrays of another network; {len(shapes)} are expected"
        )


def find_checkpoint(
    candidates: Sequence[str], *, spec_digest: str, of_job: Path
) -> tuple[Snapshot | None, str]:
    """The newest valid checkpoint in a job's folder or None, and why newer ones were skipped."""
    notes: list[str] = []
    for path in candidates:
        try:
            if not is_checkpoint(path, of_job):
                raise DamagedCheckpoint(f"{path} does not lie in {of_job}")
            snapshot = read_checkpoint(Path(path))
            if snapshot.spec_digest == spec_digest:
                return snapshot, "; ".join(notes)
            notes.append(f"{path} belongs to another spec")
        except DamagedCheckpoint as error:
            notes.append(str(error))
    return None, "; ".join(notes)


def explain_difference(then: Mapping[str, object], now: Mapping[str, object]) -> str:
    """Describe how two environments differ; empty if a resume is bit-exact."""
    changed = [name for name in now if then.get(name) != now[name]]
    return ", ".join(f"{name} {then.get(name)} → {now[name]}" for name in changed)


class CheckpointWriter:
    """Writes snapshots one after the other; a full disk costs a checkpoint, not the training.

    If the best snapshot could not be written, it is tried again before any newer one: a run that resumes from
    a newer checkpoint knows that a better one existed and does not produce it again.

    Regular checkpoints leave `reserve_percent` of the disk free; a required checkpoint may use the reserve.
    The writer deletes nothing: the worker does, once SQL knows newer checkpoints (see
    `workers.attempts.pruning`). `prepare` allocates the memory of the first snapshot while training begins.
    """

    def __init__(
        self,
        folder: Path,
        reporter: Reporter,
        *,
        prepare: Callable[[], Snapshot] | None = None,
        reserve_percent: float = 0.0,
    ) -> None:
        self._folder = folder
        self._reporter = reporter
        self._prepare = prepare
        self._reserve_percent = reserve_percent
        self._failed = False
        self._queue: queue.Queue[tuple[Sequence[Snapshot], bool] | None] = queue.Queue(maxsize=1)
        self._written: queue.SimpleQueue[Snapshot] = queue.SimpleQueue()
        self.unwritten_best: Snapshot | None = None  # for others once the writer is closed
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    def put(self, *snapshots: Snapshot, must: bool = False) -> None:
        """Hand over snapshots, oldest first; wait only while earlier snapshots still wait for the disk."""
        self._queue.put((snapshots, must))

    def take_written(self) -> Snapshot | None:
        """A snapshot that is on disk and whose memory may be reused, or None."""
        try:
            return self._written.get_nowait()
        except queue.Empty:
            return None

    def give_back(self, snapshot: Snapshot) -> None:
        """Allow the memory of a snapshot that will not be written to be reused."""
        self._written.put(snapshot)

    def close(self) -> None:
        """Wait until everything is on disk."""
        self._queue.put(None)
        self._thread.join()

    def _work(self) -> None:
        if self._prepare:
            self._written.put(self._prepare())
        while (taken := self._queue.get()) is not None:
            snapshots, must = taken
            left = self.unwritten_best
            if left is not None and not any(snapshot.best for snapshot in snapshots):
                snapshots = (left, *snapshots)
            self.unwritten_best = self._write_all(snapshots, must=must)

    def _write_all(self, snapshots: Sequence[Snapshot], *, must: bool) -> Snapshot | None:
        """Write until one fails; return the best snapshot if it is among the unwritten ones."""
        left = list(snapshots)
        try:
            while left:
                if not must:
                    self._check_room(left[0])
                self._write(left[0])
                self._written.put(left.pop(0))
        except Exception as error:  # safetensors reports a full disk with an exception of its own
            self._tell_failure(f"checkpoint of step {left[0].position.step} could not be written: {error}")
        for snapshot in left:
            if not snapshot.best:
                self._written.put(snapshot)
        return next((snapshot for snapshot in left if snapshot.best), None)

    def _check_room(self, snapshot: Snapshot) -> None:
        size = sum(array.nbytes for array in (*snapshot.network, *snapshot.optimizer))
        check_free_space(self._folder, reserve_percent=self._reserve_percent, wanted_bytes=size)

    def _tell_failure(self, message: str) -> None:
        """Report a failure, once until a checkpoint is written again: the disk has no room for more."""
        if self._failed:
            return
        self._failed = True
        self._reporter.report(
            Stage(text=f"{message}; training continues, and the previous checkpoint is kept")
        )
        with suppress(OSError):  # the disk may be full for trainer.log, too
            print(message, file=sys.stderr, flush=True)  # noqa: T201

    def _write(self, snapshot: Snapshot) -> None:
        written = write_checkpoint(self._folder, snapshot)
        if self._failed:
            self._failed = False
            self._reporter.report(Stage(text=""))
        self._reporter.report(
            CheckpointWritten(
                step=snapshot.position.step,
                epoch=snapshot.position.epoch,
                best=snapshot.best,
                bytes=written.bytes,
                digest=written.digest,
                path=str(written.path),
            )
        )
