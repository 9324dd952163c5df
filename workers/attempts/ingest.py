"""Copies a trainer's event log into SQL, exactly once: the offset commits with the rows."""

from collections.abc import Sequence
from pathlib import Path

import structlog

from service.domain import run_folder as files
from service.domain.checkpoints import Checkpoint
from service.domain.jobs import Attempt, Progress
from service.domain.metrics import Point
from service.domain.people import Actor
from service.domain.states import Action, CheckpointKind
from service.domain.trainer_events import (
    CheckpointWritten,
    Ended,
    EpochCompleted,
    Event,
    Points,
    Stage,
    Started,
    decode,
)
from service.store.jobs import attempts, checkpoints, logs, metrics
from service.store.people import audit
from service.store.transaction import Store, Transaction
from workers.attempts.pruning import prune_checkpoints

log = structlog.get_logger()

MOST_BYTES = 4 * 1024 * 1024  # of events in one transaction


class Ingester:
    """Reads one attempt's event log and log file; `ended` is the final event, once it was read."""

    def __init__(self, store: Store, attempt: Attempt, *, actor: Actor) -> None:
        self._store = store
        self._attempt = attempt
        self._actor = actor
        self._offset = attempt.events_offset
        self._log_size = -1
        self._folder = Path(attempt.run_dir)
        self.ended: Ended | None = None

    def ingest(self) -> bool:
        """Store the events since the last call; False if there were none.

        Raises:
            DatabaseUnavailable: nothing was stored; the next call tries again.
            Fenced: the attempt is no longer this worker's.
        """
        data = self._read_whole_lines()
        if not data:
            return False
        events = self._decode(data)
        with self._store.transaction() as tx:
            attempts.write(tx, self._attempt)  # fences, and locks the row
            # If a commit's answer was lost, the rows are stored and our offset is behind.
            stored = attempts.get_attempt(tx, self._attempt.id).events_offset
            attempts.write(tx, self._attempt, events_offset=self._offset + len(data))
            self._apply(tx, [event for end, event in events if end > stored])
        self._offset += len(data)
        kinds = {type(event) for _, event in events}
        if Ended in kinds:
            self.read_final_event()
        if CheckpointWritten in kinds:
            prune_checkpoints(self._store, self._attempt)
        return True

    def read_final_event(self) -> None:
        """Read the trainer's final event, even if an earlier worker has stored it."""
        self.ended = find_final_event(self._folder) or self.ended

    def store_log_tail(self) -> None:
        """Keep the last 64 KiB of the attempt's log in SQL."""
        path = self._folder / files.LOG_FILE
        size = path.stat().st_size if path.exists() else -1
        if size == self._log_size:
            return
        tail = read_tail(path)
        with self._store.transaction() as tx:
            attempts.write(tx, self._attempt)
            logs.set_log_tail(tx, self._attempt.id, tail)
        self._log_size = size

    def has_lost_log(self) -> bool:
        """Whether the event log is gone or was cut short after events were stored."""
        try:
            return (self._folder / files.EVENTS_FILE).stat().st_size < self._offset
        except FileNotFoundError:
            return self._offset > 0
        except OSError:  # the disk does not respond
            return False

    def _read_whole_lines(self) -> bytes:
        path = self._folder / files.EVENTS_FILE
        if not path.exists():
            return b""
        with path.open("rb") as file:
            file.seek(self._offset)
            data = file.read(MOST_BYTES)
        return data[: data.rfind(b"\n") + 1]

    def _decode(self, data: bytes) -> Sequence[tuple[int, Event]]:
        """The events of whole lines, each with the offset of its line's end; other lines are skipped."""
        end, found, unknown = self._offset, [], 0
        for line in data.splitlines(keepends=True):
            end += len(line)
            event = decode(line)
            if event is None:
                unknown += 1
            else:
                found.append((end, event))
        if unknown:
            log.warning("attempt", action="events_not_understood", attempt=self._attempt.id, count=unknown)
        return found

    def _apply(self, tx: Transaction, events: Sequence[Event]) -> None:
        points = [
            Point(name, event.step, value)
            for event in events
            if isinstance(event, Points)
            for name, value in event.values.items()
        ]
        metrics.add_points(tx, self._attempt.id, points)
        progress = [event for event in events if isinstance(event, Progress)]
        if progress:
            attempts.write_progress(tx, self._attempt, progress[-1])
        for event in events:
            self._apply_one(tx, event)

    def _apply_one(self, tx: Transaction, event: Event) -> None:
        attempt = self._attempt
        match event:
            case Stage():
                attempts.write(tx, attempt, reason=event.text)
            case Started():
                self._apply_started(tx, event)
            case CheckpointWritten() if self._is_own(event.path, checkpoint=True):
                checkpoints.add_checkpoint(tx, attempt.id, _to_checkpoint(event))
            case EpochCompleted():
                attempts.write(tx, attempt, epochs_completed=event.epoch)
            case Ended(model=str(path)) if self._is_own(path):
                attempts.write(tx, attempt, weights_digest=event.weights_digest, model_path=path)

    def _apply_started(self, tx: Transaction, event: Started) -> None:
        attempt = self._attempt
        attempts.write(tx, attempt, reason="")
        if event.environment is not None:
            attempts.write_environment(tx, attempt, event.environment)
        attempts.set_running_if_starting(tx, attempt, start_step=event.step, exact=event.exact)
        detail = f"first step after step {event.step}" + (f"; {event.note}" if event.note else "")
        audit.add_entry(
            tx, attempt.job_id, Action.STARTED, actor=self._actor, attempt_id=attempt.id, detail=detail
        )

    def _is_own(self, path: str, *, checkpoint: bool = False) -> bool:
        """Whether a path lies in this attempt's folder; other paths are not stored."""
        folder = self._folder / files.CHECKPOINTS_DIR if checkpoint else self._folder
        place = files.path_within(path, folder)
        own = bool(files.CHECKPOINT_NAME.fullmatch(place)) if checkpoint else place == Path(path).name
        if not own:
            log.warning("attempt", action="foreign_path", attempt=self._attempt.id, path=path)
        return own


def find_final_event(folder: Path) -> Ended | None:
    """The last event of a run folder's log if it is a final event, else None."""
    whole_lines = read_tail(folder / files.EVENTS_FILE).rpartition("\n")[0]
    last = decode(whole_lines.rpartition("\n")[2])
    return last if isinstance(last, Ended) else None


def read_tail(path: Path) -> str:
    """The last 64 KiB of a log as text, from the start of a line; invalid UTF-8 is marked."""
    if not path.exists():
        return ""
    with path.open("rb") as file:
        size = file.seek(0, 2)
        file.seek(max(0, size - logs.TAIL_BYTES))
        tail = file.read()
    if size > logs.TAIL_BYTES:
        tail = tail[tail.find(b"\n") + 1 :]
    return tail.decode(errors="replace")


def _to_checkpoint(event: CheckpointWritten) -> Checkpoint:
    return Checkpoint(
        step=event.step,
        epoch=event.epoch,
        kind=CheckpointKind.BEST if event.best else CheckpointKind.LAST,
        bytes=event.bytes,
        digest=event.digest,
        path=event.path,
    )
