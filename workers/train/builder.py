"""Builds what a trainer works with: devices, images, network, optimizer, loop and the run's state."""

import math
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

import keras
import tensorflow as tf

from models.build import logits_model
from models.errors import DatasetError
from service.domain import run_folder as files
from service.domain.spec import Spec, digest_training
from workers.train.checkpoints.run_state import RunState, describe_environment
from workers.train.data.images import RunImages, load_images
from workers.train.diagnosing import Diagnosis
from workers.train.distributed.agreement import Agreement
from workers.train.distributed.devices import pin_devices
from workers.train.distributed.shards import count_shards
from workers.train.finiteness import Finiteness
from workers.train.loop import Loop
from workers.train.network import build_network, fix_arithmetic, make_spec_loss
from workers.train.optimizers import make_optimizer
from workers.train.process.launch import Launch
from workers.train.process.stopping import StopFlag

POINTS_PER_EPOCH = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class BuiltRun:
    """What a trainer trains with, from the first step to the last.

    Shapes: B batch, H W image, C channels, K classes.
    """

    images: RunImages
    """The images of training, validation and test."""
    model: keras.Model
    """Pixels (B, H, W, C) to probabilities (B, K): what is saved in the end."""
    network: keras.Model
    """`model` without its last activation, on the same variables: pixels to logits (B, K)."""
    optimizer: keras.optimizers.Optimizer
    """Its variables are built, so that a checkpoint can be restored before the first step."""
    loop: Loop
    """Compiled steps and evaluations of `network`."""
    finiteness: Finiteness
    """Refuses reports and snapshots with numbers that are not finite."""
    agreement: Agreement
    """Lets the trainers of several hosts decide together."""
    diagnosis: Diagnosis | None
    """Measures the layers at an epoch's end; None if the spec asks for no diagnostics."""
    environment: Mapping[str, str | int]
    """What can change the last bit of a result and is not in the spec, by name."""
    state: RunState
    """Where training stands: at first the start of epoch 1."""
    steps_per_epoch: int
    """Whole global batches of the training images; the rest of each epoch's order is left out."""


def build_run(
    spec: Spec, launch: Launch, run_dir: Path, stop: StopFlag, *, say: Callable[[str], None]
) -> BuiltRun:
    """Build everything in a fixed order, which the seeds rely on; `say` receives the name of each long step.

    Raises:
        DatasetError: the images cannot be loaded, or are fewer than a batch.
    """
    shards = count_shards(spec, launch)
    # While hosts connect, TensorFlow runs no Python; afterwards its service handles SIGTERM itself.
    with stop.watched_from_outside() if launch.hosts > 1 else nullcontext():
        strategy = pin_devices(launch, shards=shards)
    fix_arithmetic(spec)
    with strategy.scope():
        images = _load(spec, launch, run_dir, strategy, say=say)
        model = build_network(spec, images)
        network = logits_model(model)
        optimizer = make_optimizer(spec.optimizer)
        optimizer.build(network.trainable_variables)
    loop = Loop(
        network,
        optimizer,
        strategy,
        batch_size=spec.training.batch_size,
        resize=spec.data.resize,
        shards=shards,
        loss=make_spec_loss(spec.loss, images),
        max_norm=spec.optimizer.max_norm,
    )
    steps_per_epoch = images.train.count // spec.training.batch_size
    environment = describe_environment(launch, images, replicas=strategy.num_replicas_in_sync, shards=shards)
    return BuiltRun(
        images=images,
        model=model,
        network=network,
        optimizer=optimizer,
        loop=loop,
        finiteness=Finiteness(network, lr=spec.optimizer.lr),
        agreement=Agreement(strategy, hosts=launch.hosts),
        diagnosis=_build_diagnosis(spec, network, images, loop, strategy),
        environment=environment,
        state=_begin(spec, run_dir, network, optimizer, environment, steps_per_epoch=steps_per_epoch),
        steps_per_epoch=steps_per_epoch,
    )


def _begin(
    spec: Spec,
    run_dir: Path,
    network: keras.Model,
    optimizer: keras.optimizers.Optimizer,
    environment: Mapping[str, object],
    *,
    steps_per_epoch: int,
) -> RunState:
    return RunState(
        spec,
        network,
        optimizer,
        spec_digest=digest_training((run_dir / files.SPEC_FILE).read_text()),
        steps_per_point=max(1, math.ceil(steps_per_epoch / POINTS_PER_EPOCH)),
        environment=environment,
    )


def _load(
    spec: Spec,
    launch: Launch,
    run_dir: Path,
    strategy: tf.distribute.Strategy,
    *,
    say: Callable[[str], None],
) -> RunImages:
    images = load_images(
        spec,
        strategy,
        datasets_dir=Path(launch.datasets_dir),
        data_roots=[Path(root) for root in launch.data_roots],
        surveys_dir=files.runs_dir_of(run_dir) / files.SURVEYS_DIR,
        reserve_percent=launch.disk_reserve_percent,
        threads=launch.threads,
        say=say,
    )
    if spec.training.batch_size > images.train.count:
        raise DatasetError(
            f"training.batch_size must be at most the {images.train.count} training images of "
            f"{spec.data.dataset}. Received: {spec.training.batch_size}"
        )
    return images


def _build_diagnosis(
    spec: Spec, network: keras.Model, images: RunImages, loop: Loop, strategy: tf.distribute.Strategy
) -> Diagnosis | None:
    if not spec.training.diagnostics:
        return None
    with strategy.scope():
        return Diagnosis(network, images.train, images.train_labels, loop)
