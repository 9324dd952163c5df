from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from models.losses import LossConfig, balanced_class_weights, is_among_top, make_loss

RANDOM = np.random.default_rng(0)
LOGITS = RANDOM.normal(scale=3, size=(64, 7))
LABELS = RANDOM.integers(0, 7, 64).astype(np.int32)
P = np.exp(LOGITS) / np.exp(LOGITS).sum(axis=1, keepdims=True)
P_RIGHT = P[np.arange(64), LABELS]


def losses(config: LossConfig, logits: Any = LOGITS, labels: Any = LABELS) -> Any:
    return np.asarray(make_loss(config)(tf.constant(labels), tf.constant(logits, tf.float32)))


def test_the_default_is_cross_entropy() -> None:
    np.testing.assert_allclose(losses(LossConfig()), -np.log(P_RIGHT), rtol=1e-5)


def test_focal_loss_follows_its_formula() -> None:
    found = losses(LossConfig(focal_gamma=2.0, alpha=0.25))
    np.testing.assert_allclose(found, -0.25 * (1 - P_RIGHT) ** 2 * np.log(P_RIGHT), rtol=1e-4, atol=1e-7)


def test_focal_loss_counts_hard_images_more() -> None:
    plain, focal = losses(LossConfig()), losses(LossConfig(focal_gamma=2.0))
    hardest, easiest = P_RIGHT.argmin(), P_RIGHT.argmax()
    assert focal[hardest] / plain[hardest] > 100 * focal[easiest] / plain[easiest]


@pytest.mark.parametrize("gamma", [0.5, 1.0, 2.0])
def test_the_focal_losss_gradient_is_finite_where_the_network_is_sure(gamma: float) -> None:
    logits = tf.Variable([[200.0, 0.0], [-200.0, 0.0]])
    with tf.GradientTape() as tape:
        loss = make_loss(LossConfig(focal_gamma=gamma))(tf.constant([0, 0]), logits)
    assert np.isfinite(loss).all()
    assert np.isfinite(tape.gradient(loss, logits)).all()


def test_label_smoothing_equals_kerass() -> None:
    expected = keras.losses.CategoricalCrossentropy(label_smoothing=0.1, reduction="none", from_logits=True)(
        keras.ops.one_hot(LABELS, 7), LOGITS.astype(np.float32)
    )
    np.testing.assert_allclose(losses(LossConfig(label_smoothing=0.1)), expected, rtol=1e-5)


def test_class_weights_multiply_the_losses_of_their_images() -> None:
    weights = np.arange(1.0, 8.0)
    found = losses(LossConfig(class_weights=weights.tolist()))
    np.testing.assert_allclose(found, -np.log(P_RIGHT) * weights[LABELS], rtol=1e-5)


def test_balanced_weights_give_every_class_the_same_say() -> None:
    labels = np.repeat([0, 1, 3], [10, 30, 60])
    weights = np.array(balanced_class_weights(labels, num_classes=4))
    per_class = weights * np.bincount(labels, minlength=4)
    np.testing.assert_allclose(per_class, [100 / 3, 100 / 3, 0, 100 / 3])
    np.testing.assert_allclose(weights[labels].mean(), 1)


def test_half_precision_logits_give_float32_losses() -> None:
    found = make_loss(LossConfig())(tf.constant(LABELS), tf.constant(LOGITS, tf.bfloat16))
    assert found.dtype == tf.float32


def test_the_top_five_are_the_five_largest() -> None:
    found = np.asarray(is_among_top(tf.constant(LABELS), tf.constant(LOGITS, tf.float32)))
    expected = [label in np.argsort(-row)[:5] for row, label in zip(LOGITS, LABELS, strict=True)]
    np.testing.assert_array_equal(found, expected)
    first = np.asarray(is_among_top(tf.constant(LABELS), tf.constant(LOGITS, tf.float32), top=1))
    np.testing.assert_array_equal(first, LOGITS.argmax(axis=1) == LABELS)


def test_ties_and_scores_that_are_no_numbers_count_as_wrong() -> None:
    labels = tf.constant([0, 0])
    scores = tf.constant([[1.0] * 7, [np.nan] + [0.0] * 6], tf.float32)
    assert np.asarray(is_among_top(labels, scores)).tolist() == [0.0, 0.0]
