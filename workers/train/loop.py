"""The compiled loops: k training steps a call, and an exact evaluation.

The same code runs on one device and on many. A step sees one global batch; each replica gathers its own
share of it by replica number, so that there is no iterator whose state could be lost. The data loss is
divided by the global batch and the penalty by the number of replicas, because Keras sums gradients over
replicas.

Shapes: B global batch, b images of one replica, k steps of one call, N images, K classes.
"""

from dataclasses import dataclass

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from workers.train.images import Split

# What a step reports, in this order: data loss, penalty, share of images classified right.
LOSS, PENALTY, ACCURACY = range(3)
NUM_REPORTED = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Scores:
    """Cross-entropy and accuracy, means over every image of a split."""

    loss: float
    accuracy: float


class Loop:
    """Trains and evaluates one network; `network` maps raw pixels (b, H, W, C) to logits (b, K)."""

    def __init__(
        self,
        network: keras.Model,
        optimizer: keras.optimizers.Optimizer,
        strategy: tf.distribute.Strategy,
        *,
        batch_size: int,
    ) -> None:
        self._network = network
        self._optimizer = optimizer
        self._strategy = strategy
        self._replicas = strategy.num_replicas_in_sync
        self._batch_size = batch_size
        self._share = batch_size // self._replicas
        self._size = tuple(network.input_shape[1:3])
        # AutoGraph would rewrite the source first: 0.1 s at every start, and files left in /tmp by a kill.
        self._train = tf.function(self._train_steps, reduce_retracing=True, autograph=False)
        self._evaluate = tf.function(self._evaluate_batches, reduce_retracing=True, autograph=False)

    def train(self, split: Split, order: tf.Tensor, *, first: int, steps: int) -> npt.NDArray[np.float32]:
        """Train on batches `first` to `first + steps` of an epoch's order; returns (steps, 3) reports."""
        reports: npt.NDArray[np.float32] = self._train(
            split.images, split.labels, order, tf.constant(first), tf.constant(steps)
        ).numpy()
        return reports

    def evaluate(self, split: Split) -> Scores:
        """Score every image of a split exactly once, whatever the batch size leaves over."""
        loss, right = self._evaluate(split.images, split.labels, tf.constant(split.count)).numpy()
        return Scores(loss=float(loss) / split.count, accuracy=float(right) / split.count)

    def _train_steps(
        self, images: tf.Tensor, labels: tf.Tensor, order: tf.Tensor, first: tf.Tensor, steps: tf.Tensor
    ) -> tf.Tensor:
        def one_step(step: tf.Tensor, reports: tf.TensorArray) -> tuple[tf.Tensor, tf.TensorArray]:
            start = (first + step) * self._batch_size
            batch_B = order[start : start + self._batch_size]
            report = self._strategy.run(self._train_step, args=(images, labels, batch_B))
            return step + 1, reports.write(step, self._strategy.reduce("SUM", report, axis=None))

        empty = tf.TensorArray(tf.float32, size=steps, element_shape=(3,))
        _, reports = tf.while_loop(lambda step, _: step < steps, one_step, (0, empty))
        return reports.stack()

    def _train_step(self, images: tf.Tensor, labels: tf.Tensor, batch_B: tf.Tensor) -> tf.Tensor:
        x_bHWC, y_b = self._gather(images, labels, self._own_share(batch_B))
        variables = self._network.trainable_variables
        with tf.GradientTape() as tape:
            logits_bK = tf.cast(self._network(x_bHWC, training=True), tf.float32)
            losses_b = tf.nn.sparse_softmax_cross_entropy_with_logits(y_b, logits_bK)
            data_loss = tf.reduce_sum(losses_b) / self._batch_size
            penalty = tf.add_n(self._network.losses) / self._replicas if self._network.losses else 0.0
            loss = data_loss + penalty
        gradients = tape.gradient(loss, [variable.value for variable in variables])
        self._optimizer.apply(gradients, variables)
        right = tf.reduce_sum(_is_right(logits_bK, y_b)) / self._batch_size
        return tf.stack([data_loss, tf.cast(penalty, tf.float32), right])

    def _evaluate_batches(self, images: tf.Tensor, labels: tf.Tensor, count: tf.Tensor) -> tf.Tensor:
        def one_batch(start: tf.Tensor, totals: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            batch_B = tf.range(start, start + self._batch_size)
            sums = self._strategy.run(self._evaluate_batch, args=(images, labels, batch_B, count))
            total = tf.cast(self._strategy.reduce("SUM", sums, axis=None), tf.float64)
            return start + self._batch_size, totals + total

        nothing = tf.zeros((2,), tf.float64)
        _, totals = tf.while_loop(lambda start, _: start < count, one_batch, (0, nothing))
        return totals

    def _evaluate_batch(
        self, images: tf.Tensor, labels: tf.Tensor, batch_B: tf.Tensor, count: tf.Tensor
    ) -> tf.Tensor:
        indices_b = self._own_share(batch_B)
        real_b = tf.cast(
            indices_b < count, tf.float32
        )  # the last batch is filled up with images that count 0
        x_bHWC, y_b = self._gather(images, labels, tf.minimum(indices_b, count - 1))
        logits_bK = tf.cast(self._network(x_bHWC, training=False), tf.float32)
        losses_b = tf.nn.sparse_softmax_cross_entropy_with_logits(y_b, logits_bK)
        return tf.stack([tf.reduce_sum(losses_b * real_b), tf.reduce_sum(_is_right(logits_bK, y_b) * real_b)])

    def _own_share(self, batch_B: tf.Tensor) -> tf.Tensor:
        replica = tf.distribute.get_replica_context().replica_id_in_sync_group
        return batch_B[replica * self._share : (replica + 1) * self._share]

    def _gather(
        self, images: tf.Tensor, labels: tf.Tensor, indices_b: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        x_bHWC = tf.cast(tf.gather(images, indices_b), tf.float32)
        if x_bHWC.shape[1:3] != self._size:
            x_bHWC = tf.image.resize(x_bHWC, self._size)
        return x_bHWC, tf.gather(labels, indices_b)


def steps_per_call(step_seconds: float, *, left: int, target_seconds: float = 0.2) -> int:
    """How many steps to put into one call: enough to hide Python, few enough to stop soon."""
    return max(1, min(left, round(target_seconds / max(step_seconds, 1e-6))))


def _is_right(logits_bK: tf.Tensor, y_b: tf.Tensor) -> tf.Tensor:
    return tf.cast(tf.equal(tf.argmax(logits_bK, axis=-1, output_type=tf.int32), y_b), tf.float32)
