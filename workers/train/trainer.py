"""Trains one spec on its devices from the start or from a checkpoint, and reports as it goes."""

import math
import os
import time
from pathlib import Path

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from models.build import logits_model
from models.diagnostics import list_not_finite
from models.errors import DatasetError
from models.losses import TOP
from models.trained.saved_network import BEST_FILE, FINAL_FILE
from service.domain.spec import Spec
from service.domain.states import Cause
from workers.train import launch as files
from workers.train.batches import Feed
from workers.train.checkpoint_files import Position, Snapshot
from workers.train.checkpointing import (
    CheckpointWriter,
    assign_variables,
    copy_variables,
    explain_difference,
    find_checkpoint,
)
from workers.train.devices import pin_devices
from workers.train.diagnosing import Diagnosis
from workers.train.epoch_feed import make_feed
from workers.train.images import load_images
from workers.train.launch import Launch
from workers.train.loop import ACCURACY, LOSS, PENALTY, Loop, Scores, steps_per_call
from workers.train.network import build_network, fix_arithmetic, make_spec_loss, weights_digest
from workers.train.optimizers import make_optimizer
from workers.train.reporter import Reporter
from workers.train.results import describe_images, find_best_checkpoint, save_network
from workers.train.running_means import RunningMeans
from workers.train.schedule import EpochSchedule, read_epoch_state
from workers.train.stopping import Stopped, StopRequest

POINTS_PER_EPOCH = 20
PROGRESS_SECONDS = 0.5


class DivergedError(Exception):
    """The loss is no number any more; the message says where it began and what to change."""


class Trainer:
    """One attempt: `run` trains to the end, or until it is told to stop, and returns the outcome."""

    def __init__(
        self, spec: Spec, launch: Launch, run_dir: Path, reporter: Reporter, stop: StopRequest
    ) -> None:
        self._spec = spec
        self._launch = launch
        self._run_dir = run_dir
        self._reporter = reporter
        self._stop = stop
        self._strategy = pin_devices(launch)
        fix_arithmetic(spec)
        with self._strategy.scope():
            self._images = load_images(
                spec,
                self._strategy,
                datasets_dir=Path(launch.datasets_dir),
                surveys_dir=run_dir.parent.parent / files.SURVEYS_DIR,
                threads=launch.threads,
                say=self._say_stage,
            )
            _check_batch(spec, self._images.train.count)
            self._model = build_network(spec, self._images)
            self._network = logits_model(self._model)
            self._optimizer = make_optimizer(spec.optimizer)
            self._optimizer.build(self._network.trainable_variables)
        self._loop = Loop(
            self._network,
            self._optimizer,
            self._strategy,
            batch_size=spec.training.batch_size,
            resize=spec.data.resize,
            loss=make_spec_loss(spec.loss, self._images),
        )
        self._diagnosis: Diagnosis | None = None
        if spec.training.diagnostics:
            with self._strategy.scope():
                self._diagnosis = Diagnosis(
                    self._network,
                    self._images.train,
                    self._images.train_labels,
                    self._loop,
                )
        self._schedule = EpochSchedule(spec)
        self._steps_per_epoch = self._images.train.count // spec.training.batch_size
        self._means = RunningMeans(
            steps_per_point=max(1, math.ceil(self._steps_per_epoch / POINTS_PER_EPOCH))
        )
        self._step = 0
        self._epoch = 1
        self._step_in_epoch = 0
        self._trained_seconds = 0.0
        self._step_seconds = math.inf
        self._progress_at = 0.0
        self._first_call = True
        self._saved_step = -1
        self._resume_note = ""
        self._resume_exact = True

    def run(self) -> tuple[str, str, dict[str, object]]:
        """Train; returns outcome, reason and results of the `ended` event."""
        self._resume()
        if self._diagnosis:
            self._initial = self._snapshot(best=False)
        writer = CheckpointWriter(
            self._run_dir / files.CHECKPOINTS_DIR, self._reporter, keep=self._spec.checkpoint.keep
        )
        try:
            self._train_epochs(writer)
        finally:
            writer.close()
        if self._is_finished():
            return "succeeded", self._schedule.stop_reason(self._epoch - 1), self._finish()
        if self._stop.reason:
            return "interrupted", f"{self._stop.reason}; stopped after step {self._step}", {}
        limit = self._spec.resources.time_limit_minutes
        return (
            "failed",
            f"the time limit of {limit:g} min was reached in epoch {self._epoch}",
            {"cause": Cause.TIME_LIMIT.value},
        )

    def _say_stage(self, text: str) -> None:
        self._reporter.stage(text)
        if self._stop.reason:
            raise Stopped(self._stop.reason)

    def _train_epochs(self, writer: CheckpointWriter) -> None:
        """Train until the end, an early stop or a request; whatever ends it, a checkpoint is written."""
        while not self._is_finished():
            started, first_step = time.perf_counter(), self._step_in_epoch
            self._train_epoch()
            if self._step_in_epoch < self._steps_per_epoch:
                self._save(writer, best=False)
                return
            images = (self._steps_per_epoch - first_step) * self._spec.training.batch_size
            best = self._end_epoch(images / (time.perf_counter() - started))
            due = (self._epoch - 1) % self._spec.checkpoint.every_epochs == 0
            if best or due or self._is_finished() or self._must_stop():
                self._save(writer, best=best)
            if self._must_stop():
                return

    def _is_finished(self) -> bool:
        """Whether nothing is left to train, also right after a resume."""
        done = self._epoch - 1
        return done >= self._spec.training.epochs or bool(self._schedule.stop_reason(done))

    def _train_epoch(self) -> None:
        self._optimizer.learning_rate = self._schedule.start_epoch(self._epoch)
        feed = self._make_feed()
        try:
            self._train_batches(feed)
        finally:
            feed.close()

    def _train_batches(self, feed: Feed) -> None:
        while self._step_in_epoch < self._steps_per_epoch and not self._must_stop():
            left = self._steps_per_epoch - self._step_in_epoch
            left = min(left, feed.most_steps)
            steps = 1 if self._first_call else steps_per_call(self._step_seconds, left=left)
            started = time.perf_counter()
            reports = self._loop.train(feed.take(self._step_in_epoch, steps=steps), steps=steps)
            seconds = time.perf_counter() - started
            self._trained_seconds += seconds
            self._note_first_step()
            self._step_seconds = seconds / steps
            for report in reports:
                self._take_in(report)
            self._show_progress()

    def _make_feed(self) -> Feed:
        return make_feed(self._spec, self._images, epoch=self._epoch, first=self._step_in_epoch)

    def _note_first_step(self) -> None:
        if self._first_call:
            self._first_call = False
            note = "; ".join(filter(None, [self._resume_note, self._images.note]))
            self._reporter.started(step=self._step, exact=self._resume_exact, note=note)

    def _take_in(self, report: npt.NDArray[np.float32]) -> None:
        self._step += 1
        self._step_in_epoch += 1
        if not np.isfinite(report).all():
            where = self._name_first_nan(self._step) if self._diagnosis else ""
            raise DivergedError(
                f"the loss is {report[LOSS] + report[PENALTY]} at step {self._step} (epoch {self._epoch})"
                f"{where}: training diverged. Try a smaller learning rate than {self._spec.optimizer.lr:g} "
                "(--lr), another --init, or weaker --l1 and --l2"
            )
        last = self._step_in_epoch == self._steps_per_epoch
        mean = self._means.add(report, step_in_epoch=self._step_in_epoch, last=last)
        if mean is not None:
            values = {"batch_loss": mean[LOSS] + mean[PENALTY], "batch_accuracy": mean[ACCURACY]}
            self._reporter.points(self._step, values)

    def _end_epoch(self, images_per_second: float) -> bool:
        mean = self._means.epoch_mean(self._steps_per_epoch)
        values = {
            "loss": mean[LOSS] + mean[PENALTY],
            "data_loss": mean[LOSS],
            "penalty": mean[PENALTY],
            "accuracy": mean[ACCURACY],
            "lr": self._schedule.state.lr,
            "images_per_second": images_per_second,
        }
        if self._images.validation.count:
            scores = self._loop.evaluate(self._images.validation)
            values |= {"val_loss": scores.loss, "val_accuracy": scores.accuracy} | self._top5("val", scores)
        measured = self._diagnosis.measure() if self._diagnosis else {}
        self._reporter.points(self._step, {**values, **measured})
        self._reporter.epoch(self._epoch)
        best = self._schedule.end_epoch(self._epoch, values)
        self._epoch += 1
        self._step_in_epoch = 0
        self._means.start_epoch()
        return best

    def _top5(self, part: str, scores: Scores) -> dict[str, float]:
        """Of five classes or fewer, the right one is always among the top five."""
        return {f"{part}_top5_accuracy": scores.top5_accuracy} if self._images.num_classes > TOP else {}

    def _name_first_nan(self, failed_step: int) -> str:
        """Train again from the newest checkpoint, step by step, until a layer's weights are no numbers.

        The loss shows it a step late, when the numbers have spread to all layers. What is repeated is bit
        for bit what happened, so the layer that is found is the one. Backwards, a gradient that is no
        number spreads to the layers before: the last of them is where it began.
        """
        folder = self._run_dir / files.CHECKPOINTS_DIR
        own = sorted((str(path) for path in folder.glob("step-*")), reverse=True)
        snapshot, _ = find_checkpoint([*own, *self._launch.resume_from], spec_digest=self._spec.digest())
        if snapshot is None:
            snapshot = self._initial
        self._restore(snapshot)
        while self._step < failed_step:
            feed = self._make_feed()
            try:
                while self._step_in_epoch < self._steps_per_epoch and self._step < failed_step:
                    self._loop.train(feed.take(self._step_in_epoch, steps=1), steps=1)
                    self._step += 1
                    self._step_in_epoch += 1
                    layers = list_not_finite(self._network)
                    if layers:
                        return f", after the weights of {layers[-1]} became so at step {self._step}"
            finally:
                feed.close()
            self._epoch, self._step_in_epoch = self._epoch + 1, 0
        return ", by the loss itself: all weights are numbers"

    def _finish(self) -> dict[str, object]:
        """Score the test images, store the network and say what became of it."""
        if self._images.test.count:
            scores = self._loop.evaluate(self._images.test)
            values = {"test_loss": scores.loss, "test_accuracy": scores.accuracy} | self._top5("test", scores)
            self._reporter.points(self._step, values)
        digest = weights_digest(self._model)
        describe_images(self._spec, self._images).save(self._run_dir)
        path = save_network(self._model, self._run_dir / FINAL_FILE)
        own = [str(path) for path in (self._run_dir / files.CHECKPOINTS_DIR).glob("step-*")]
        best = find_best_checkpoint([*own, *self._launch.resume_from], spec_digest=self._spec.digest())
        if best is not None:
            assign_variables(self._network.variables, best.network)
            save_network(self._model, self._run_dir / BEST_FILE)
        return {"weights_digest": digest, "model": str(path)}

    def _resume(self) -> None:
        digest = self._spec.digest()
        snapshot, self._resume_note = find_checkpoint(self._launch.resume_from, spec_digest=digest)
        if snapshot is None:
            return
        self._restore(snapshot)
        difference = explain_difference(snapshot.environment, self._environment())
        self._resume_exact = not difference
        self._reporter.epoch(self._epoch - 1)
        notes = [self._resume_note, f"not exact: {difference}" if difference else ""]
        self._resume_note = "; ".join(filter(None, notes))

    def _restore(self, snapshot: Snapshot) -> None:
        assign_variables(self._network.variables, snapshot.network)
        assign_variables(self._optimizer.variables, snapshot.optimizer)
        position = snapshot.position
        self._step, self._epoch, self._step_in_epoch = (
            position.step,
            position.epoch,
            position.step_in_epoch,
        )
        self._means.restore(epoch_sums=position.epoch_sums, point_sums=position.point_sums)
        self._schedule.state = read_epoch_state(dict(position.epoch_state))
        self._trained_seconds = position.trained_seconds

    def _save(self, writer: CheckpointWriter, *, best: bool) -> None:
        if self._step != self._saved_step:  # a request right after an epoch's end asks for the same again
            self._saved_step = self._step
            writer.put(self._snapshot(best=best))

    def _snapshot(self, *, best: bool) -> Snapshot:
        return Snapshot(
            position=Position(
                step=self._step,
                epoch=self._epoch,
                step_in_epoch=self._step_in_epoch,
                epoch_sums=tuple(self._means.epoch_sums.tolist()),
                point_sums=tuple(self._means.point_sums.tolist()),
                epoch_state=self._schedule.state.to_json(),
                trained_seconds=self._trained_seconds,
            ),
            network=copy_variables(self._network.variables),
            optimizer=copy_variables(self._optimizer.variables),
            environment=self._environment(),
            spec_digest=self._spec.digest(),
            best=best,
        )

    def _environment(self) -> dict[str, object]:
        """Everything outside the spec that changes the last bit of a result."""
        return {
            "tensorflow": tf.__version__,
            "keras": keras.__version__,
            "devices": "simulated" if self._launch.simulated else "gpu",
            "replicas": self._strategy.num_replicas_in_sync,
            "threads": self._launch.threads,
            "images": self._images.fingerprint,
            "onednn": os.environ.get("TF_ENABLE_ONEDNN_OPTS", "default"),
        }

    def _must_stop(self) -> bool:
        return bool(self._stop.reason) or self._over_time()

    def _over_time(self) -> bool:
        limit = self._spec.resources.time_limit_minutes
        return limit is not None and self._trained_seconds > 60 * limit

    def _show_progress(self) -> None:
        now = time.monotonic()
        done = self._step_in_epoch == self._steps_per_epoch
        if now < self._progress_at and not done:
            return
        self._progress_at = now + PROGRESS_SECONDS
        mean = self._means.epoch_mean(self._step_in_epoch)
        self._reporter.progress(
            epoch=self._epoch,
            epochs=self._spec.training.epochs,
            step=self._step,
            steps_per_epoch=self._steps_per_epoch,
            images_per_second=self._spec.training.batch_size / self._step_seconds,
            loss=float(mean[LOSS] + mean[PENALTY]),
            accuracy=float(mean[ACCURACY]),
        )


def _check_batch(spec: Spec, num_images: int) -> None:
    if spec.training.batch_size > num_images:
        raise DatasetError(
            f"training.batch_size must be at most the {num_images} training images of {spec.data.dataset}. "
            f"Received: {spec.training.batch_size}"
        )
