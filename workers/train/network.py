"""Builds the network, loss and arithmetic of a spec."""

import hashlib

import keras
import tensorflow as tf

from models.build import build_model
from models.keras_defaults import use_defaults
from models.losses import Loss, LossConfig, balanced_class_weights, make_loss
from service.domain.spec import LossSpec, Spec
from workers.train.checkpoints.writer import copy_variables
from workers.train.data.images import RunImages


def fix_arithmetic(spec: Spec) -> None:
    """Set seeds, precision and determinism, before anything is built."""
    use_defaults()
    keras.utils.set_random_seed(spec.training.seed)
    keras.config.set_dtype_policy(spec.training.precision)
    if spec.training.deterministic:
        tf.config.experimental.enable_op_determinism()


def build_network(spec: Spec, images: RunImages) -> keras.Model:
    """Build the spec's network for these images: pixels to probabilities."""
    size, statistics = spec.data.image_size, images.statistics
    deviations = statistics.std if spec.data.normalize == "standardize" else (1.0,) * images.channels
    return build_model(
        spec.model,
        input_shape=(size, size, images.channels),
        num_classes=images.num_classes,
        seed=spec.training.seed,
        pixel_mean=statistics.mean,
        pixel_std=deviations,
    )


def make_spec_loss(spec: LossSpec, images: RunImages) -> Loss:
    """Make the spec's loss for these training images."""
    focal = spec.name == "focal"
    weights = balanced_class_weights(images.train_labels, num_classes=images.num_classes)
    return make_loss(
        LossConfig(
            focal_gamma=spec.gamma if focal else 0.0,
            alpha=spec.alpha if focal else 1.0,
            label_smoothing=spec.label_smoothing,
            class_weights=weights if spec.class_weights == "balanced" else None,
        )
    )


def weights_digest(model: keras.Model) -> str:
    """SHA-256 over the bytes of every variable of a model, in order, in hex."""
    digest = hashlib.sha256()
    for array in copy_variables(model.variables):
        digest.update(array.tobytes())
    return digest.hexdigest()
