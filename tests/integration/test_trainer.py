"""Trainers as a worker starts them: real processes, real images, devices simulated on the CPU."""

import json
import os
import re
import resource
import signal
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from cnnctl.files import PREDICTIONS_FILE
from models.datasets.load import load_arrays
from models.datasets.split import hold_out
from models.datasets.subset import choose_subset
from models.predictions import Predictions, load_predictions
from service.domain import run_folder as files
from service.domain.run_folder import TENSORS_FILE
from tests.devices import on_one_or_two, on_two_devices
from tests.saved_again import ask, predict, score_by_keras
from tests.trainer_run import NEVER, Run
from workers.attempts.starter import Starter
from workers.train.checkpoints.files import (
    read_checkpoint,
    read_manifest,
    write_checkpoint,
    write_manifest,
)


@pytest.fixture
def run(tmp_path: Path, starter: Starter) -> Callable[..., Run]:
    """Start a trainer in a folder of its own."""
    made: list[Run] = []

    def start(**arguments: Any) -> Run:
        made.append(Run(tmp_path / str(len(made)), starter))
        return made[-1].start(**arguments)

    return start


def predictions(run: Run) -> Predictions:
    return load_predictions(run.folder / PREDICTIONS_FILE)


def predict_again(run: Run) -> Mapping[str, npt.NDArray[np.float32]]:
    """The saved network's probabilities of the test images, by one view and by ten."""
    return ask(predict, run.folder, run.folder / "again.npz")


@pytest.mark.parametrize(("gpus", "threads"), [(1, 2), (2, 2), (2, 4)], ids=["shards", "replicas", "both"])
def test_replicas_and_their_shards_end_with_the_weights_of_one_device_after_20_steps(
    run: Callable[..., Run], gpus: int, threads: int
) -> None:
    fields = {"model.l2": 1e-3, "training.batch_size": 64, "training.epochs": 1}
    one = run(threads=1, fields=fields)
    two = run(gpus=gpus, threads=threads, fields=fields)
    one.end()
    two.end()
    first, second = one.last_checkpoint(), two.last_checkpoint()
    assert second.environment["shards"] == threads // gpus
    assert first.position.step == 20
    differences = [
        float(np.abs(np.subtract(a, b)).max())
        for a, b in zip(first.network, second.network, strict=True)
        if a.dtype.kind == "f"
    ]
    assert len(differences) > 0
    assert max(differences) <= 1e-6
    assert two.values("test_accuracy") == pytest.approx(one.values("test_accuracy"), abs=1 / 360)
    said, said_by_two = predictions(one), predictions(two)
    np.testing.assert_array_equal(said_by_two.labels, said.labels)
    np.testing.assert_allclose(said_by_two.probabilities, said.probabilities, atol=1e-5)


@pytest.mark.parametrize("optimizer", ["sgd", "alexnet", "adam"])
def test_the_weights_into_each_unit_stay_within_their_bound(run: Callable[..., Run], optimizer: str) -> None:
    fields = {"optimizer.name": optimizer, "optimizer.max_norm": 0.3, "training.epochs": 1}
    one = run(fields=fields)
    two = run(gpus=2, fields=fields)
    one.end()
    two.end()
    for array, of_two in zip(one.last_checkpoint().network, two.last_checkpoint().network, strict=True):
        if array.ndim > 1:
            norms = np.linalg.norm(array.reshape(-1, array.shape[-1]), axis=0)
            assert 0.29 < norms.max() <= 0.3 + 1e-6  # the first weights of every layer are larger
        np.testing.assert_allclose(of_two.astype(np.float64), array.astype(np.float64), atol=1e-4)


def test_what_is_said_of_each_test_image_is_kept_and_counted_in_the_metrics(run: Callable[..., Run]) -> None:
    trained = run(threads=2, fields={"training.epochs": 1, "training.batch_size": 50})
    assert trained.end()["outcome"] == "succeeded"
    said, digits = predictions(trained), load_arrays("digits", directory=None)
    np.testing.assert_array_equal(said.labels, digits.y_test)
    assert trained.values("test_accuracy") == [pytest.approx((said.classes == said.labels).mean())]
    assert trained.values("test_worst_recall") == [pytest.approx(min(said.recalls().values()))]
    p_NK = predict_again(trained)["centre"]
    np.testing.assert_array_equal(said.classes, p_NK.argmax(-1))
    np.testing.assert_allclose(said.probabilities, p_NK.max(-1), atol=1e-5)


@pytest.mark.parametrize(
    ("gpus", "options"),
    [
        pytest.param(1, {"model.dropout": "spatial:0.3", "model.norm": "batch"}, marks=pytest.mark.long),
        (2, {"model.dropout": "spatial:0.3", "model.norm": "batch", "optimizer.max_norm": 0.5}),
        (1, {}),  # in two shards
    ],
)
def test_a_run_that_is_stopped_and_resumed_ends_with_the_same_bits(
    run: Callable[..., Run], gpus: int, options: dict[str, object]
) -> None:
    fields = {**options, "optimizer.name": "adam", "schedule.name": "plateau", "training.epochs": 10}
    whole = run(gpus=gpus, threads=2, fields=fields)
    whole_end = whole.end()
    stopped = run(gpus=gpus, threads=2, fields=fields)
    stopped.wait_for("epoch")
    stopped.terminate()
    assert stopped.end()["outcome"] == "interrupted"
    position = stopped.last_checkpoint().position
    assert 0 < position.step < 400
    checkpoint = str(max((stopped.folder / files.CHECKPOINTS_DIR).glob("step-*")))
    resumed = run(gpus=gpus, threads=2, fields=fields, resume_from=(checkpoint,))
    assert resumed.end()["weights_digest"] == whole_end["weights_digest"]
    for name in ("batch_loss", "loss", "val_loss", "accuracy", "lr"):
        together = [*stopped.values(name), *resumed.values(name)]
        assert together == whole.values(name), name


def test_a_resume_on_another_number_of_replicas_says_that_it_is_not_exact(run: Callable[..., Run]) -> None:
    fields: dict[str, object] = {"training.epochs": 2, "model.dropout": "spatial:0.2"}
    first = run(fields=fields)
    first.end()
    checkpoint = min((first.folder / files.CHECKPOINTS_DIR).glob("step-*"))
    on_two = run(gpus=2, fields=fields, resume_from=(str(checkpoint),))
    assert on_two.end()["outcome"] == "succeeded"
    (started,) = [event for event in on_two.events() if event["kind"] == "started"]
    assert started["step"] == read_checkpoint(checkpoint).position.step
    assert not started["exact"]
    assert "not exact: replicas 1 → 2" in started["note"]


def test_a_resume_with_other_training_never_takes_the_checkpoint(run: Callable[..., Run]) -> None:
    first = run(fields={"training.epochs": 1})
    first.end()
    other = run(fields={"training.epochs": 1, "model.l2": 1e-3}, resume_from=first.newest_first())
    ended = other.end()
    assert (ended["outcome"], ended["pause"]) == ("interrupted", True)
    assert "it cannot continue from any of its checkpoints: " in ended["reason"]
    assert "another spec" in ended["reason"]
    assert not any(event["kind"] == "started" for event in other.events())


def test_a_checkpoint_of_the_same_spec_and_another_network_is_not_taken(run: Callable[..., Run]) -> None:
    fields = {"training.epochs": 1}
    first = run(fields=fields)
    first.end()
    wider = run(fields={**fields, "model.norm": "batch"})
    wider.end()
    (path,) = map(Path, wider.newest_first())
    manifest = read_manifest(path)
    del manifest["sealed"]
    write_manifest(path, {**manifest, "spec_digest": first.last_checkpoint().spec_digest})
    resumed = run(fields=fields, resume_from=(str(path),))
    ended = resumed.end()
    assert (ended["outcome"], ended["pause"]) == ("interrupted", True)
    assert "arrays of another network" in ended["reason"]


# What an epoch of 40 steps is cut into by these is no whole number of anything.
BETWEEN = {
    "training.epochs": 3,
    "checkpoint.every_steps": 7,
    "model.dropout": "standard:0.3",
    "optimizer.name": "adamw",
    "schedule.name": "plateau",
    "schedule.patience_epochs": 1,
    "training.early_stopping.patience_epochs": 2,
}


@on_two_devices
def test_every_checkpoint_between_epochs_leads_to_the_same_end(run: Callable[..., Run], gpus: int) -> None:
    whole = run(gpus=gpus, threads=2, fields=BETWEEN)
    digest = whole.end()["weights_digest"]
    checkpoints = whole.newest_first()
    steps = [int(path[-10:]) for path in checkpoints]
    assert {*range(7, 120, 7), 40, 80, 120} == set(steps)
    for path, step in list(zip(checkpoints, steps, strict=True))[1::9]:
        resumed = run(gpus=gpus, threads=2, fields=BETWEEN, resume_from=(path,))
        assert resumed.end()["weights_digest"] == digest, step
        for name in ("batch_loss", "loss", "accuracy", "val_loss", "lr"):
            assert resumed.values(name) == whole.values(name, after=step), (step, name)


def test_a_trainer_killed_at_any_moment_loses_at_most_the_interval(run: Callable[..., Run]) -> None:
    fields = {**BETWEEN, "training.epochs": 8, "training.early_stopping.patience_epochs": 0}
    whole = run(fields=fields)
    killed = run(fields=fields)
    killed.wait_for("checkpoint")
    killed.process.kill()
    killed.process.join()
    left = killed.newest_first()
    resumed = run(fields=fields, resume_from=left)
    assert resumed.end()["weights_digest"] == whole.end()["weights_digest"]
    (started,) = [event for event in resumed.events() if event["kind"] == "started"]
    assert started["exact"]
    assert started["step"] == int(left[0][-10:])


def best_of(run: Run) -> tuple[int, bytes]:
    """Step and weights of the best checkpoint that a run has left."""
    kept = [read_checkpoint(Path(path)) for path in run.newest_first()]
    best = next(snapshot for snapshot in kept if snapshot.best)
    return best.position.step, b"".join(array.tobytes() for array in best.network)


def test_checkpoints_that_come_too_soon_are_left_out_but_for_the_best_and_the_last(
    run: Callable[..., Run],
) -> None:
    fields = {"training.epochs": 3, "checkpoint.every_steps": 2, "optimizer.lr": 0.1}
    whole = run(fields=fields)
    digest = whole.end()["weights_digest"]
    assert len(whole.newest_first()) == 60
    limited = run(fields=fields, checkpoint_seconds=NEVER)
    assert limited.end()["weights_digest"] == digest
    assert best_of(limited) == best_of(whole)
    steps = {int(path[-10:]) for path in limited.newest_first()}
    assert steps == {2, best_of(whole)[0], 120}


def test_the_best_checkpoint_that_was_held_back_at_a_stop_is_there_or_found_again(
    run: Callable[..., Run],
) -> None:
    fields = {"training.epochs": 10, "optimizer.lr": 0.1}
    whole = run(fields=fields, checkpoint_seconds=NEVER)
    digest, best = whole.end()["weights_digest"], best_of(whole)
    for end in (signal.SIGKILL, signal.SIGTERM):
        stopped = run(fields=fields, checkpoint_seconds=NEVER)
        stopped.wait_for("epoch")
        assert stopped.process.pid is not None
        os.kill(stopped.process.pid, end)
        stopped.process.join()
        resumed = run(fields=fields, checkpoint_seconds=NEVER, resume_from=stopped.newest_first())
        assert resumed.end()["weights_digest"] == digest
        paths = [Path(path) for part in (stopped, resumed) for path in part.newest_first()]
        found = max(path.name for path in paths if read_manifest(path)["best"])
        assert int(found[-10:]) == best[0]


def test_damaged_checkpoints_are_passed_over_and_nothing_begins_anew(run: Callable[..., Run]) -> None:
    fields = {"training.epochs": 3}
    whole = run(fields=fields)
    digest = whole.end()["weights_digest"]
    newest, *others = whole.newest_first()
    data = bytearray((Path(newest) / TENSORS_FILE).read_bytes())
    data[len(data) // 2] ^= 16
    (Path(newest) / TENSORS_FILE).write_bytes(bytes(data))
    resumed = run(fields=fields, resume_from=(newest, *others))
    assert resumed.end()["weights_digest"] == digest
    started = next(event for event in resumed.events() if event["kind"] == "started")
    assert started["step"] == 80
    assert "SHA-256" in started["note"]
    again = run(fields=fields, resume_from=(newest, "/gone/step-0000000040"))
    ended = again.end()
    assert (ended["outcome"], ended["pause"]) == ("interrupted", True)
    assert "/gone/step-0000000040" in ended["reason"]


def test_a_checkpoint_for_which_there_is_no_room_costs_no_training(run: Callable[..., Run]) -> None:
    fields = {"training.epochs": 10}
    whole = run(fields=fields)
    limited = run(fields=fields)
    limited.wait_for("checkpoint")
    # No file may grow beyond this any more: the event log is smaller, a checkpoint is larger.
    assert limited.process.pid is not None
    resource.prlimit(limited.process.pid, resource.RLIMIT_FSIZE, (200_000, 200_000))
    ended = limited.end()
    assert (ended["outcome"], ended["cause"]) == ("failed", "disk_full")
    assert "continues from its newest checkpoint" in ended["reason"]
    assert "could not be written" in limited.log()
    undisturbed = whole.end()
    assert limited.values("val_loss") == whole.values("val_loss")
    resumed = run(fields=fields, resume_from=limited.newest_first())
    assert resumed.end()["weights_digest"] == undisturbed["weights_digest"]


def test_memory_that_is_not_there_fails_with_the_cause_and_advice(run: Callable[..., Run]) -> None:
    ended = run(architecture="mlp", fields={"model.hidden_units": 100_000_000}).end()
    assert (ended["outcome"], ended["cause"]) == ("failed", "out_of_memory")
    assert "Try a smaller training.batch_size or more GPUs" in ended["reason"]


def test_a_loss_that_is_not_finite_fails_with_words_that_help(run: Callable[..., Run]) -> None:
    ended = run(fields={"optimizer.lr": 1e8}).end()
    assert (ended["outcome"], ended["cause"]) == ("failed", "nan_loss")
    assert "diverged" in ended["reason"]
    assert "smaller learning rate" in ended["reason"]


def test_a_last_checkpoint_of_nan_that_an_older_cnnctl_left_is_no_success(
    run: Callable[..., Run], tmp_path: Path
) -> None:
    fields = {"training.epochs": 1}
    whole = run(fields=fields)
    assert whole.end()["outcome"] == "succeeded"
    last = whole.last_checkpoint()
    spoilt = [np.full_like(array, np.nan) if array.dtype.kind == "f" else array for array in last.network]
    (tmp_path / "9" / "checkpoints").mkdir(parents=True)
    written = write_checkpoint(tmp_path / "9" / "checkpoints", replace(last, network=spoilt))
    resumed = run(fields=fields, resume_from=(str(written.path),))
    ended = resumed.end()
    assert (ended["outcome"], ended["cause"]) == ("failed", "nan_loss")
    assert "a weight of conv1" in ended["reason"]
    assert not [*resumed.folder.glob("*.keras")]


@on_two_devices
def test_a_network_of_nan_with_a_finite_loss_fails_with_layer_and_step_and_leaves_no_file_of_it(
    run: Callable[..., Run], gpus: int
) -> None:
    """TensorFlow's max pooling drops NaN, so that the loss alone would call this a success."""
    fields = {
        "model.width": 0.125,
        "data.image_size": 32,
        "optimizer.lr": 3.0,
        "training.epochs": 2,
        "training.batch_size": 32,
        "checkpoint.every_steps": 1,
        "checkpoint.keep": 100,
    }
    diverged = run(architecture="alexnet", gpus=gpus, threads=2, fields=fields)
    ended = diverged.end()
    assert (ended["outcome"], ended["cause"]) == ("failed", "nan_loss")
    said = (
        r"gradient of conv\d[\w, ]* is not finite, or .* at step \d+"
        r"|is nan at step \d+ .* conv\d had the largest gradient"
    )
    assert re.search(said, ended["reason"]), ended["reason"]
    assert not [*diverged.folder.glob("*.keras")]
    for path in diverged.newest_first():
        kept = read_checkpoint(Path(path))
        assert all(np.isfinite(array).all() for array in [*kept.network, *kept.optimizer])


def test_early_stopping_succeeds_and_says_why_it_stopped(run: Callable[..., Run]) -> None:
    fields = {"training.epochs": 200, "training.early_stopping.patience_epochs": 2, "optimizer.lr": 0.05}
    stopped = run(fields=fields)
    ended = stopped.end()
    assert ended["outcome"] == "succeeded"
    assert "stopped early" in ended["reason"]
    assert len(stopped.values("val_loss")) < 200


def test_a_run_that_had_stopped_early_trains_no_further_when_it_is_resumed(run: Callable[..., Run]) -> None:
    fields = {"training.epochs": 200, "training.early_stopping.patience_epochs": 2, "optimizer.lr": 0.05}
    first = run(fields=fields)
    digest = first.end()["weights_digest"]
    checkpoint = str(max((first.folder / files.CHECKPOINTS_DIR).glob("step-*")))
    again = run(fields=fields, resume_from=(checkpoint,))
    assert again.end()["weights_digest"] == digest
    assert again.values("loss") == []


def test_the_time_limit_counts_over_all_attempts_and_keeps_a_checkpoint(run: Callable[..., Run]) -> None:
    fields = {"training.epochs": 3, "resources.time_limit_minutes": 1.0}
    first = run(fields=fields)
    first.end()
    checkpoint = min((first.folder / files.CHECKPOINTS_DIR).glob("step-*"))
    manifest = read_manifest(checkpoint)
    manifest["position"]["trained_seconds"] = 61.0
    del manifest["sealed"]
    write_manifest(checkpoint, manifest)
    ended = (again := run(fields=fields, resume_from=(str(checkpoint),))).end()
    assert (ended["outcome"], ended["cause"]) == ("failed", "time_limit")
    assert "time limit of 1 min" in ended["reason"]
    assert again.last_checkpoint().position.step == manifest["position"]["step"]


def test_a_damaged_dataset_is_named_before_training_starts(run: Callable[..., Run], tmp_path: Path) -> None:
    (tmp_path / "mnist.npz").write_bytes(b"PK\x03\x04 no archive")
    ended = run(fields={"data.dataset": "mnist"}, datasets_dir=str(tmp_path)).end()
    assert (ended["outcome"], ended["cause"]) == ("failed", "data_error")
    assert str(tmp_path / "mnist.npz") in ended["reason"]


def test_a_trainer_without_a_worker_checkpoints_and_stops_by_itself(run: Callable[..., Run]) -> None:
    alone = run(fields={"data.dataset": "synthetic", "training.epochs": 2000}, lease_seconds=6)
    ended = alone.end()
    assert ended["outcome"] == "interrupted"
    assert "worker has been gone" in ended["reason"]
    assert alone.last_checkpoint().position.step > 0


KINDS = (
    ("softmax", {"model.dropout": "standard:0.1", "model.init": "zeros"}),
    ("mlp", {"model.hidden_units": 32, "model.l1": 1e-4, "model.activation": "tanh"}),
    ("lenet5", {"training.precision": "mixed_bfloat16", "model.norm": "batch"}),
    (
        "lenet5",
        {"optimizer.name": "adamw", "optimizer.weight_decay": 0.01, "training.deterministic": False},
    ),
    ("lenet5", {"data.augment": "crop:4,mirror,pca:0.1", "optimizer.name": "alexnet"}),
    ("lenet5", {"data.augment": "crop:0", "data.normalize": "mean", "optimizer.lr": 1e-4}),
    ("lenet5", {"loss.name": "focal", "loss.class_weights": "balanced", "optimizer.lr": 0.05}),
    ("lenet5", {"loss.label_smoothing": 0.1, "model.l1": 1e-5, "model.l2": 1e-4}),
)


@pytest.mark.parametrize(("kind", "gpus"), on_one_or_two(KINDS))
def test_every_kind_of_option_trains(
    run: Callable[..., Run], kind: tuple[str, dict[str, object]], gpus: int
) -> None:
    architecture, fields = kind
    trained = run(architecture=architecture, gpus=gpus, threads=2, fields={"training.epochs": 1, **fields})
    ended = trained.end()
    assert ended["outcome"] == "succeeded", ended["reason"]
    assert trained.values("accuracy")[0] > 0.11


def test_the_loss_is_reported_apart_from_its_penalty(run: Callable[..., Run]) -> None:
    trained = run(fields={"training.epochs": 1, "model.l1": 1e-4, "model.l2": 1e-3})
    assert trained.end()["outcome"] == "succeeded"
    (loss,), (data,), (penalty,) = (trained.values(name) for name in ("loss", "data_loss", "penalty"))
    assert penalty > 0.01
    assert loss == pytest.approx(data + penalty, rel=1e-6)
    assert trained.values("val_top5_accuracy")[0] >= trained.values("val_accuracy")[0]


@on_two_devices
def test_diagnostics_are_recorded_of_every_layer_and_epoch_and_change_nothing(
    run: Callable[..., Run], gpus: int
) -> None:
    fields = {"training.epochs": 2, "model.dropout": "spatial:0.2"}
    plain = run(gpus=gpus, threads=2, fields=fields)
    looked_into = run(gpus=gpus, threads=2, fields={**fields, "training.diagnostics": True})
    assert looked_into.end()["weights_digest"] == plain.end()["weights_digest"]
    for layer in ("conv1", "conv2", "fc3", "fc4", "logits"):
        assert len(looked_into.values(f"layer/{layer}/gradient_norm")) == 2
    assert not plain.values("layer/conv1/gradient_norm")


@on_two_devices
def test_a_folder_decoded_as_it_trains_ends_with_the_weights_of_one_in_memory(
    run: Callable[..., Run], photographs: Path, gpus: int
) -> None:
    (photographs / "class1" / "7.jpg").write_bytes(b"not an image")
    fields = {
        "data.dataset": f"folder:{photographs}",
        "data.augment": "crop:0,mirror,pca:0.1",
        "training.batch_size": 8,
        "training.epochs": 2,
    }
    in_memory = run(gpus=gpus, threads=2, fields=fields)
    digest = in_memory.end()["weights_digest"]
    (note,) = (event["note"] for event in in_memory.events() if event["kind"] == "started")
    assert "1 of 120 image files cannot be read and are left out" in note
    assert "7.jpg" in note
    streamed = run(gpus=gpus, threads=2, fields={**fields, "data.in_memory_mib": 0})
    assert streamed.end()["weights_digest"] == digest
    assert streamed.values("test_accuracy") == in_memory.values("test_accuracy")
    np.testing.assert_array_equal(predictions(streamed).labels, predictions(in_memory).labels)
    np.testing.assert_array_equal(predictions(streamed).classes, predictions(in_memory).classes)
    assert streamed.values("val_loss") == in_memory.values("val_loss")
    assert len(streamed.values("val_loss")) == 2


@pytest.mark.parametrize("in_memory_mib", [1024, 0])
def test_a_folder_for_the_validation_is_what_validates(
    run: Callable[..., Run], photographs: Path, in_memory_mib: int
) -> None:
    root = photographs.with_name("split")
    for part, numbers in (("train", range(24)), ("val", range(24, 32)), ("test", range(32, 40))):
        for folder in sorted(photographs.iterdir()):
            (root / part / folder.name).mkdir(parents=True)
            for number in numbers:
                (folder / f"{number}.jpg").rename(root / part / folder.name / f"{number}.jpg")
    fields = {
        "data.dataset": f"folder:{root}",
        "data.in_memory_mib": in_memory_mib,
        "training.batch_size": 8,
        "training.epochs": 1,
    }
    done = run(fields=fields)
    assert done.end()["outcome"] == "succeeded", done.log()
    (progress,) = {event["steps_per_epoch"] for event in done.events() if event["kind"] == "progress"}
    assert progress == 9
    (note,) = (event["note"] for event in done.events() if event["kind"] == "started")
    assert "72 to train on (folder train), 24 for the validation (folder val), 24 to test" in note
    assert not (done.values("val_accuracy")[0] * 24) % 1


def test_what_is_left_out_is_named_and_16_bits_have_one_scale_in_memory_or_not(
    run: Callable[..., Run], tmp_path: Path
) -> None:
    root = tmp_path / "cells"
    for name, top in (("dim", 255), ("lit", 4095)):
        (root / name / "@eaDir").mkdir(parents=True)
        for number in range(12):
            noise = np.random.default_rng(number).integers(0, top + 1, (32, 32)).astype(np.uint16)
            Image.fromarray(noise).save(root / name / f"{number}.png")
    (root / "dim" / "gone.png").symlink_to("/nowhere")
    (root / "dim" / os.fsdecode(b"caf\xe9.png")).write_bytes(b"junk")
    fields = {
        "data.dataset": f"folder:{root}",
        "data.augment": "crop:2",
        "training.batch_size": 4,
        "training.epochs": 1,
        "optimizer.lr": 1e-3,
    }
    runs = [run(fields={**fields, "data.in_memory_mib": most}) for most in (1024, 0)]
    first, second = (one.end() for one in runs)
    assert first["outcome"] == "succeeded", runs[0].log()
    assert first["weights_digest"] == second["weights_digest"]
    for one in runs:
        (note,) = (event["note"] for event in one.events() if event["kind"] == "started")
        assert "24 images in 2 classes (dim, lit)" in note
        assert "1 left out: dim/gone.png is a link that leads out of the folder or nowhere" in note
        assert "; white is 4,095 in 24 files of integers of more than 8 bits; " in note
        assert "1 of 25 image files cannot be read and are left out:" in note
        assert "caf\\xe9.png cannot be read as an image" in note
        about = json.loads((one.folder / "network.json").read_text())
        assert about["white_levels"] == {"integer": 4095}


def test_a_run_stopped_between_files_ends_with_the_weights_of_an_undisturbed_one(
    run: Callable[..., Run], photographs: Path
) -> None:
    fields = {
        "data.dataset": f"folder:{photographs}",
        "data.augment": "crop:2,mirror",
        "data.in_memory_mib": 0,
        "model.dropout": "spatial:0.2",
        "optimizer.lr": 1e-3,
        "training.batch_size": 4,
        "training.epochs": 10,
    }
    undisturbed = run(fields=fields)
    stopped = run(fields=fields)
    stopped.wait_for("started")
    stopped.terminate()
    assert stopped.end()["outcome"] == "interrupted"
    position = stopped.last_checkpoint().position
    checkpoint = str(max((stopped.folder / files.CHECKPOINTS_DIR).glob("step-*")))
    resumed = run(fields=fields, resume_from=(checkpoint,))
    assert resumed.end()["weights_digest"] == undisturbed.end()["weights_digest"]
    assert 0 < position.step < 10 * 20


def test_a_resume_on_other_images_says_that_it_is_not_exact(
    run: Callable[..., Run], photographs: Path
) -> None:
    fields: dict[str, object] = {
        "data.dataset": f"folder:{photographs}",
        "optimizer.lr": 1e-3,
        "training.batch_size": 8,
        "training.epochs": 500,
    }
    stopped = run(fields=fields)
    stopped.wait_for("checkpoint")
    stopped.terminate()
    stopped.end()
    (photographs / "class0" / "1.jpg").unlink()
    checkpoint = str(max((stopped.folder / files.CHECKPOINTS_DIR).glob("step-*")))
    resumed = run(fields=fields, resume_from=(checkpoint,))
    resumed.wait_for("started")
    resumed.terminate()
    (started,) = (event for event in resumed.events() if event["kind"] == "started")
    assert not started["exact"]
    assert "not exact: images " in started["note"]
    resumed.end()


def test_a_trainer_told_to_stop_while_it_reads_images_says_so(
    run: Callable[..., Run], photographs: Path
) -> None:
    stopped = run(
        fields={"data.dataset": f"folder:{photographs}", "training.batch_size": 8}, stop_at_once=True
    )
    final_event = stopped.end()
    assert final_event["outcome"] == "interrupted"
    assert "stopped before its first step" in final_event["reason"]


def test_the_saved_network_predicts_as_well_as_the_run_said(run: Callable[..., Run]) -> None:
    trained = run(fields={"training.epochs": 3})
    path = trained.end()["model"]
    (accuracy,) = ask(score_by_keras, Path(path), trained.folder / "score.npz").values()
    assert float(accuracy) == pytest.approx(trained.values("test_accuracy")[0], abs=1e-9)


def test_a_dataset_that_lies_outside_of_the_roots_is_not_opened(
    run: Callable[..., Run], photographs: Path, tmp_path: Path
) -> None:
    allowed = tmp_path / "allowed"
    allowed.mkdir()
    (allowed / "link").symlink_to(photographs)  # made after the submission was checked
    fields = {"data.dataset": f"folder:{allowed}/link", "data.image_size": 28}
    refused = run(fields=fields, data_roots=(str(allowed),)).end()
    assert (refused["outcome"], refused["cause"]) == ("failed", "data_error")
    assert "does not lie below" in refused["reason"]


def test_a_part_of_the_training_images_is_used_and_the_others_stay_out(run: Callable[..., Run]) -> None:
    fields = {"training.epochs": 1, "data.train_fraction": 0.5, "data.keep": "0:0.1", "training.seed": 3}
    part = run(fields=fields)
    assert part.end()["outcome"] == "succeeded", part.log()
    environment = part.last_checkpoint().environment
    digits = load_arrays("digits", directory=None)
    train, validation = hold_out(digits.y_train, fraction=0.1)
    chosen = choose_subset(digits.y_train[train], fraction=0.5, shares={0: 0.1}, seed=3)
    assert str(environment["images"]).startswith(f"{len(chosen)}+{len(validation)}+{len(digits.y_test)} of")
    counts = np.bincount(digits.y_train[train][chosen])
    assert part.values("chance_accuracy", after=-1) == [pytest.approx(counts.max() / counts.sum())]


def test_ten_views_are_scored_once_beside_the_centre(run: Callable[..., Run]) -> None:
    trained = run(gpus=2, fields={"training.epochs": 2, "data.resize": 36, "training.ten_crop": True})
    assert trained.end()["outcome"] == "succeeded", trained.log()
    y_test, again = load_arrays("digits", directory=None).y_test, predict_again(trained)
    for name, views in (("test_accuracy", "centre"), ("test_ten_crop_accuracy", "ten")):
        right = (again[views].argmax(-1) == y_test).mean()
        assert trained.values(name) == [pytest.approx(right, abs=1 / 360)]
    assert trained.values("test_accuracy") != trained.values("test_ten_crop_accuracy")
