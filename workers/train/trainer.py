"""Trains one spec on its devices, from the start or from a checkpoint, and reports its progress."""

import math
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from cnnctl.files import PREDICTIONS_FILE
from models.catalog.verdicts import CHANCE
from models.inference.saved_network import BEST_FILE, FINAL_FILE
from models.losses import TOP
from service.domain import run_folder as files
from service.domain.jobs import Progress
from service.domain.spec import Spec
from service.domain.states import Cause, Outcome
from service.domain.trainer_events import Ended, EpochCompleted, Stage, Started
from workers.train.builder import build_run
from workers.train.checkpoints.files import DamagedCheckpoint, Snapshot
from workers.train.checkpoints.saver import Saver
from workers.train.checkpoints.writer import (
    CheckpointWriter,
    assign_variables,
    explain_difference,
    find_checkpoint,
)
from workers.train.data.batches import Feed
from workers.train.data.epoch_feed import make_feed
from workers.train.distributed.agreement import DifferentStarts
from workers.train.loop import ACCURACY, LOSS, PENALTY, Scores, steps_per_call
from workers.train.network import weights_digest
from workers.train.process.launch import Launch
from workers.train.process.reporter import Reporter
from workers.train.process.stopping import StopFlag, Stopped
from workers.train.results import describe_images, find_best_checkpoint, save_network

PROGRESS_SECONDS = 0.5


class Trainer:
    """One attempt: `run` trains to the end, or until it is told to stop, and returns the outcome."""

    def __init__(self, spec: Spec, launch: Launch, run_dir: Path, reporter: Reporter, stop: StopFlag) -> None:
        self._spec = spec
        self._launch = launch
        self._run_dir = run_dir
        self._checkpoints_dir = run_dir / files.CHECKPOINTS_DIR
        self._reporter = reporter
        self._stop = stop
        self._built = built = build_run(spec, launch, run_dir, stop, say=self._say_stage)
        self._images, self._loop, self._state = built.images, built.loop, built.state
        self._steps_per_epoch = built.steps_per_epoch
        self._step_seconds = math.inf
        self._agreed_step_seconds = math.inf
        self._wants_to_stop = False
        self._progress_at = 0.0
        self._first_call = True
        self._resume_note = ""
        self._resume_exact = True
        self._unwritten_best: Snapshot | None = None

    def run(self) -> Ended:
        """Train; returns the final event."""
        if why_not := self._resume():
            reason = f"it cannot continue from any of its checkpoints: {why_not}"
            return Ended(outcome=Outcome.INTERRUPTED, reason=reason, pause=True)
        writer = self._open_writer()
        saver = self._make_saver(writer)
        try:
            self._train_epochs(saver)
        finally:
            saver.close()
            if writer:
                writer.close()
                self._unwritten_best = writer.unwritten_best
        if self._is_finished():
            return self._finish()
        if self._wants_to_stop:
            reason = self._stop.reason or "another host's trainer was told to stop"
            reason = f"{reason}; stopped after step {self._state.step}"
            return Ended(outcome=Outcome.INTERRUPTED, reason=reason)
        reason = (
            f"the time limit of {self._spec.resources.time_limit_minutes:g} min was reached "
            f"in epoch {self._state.epoch}"
        )
        return Ended(outcome=Outcome.FAILED, reason=reason, cause=Cause.TIME_LIMIT.value)

    def _open_writer(self) -> CheckpointWriter | None:
        """Of several hosts, only the chief's trainer writes checkpoints."""
        if self._launch.rank:
            return None
        return CheckpointWriter(
            self._checkpoints_dir,
            self._reporter,
            prepare=self._state.make_room,
            reserve_percent=self._launch.disk_reserve_percent,
        )

    def _make_saver(self, writer: CheckpointWriter | None) -> Saver:
        return Saver(
            self._spec.checkpoint,
            self._state,
            writer,
            self._reporter,
            check=self._built.finiteness.check_snapshot,
            least_seconds=self._launch.checkpoint_seconds,
        )

    def _say_stage(self, text: str) -> None:
        self._reporter.report(Stage(text=text))
        if self._stop.reason:
            raise Stopped(self._stop.reason)

    def _train_epochs(self, saver: Saver) -> None:
        """Train until the end, an early stop or a stop request; in every case, write a checkpoint."""
        while not self._is_finished():
            started, first_step = time.perf_counter(), self._state.step_in_epoch
            self._train_epoch(saver)
            if self._state.step_in_epoch < self._steps_per_epoch:
                saver.save(best=False, must=True)
                return
            images = (self._steps_per_epoch - first_step) * self._spec.training.batch_size
            best = self._end_epoch(images / (time.perf_counter() - started))
            stop = self._must_stop()
            saver.save_after_epoch(best=best, must=self._is_finished() or stop)
            if stop:
                return

    def _is_finished(self) -> bool:
        """Whether nothing is left to train, also right after a resume."""
        done = self._state.epoch - 1
        return done >= self._spec.training.epochs or bool(self._state.schedule.stop_reason(done))

    def _train_epoch(self, saver: Saver) -> None:
        self._built.optimizer.learning_rate = self._state.schedule.start_epoch(self._state.epoch)
        feed = self._make_feed()
        try:
            self._train_batches(feed, saver)
        finally:
            feed.close()

    def _train_batches(self, feed: Feed, saver: Saver) -> None:
        state = self._state
        while state.step_in_epoch < self._steps_per_epoch and not self._must_stop():
            left = min(self._steps_per_epoch - state.step_in_epoch, feed.most_steps, saver.most_steps())
            steps = 1 if self._first_call else steps_per_call(self._agreed_step_seconds, left=left)
            started = time.perf_counter()
            reports = self._loop.train(feed.take(state.step_in_epoch, steps=steps), steps=steps)
            seconds = time.perf_counter() - started
            state.trained_seconds += seconds
            self._note_first_step()
            self._step_seconds = seconds / steps
            for report in reports:
                self._record_step(report)
            self._show_progress()
            if state.step_in_epoch < self._steps_per_epoch:
                saver.save_within_epoch()

    def _make_feed(self) -> Feed:
        state = self._state
        return make_feed(self._spec, self._images, epoch=state.epoch, first=state.step_in_epoch)

    def _note_first_step(self) -> None:
        if self._first_call:
            self._first_call = False
            note = "; ".join(filter(None, [self._resume_note, self._images.note]))
            self._reporter.report(
                Started(
                    step=self._state.step,
                    exact=self._resume_exact,
                    note=note,
                    environment=self._built.environment,
                )
            )
            if self._state.step == 0:
                chance = np.bincount(self._images.train_labels).max() / self._images.train.count
                self._reporter.points(0, {CHANCE: chance})

    def _record_step(self, report: npt.NDArray[np.float32]) -> None:
        state = self._state
        state.step += 1
        state.step_in_epoch += 1
        self._built.finiteness.check_step(report, step=state.step, epoch=state.epoch)
        last = state.step_in_epoch == self._steps_per_epoch
        mean = state.means.add(report, step_in_epoch=state.step_in_epoch, last=last)
        if mean is not None:
            values = {"batch_loss": mean[LOSS] + mean[PENALTY], "batch_accuracy": mean[ACCURACY]}
            self._reporter.points(state.step, values)

    def _end_epoch(self, images_per_second: float) -> bool:
        state = self._state
        mean = state.means.epoch_mean(self._steps_per_epoch)
        values = {
            "loss": mean[LOSS] + mean[PENALTY],
            "data_loss": mean[LOSS],
            "penalty": mean[PENALTY],
            "accuracy": mean[ACCURACY],
            "lr": state.schedule.state.lr,
            "images_per_second": images_per_second,
        }
        if self._images.validation.count:
            scores = self._loop.evaluate(self._images.validation)
            values |= {"val_loss": scores.loss, "val_accuracy": scores.accuracy} | self._top5("val", scores)
        measured = self._built.diagnosis.measure() if self._built.diagnosis else {}
        self._reporter.points(state.step, {**values, **measured})
        self._reporter.report(EpochCompleted(epoch=state.epoch))
        best = state.schedule.end_epoch(state.epoch, values)
        state.end_epoch()
        return best

    def _top5(self, split: str, scores: Scores) -> dict[str, float]:
        """The top-5 metric, if there are more than five classes: otherwise it is always 1."""
        return {f"{split}_top5_accuracy": scores.top5_accuracy} if self._images.num_classes > TOP else {}

    def _list_checkpoints(self) -> list[str]:
        """This attempt's checkpoints and the ones that it could resume from, newest first."""
        own = sorted((str(path) for path in self._checkpoints_dir.glob("step-*")), reverse=True)
        of_job = files.job_folder_of(self._run_dir)
        return [path for path in (*own, *self._launch.resume_from) if files.is_checkpoint(path, of_job)]

    def _find_checkpoint(self, candidates: Sequence[str]) -> tuple[Snapshot | None, str]:
        of_job = files.job_folder_of(self._run_dir)
        return find_checkpoint(candidates, spec_digest=self._state.spec_digest, of_job=of_job)

    def _finish(self) -> Ended:
        """Score the test images, store the network, and return the final event."""
        reason = self._state.schedule.stop_reason(self._state.epoch - 1)
        if self._images.test.count:
            self._test()
        digest, model = (None, None) if self._launch.rank else self._save_results()
        self._built.agreement.share(0.0)  # hosts leave together: one leaving first would disturb the others
        return Ended(outcome=Outcome.SUCCEEDED, reason=reason, weights_digest=digest, model=model)

    def _test(self) -> None:
        """Score the test images once, and let the chief keep what the network says of each."""
        scores = self._loop.evaluate(self._images.test)
        values = {"test_loss": scores.loss, "test_accuracy": scores.accuracy} | self._top5("test", scores)
        values["test_worst_recall"] = min(scores.predictions.recalls().values())
        if self._spec.training.ten_crop:
            values["test_ten_crop_accuracy"] = self._loop.evaluate(self._images.test, ten_crop=True).accuracy
        self._reporter.points(self._state.step, values)
        if not self._launch.rank:
            scores.predictions.save(self._run_dir / PREDICTIONS_FILE)

    def _save_results(self) -> tuple[str, str]:
        """Store the final and the best network; return the digest of the final weights, and the path."""
        digest = weights_digest(self._built.model)
        describe_images(self._spec, self._images).save(self._run_dir)
        path = save_network(self._built.model, self._run_dir / FINAL_FILE)
        best = self._unwritten_best or find_best_checkpoint(
            self._list_checkpoints(), spec_digest=self._state.spec_digest
        )
        if best is not None:
            assign_variables(self._built.network.variables, best.network)
            save_network(self._built.model, self._run_dir / BEST_FILE)
        return digest, str(path)

    def _resume(self) -> str:
        """Continue from the newest valid checkpoint, or from the start if no checkpoint exists.

        If checkpoints exist but none is usable, return why: their work is not discarded without asking.
        """
        state, candidates = self._state, self._launch.resume_from
        snapshot, self._resume_note = self._find_checkpoint(candidates)
        why_not = "" if snapshot else self._resume_note
        if snapshot is not None:
            try:
                self._continue_from(snapshot)
            except DamagedCheckpoint as error:  # another cnnctl builds another network from the same spec
                why_not = f"the checkpoint of step {snapshot.position.step}: {error}"
        (steps,) = self._built.agreement.share(state.step)
        if len(set(steps)) > 1:
            raise DifferentStarts(steps)
        return why_not

    def _continue_from(self, snapshot: Snapshot) -> None:
        state = self._state
        state.restore(snapshot)
        self._built.finiteness.check_snapshot(snapshot)  # an older cnnctl did not check what it wrote
        difference = explain_difference(snapshot.environment, self._built.environment)
        self._resume_exact = not difference
        self._reporter.report(EpochCompleted(epoch=state.epoch - 1))
        notes = [self._resume_note, f"not exact: {difference}" if difference else ""]
        self._resume_note = "; ".join(filter(None, notes))

    def _must_stop(self) -> bool:
        """Whether any host's trainer must stop; then all stop, after the same step."""
        asked, over, seconds = self._built.agreement.share(
            bool(self._stop.reason), self._over_time(), self._step_seconds
        )
        self._wants_to_stop, self._agreed_step_seconds = any(asked), max(seconds)
        return self._wants_to_stop or any(over)

    def _over_time(self) -> bool:
        limit = self._spec.resources.time_limit_minutes
        return limit is not None and self._state.trained_seconds > 60 * limit

    def _show_progress(self) -> None:
        state, now = self._state, time.monotonic()
        if now < self._progress_at and state.step_in_epoch < self._steps_per_epoch:
            return
        self._progress_at = now + PROGRESS_SECONDS
        mean = state.means.epoch_mean(state.step_in_epoch)
        self._reporter.report(
            Progress(
                epoch=state.epoch,
                epochs=self._spec.training.epochs,
                step=state.step,
                steps_per_epoch=self._steps_per_epoch,
                images_per_second=self._spec.training.batch_size / self._step_seconds,
                loss=float(mean[LOSS] + mean[PENALTY]),
                accuracy=float(mean[ACCURACY]),
            )
        )
