"""The compiled loops: k training steps per call, and an exact evaluation with one or ten views per image.

The same code runs on one device and on many. A step sees one global batch; each replica gathers its own
share of it by replica number, so that there is no iterator whose state could be lost. The data loss is
divided by the global batch and the penalty by the number of replicas, because Keras sums gradients over
replicas.

Shapes: B global batch, b images of one shard of a replica, k steps of one call, N images, V views, K classes,
T trained variables, R = 3 + T numbers that a step reports.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from models.losses import Loss, LossConfig, is_among_top, make_loss
from models.predictions import Predictions
from models.views import centre_view, cut_views, ten_views
from workers.train.data.batches import Batches
from workers.train.data.images import Rows, Split
from workers.train.max_norm import MaxNorm

# What a step reports, in this order: data loss, penalty, share of images classified right, and then half the
# sum of squares of each gradient, in the order of the trained variables: one operation each, which is finite
# only where the whole gradient is. A network of NaN can have a finite loss: max pooling drops NaN.
LOSS, PENALTY, ACCURACY = range(3)
NUM_MEANS = 3
NUM_SCORES = 3
# What an evaluation says of an image: its label, the predicted class and that class's probability.
NUM_PREDICTED = 3
# The views (1, 3) that are averaged, as `models.views` has them; none where the image is seen as it is.
Views = tuple[tf.Tensor, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scores:
    """Means over the images of a split, and what was said of each."""

    loss: float
    """Cross-entropy in nats, whatever loss is trained."""
    accuracy: float
    """The share of images whose class has the largest score."""
    top5_accuracy: float
    """The share of images whose class is among the five largest scores."""
    predictions: Predictions
    """Image by image, in the order of the split."""


class Loop:
    """Trains and evaluates one network; `network` maps raw pixels (b, H, W, C) to logits (b, K).

    Images are resized to `resize` pixels per side; the network sees a crop of its own input size.
    """

    def __init__(
        self,
        network: keras.Model,
        optimizer: keras.optimizers.Optimizer,
        strategy: tf.distribute.Strategy,
        *,
        batch_size: int,
        resize: int,
        loss: Loss,
        shards: int = 1,
        max_norm: float = 0.0,
    ) -> None:
        self._network = network
        self._optimizer = optimizer
        self._strategy = strategy
        self._loss = loss
        self._max_norm = MaxNorm(network, max_norm) if max_norm else None
        self._cross_entropy = make_loss(LossConfig())
        self._replicas = strategy.num_replicas_in_sync
        self._batch_size = batch_size
        self._share = batch_size // self._replicas
        self._shards = shards
        self._shard = self._share // shards
        self._side = network.input_shape[1]
        self._resize = resize
        # AutoGraph would rewrite the source first: 0.1 s at every start, and files left in /tmp by a kill.
        self._train = tf.function(self._train_steps, reduce_retracing=True, autograph=False)
        self._evaluate = tf.function(self._evaluate_batches, reduce_retracing=True, autograph=False)

    def train(self, batches: Batches, *, steps: int) -> npt.NDArray[np.float32]:
        """Train on `steps` batches, from the first one on; return reports (k, R)."""
        rows = batches.rows
        varied = (batches.views, batches.shifts)
        reports: npt.NDArray[np.float32] = self._train(
            rows.images, rows.labels, varied, batches.order, tf.constant(batches.first), tf.constant(steps)
        ).numpy()
        return reports

    def evaluate(self, split: Split, *, ten_crop: bool = False) -> Scores:
        """Score every image of a split exactly once, including an incomplete last batch.

        With `ten_crop`, the probabilities of ten views are averaged.
        """
        room = self._resize - self._side
        found_V3 = ten_views(room=room) if ten_crop else centre_view(room=room)
        # A tensor each: TensorFlow would forget the number of views in one, once it has seen two numbers.
        views = tuple(tf.constant(view_3[None]) for view_3 in found_V3) if ten_crop or room else ()
        pieces = split.pieces(batch_size=self._batch_size)
        scored = [self._score_rows(rows, views) for rows in pieces]
        loss, right, near = sum((sums for sums, _ in scored), np.zeros(NUM_SCORES)) / split.count
        labels_N, classes_N, probabilities_N = np.concatenate([predicted for _, predicted in scored]).T
        return Scores(
            loss=float(loss),
            accuracy=float(right),
            top5_accuracy=float(near),
            predictions=Predictions(
                labels=labels_N.astype(np.int32),  # float32 is exact up to 16 million classes
                classes=classes_N.astype(np.int32),
                probabilities=probabilities_N,
            ),
        )

    def look(self, images: tf.Tensor, numbers: tf.Tensor) -> tf.Tensor:
        """Pixels (b, H, W, C) of some images, prepared as in validation."""
        room = self._resize - self._side
        views = tf.repeat(tf.constant(centre_view(room=room)), len(numbers), axis=0) if room else None
        return self._look(images, numbers, views)

    def _score_rows(
        self, rows: Rows, views: Views
    ) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float32]]:
        """Return sums (NUM_SCORES,), and what is said of each image (N, NUM_PREDICTED)."""
        sums, predicted = self._evaluate(rows.images, rows.labels, views, tf.constant(rows.count))
        return sums.numpy(), predicted.numpy().reshape(-1, NUM_PREDICTED)[: rows.count]

    def _train_steps(
        self,
        images: tf.Tensor,
        labels: tf.Tensor,
        varied: tuple[tf.Tensor | None, tf.Tensor | None],
        order: tf.Tensor,
        first: tf.Tensor,
        steps: tf.Tensor,
    ) -> tf.Tensor:
        def one_step(step: tf.Tensor, reports: tf.TensorArray) -> tuple[tf.Tensor, tf.TensorArray]:
            start = (first + step) * self._batch_size
            report = self._strategy.run(self._train_step, args=(images, labels, varied, order, start))
            return step + 1, reports.write(step, self._strategy.reduce("SUM", report, axis=None))

        num_reported = NUM_MEANS + len(self._network.trainable_variables)
        empty = tf.TensorArray(tf.float32, size=steps, element_shape=(num_reported,))
        _, reports = tf.while_loop(lambda step, _: step < steps, one_step, (0, empty))
        return reports.stack()

    def _train_step(
        self,
        images: tf.Tensor,
        labels: tf.Tensor,
        varied: tuple[tf.Tensor | None, tf.Tensor | None],
        order: tf.Tensor,
        start: tf.Tensor,
    ) -> tf.Tensor:
        def learn(begin: tf.Tensor) -> Sequence[tf.Tensor]:
            # A slice of fixed size, so that all shapes are known: gradients then need far fewer operations.
            return self._learn(images, labels, varied, tf.slice(order, [begin], [self._shard]))

        report, *gradients = self._sum_over_shards(learn, start)
        self._optimizer.apply(gradients, self._network.trainable_variables)
        if self._max_norm:
            self._max_norm.apply()
        return report

    def _learn(
        self,
        images: tf.Tensor,
        labels: tf.Tensor,
        varied: tuple[tf.Tensor | None, tf.Tensor | None],
        indices_b: tf.Tensor,
    ) -> Sequence[tf.Tensor]:
        """Return the report (R,) of some images, then their gradients."""
        y_b = tf.gather(labels, indices_b)
        views, shifts = varied
        x_bHWC = self._look(images, indices_b, None if views is None else tf.gather(views, indices_b))
        if shifts is not None:
            x_bHWC += tf.gather(shifts, indices_b)[:, None, None, :]
        with tf.GradientTape() as tape:
            logits_bK = tf.cast(self._network(x_bHWC, training=True), tf.float32)
            data_loss = tf.reduce_sum(self._loss(y_b, logits_bK)) / self._batch_size
            parts = self._replicas * self._shards
            penalty = tf.add_n(self._network.losses) / parts if self._network.losses else 0.0
            loss = data_loss + penalty
        right = tf.reduce_sum(_is_right(logits_bK, y_b)) / self._batch_size
        variables = [variable.value for variable in self._network.trainable_variables]
        gradients = tape.gradient(loss, variables)
        report = [data_loss, tf.cast(penalty, tf.float32), right, *self._measure(gradients)]
        return tf.stack(report), *gradients

    def _measure(self, gradients: Sequence[tf.Tensor]) -> Sequence[tf.Tensor]:
        """Half the sum of squares of each."""
        return [tf.cast(tf.nn.l2_loss(gradient), tf.float32) for gradient in gradients]

    def _evaluate_batches(
        self, images: tf.Tensor, labels: tf.Tensor, views: Views, count: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        def one_batch(
            batch: tf.Tensor, totals: tf.Tensor, predicted: tf.TensorArray
        ) -> tuple[tf.Tensor, tf.Tensor, tf.TensorArray]:
            start = batch * self._batch_size
            found = self._strategy.run(self._evaluate_batch, args=(images, labels, views, start, count))
            found = self._strategy.reduce("SUM", found, axis=None)
            totals += tf.cast(found[:NUM_SCORES], tf.float64)
            return batch + 1, totals, predicted.write(batch, found[NUM_SCORES:])

        batches = -(-count // self._batch_size)
        nothing = tf.zeros((NUM_SCORES,), tf.float64)
        unseen = tf.TensorArray(tf.float32, size=batches, element_shape=(self._batch_size * NUM_PREDICTED,))
        _, totals, predicted = tf.while_loop(
            lambda batch, *_: batch < batches, one_batch, (0, nothing, unseen)
        )
        return totals, predicted.stack()

    def _evaluate_batch(
        self,
        images: tf.Tensor,
        labels: tf.Tensor,
        views: Views,
        start: tf.Tensor,
        count: tf.Tensor,
    ) -> tf.Tensor:
        """Return sums over the images of this replica, and then what is said of each image of the batch.

        All in one vector, so that replicas are summed once: each has zeros in the places of the others.
        """

        def score(begin: tf.Tensor) -> Sequence[tf.Tensor]:
            indices_b = begin + tf.range(self._shard)
            # The last batch is filled with images of weight 0.
            real_b = tf.cast(indices_b < count, tf.float32)
            indices_b = tf.minimum(indices_b, count - 1)
            y_b = tf.gather(labels, indices_b)
            scores_bK = self._score(images, indices_b, views)
            found = [
                self._cross_entropy(y_b, scores_bK),
                _is_right(scores_bK, y_b),
                is_among_top(y_b, scores_bK),
            ]
            sums = tf.stack([tf.reduce_sum(values_b * real_b) for values_b in found])
            before = begin - start
            after = self._batch_size - self._shard - before
            predicted_B3 = tf.pad(_predict(y_b, scores_bK), [[before, after], [0, 0]])
            return [tf.concat([sums, tf.reshape(predicted_B3, [self._batch_size * NUM_PREDICTED])], axis=0)]

        (found,) = self._sum_over_shards(score, start)
        return found

    def _score(self, images: tf.Tensor, indices_b: tf.Tensor, views: Views) -> tf.Tensor:
        """Logits of one view, or the logarithm of the mean probability over several."""
        if len(views) <= 1:
            return self._logits(images, indices_b, *views)
        p_VbK = [tf.nn.softmax(self._logits(images, indices_b, view_13)) for view_13 in views]
        return tf.math.log(tf.add_n(p_VbK) / len(p_VbK) + keras.config.epsilon())

    def _logits(self, images: tf.Tensor, indices_b: tf.Tensor, view_13: tf.Tensor | None = None) -> tf.Tensor:
        views_b3 = None if view_13 is None else tf.repeat(view_13, tf.shape(indices_b)[0], axis=0)
        x_bHWC = self._look(images, indices_b, views_b3)
        return tf.cast(self._network(x_bHWC, training=False), tf.float32)

    def _sum_over_shards(
        self, act: Callable[[tf.Tensor], Sequence[tf.Tensor]], start: tf.Tensor
    ) -> Sequence[tf.Tensor]:
        """Sum the results of `act` over the shards of this replica; `act` gets a shard's first row."""
        begin = start + tf.distribute.get_replica_context().replica_id_in_sync_group * self._share
        if self._shards == 1:
            return act(begin)
        # Not inlined, so it is one operation for the executor: all shards run at once, a thread each.
        shard = tf.function(act, autograph=False, experimental_attributes={"_noinline": True})
        parts = [shard(begin + number * self._shard) for number in range(self._shards)]
        return [tf.add_n(values) for values in zip(*parts, strict=True)]

    def _look(self, images: tf.Tensor, indices_b: tf.Tensor, views_b3: tf.Tensor | None) -> tf.Tensor:
        """Gather images, resize them and crop a view from each: pixels (b, H, W, C), float32."""
        x_bHWC = tf.gather(images, indices_b)
        if x_bHWC.shape[1:3] != (self._resize, self._resize):
            x_bHWC = tf.image.resize(x_bHWC, (self._resize, self._resize))
        if views_b3 is not None:
            x_bHWC = cut_views(x_bHWC, views_b3, side=self._side)
            x_bHWC = tf.ensure_shape(x_bHWC, (None, self._side, self._side, images.shape[-1]))
        return tf.cast(x_bHWC, tf.float32)


def steps_per_call(step_seconds: float, *, left: int, target_seconds: float = 0.2) -> int:
    """How many steps one call has: enough to hide Python's cost, few enough to stop soon."""
    return max(1, min(left, round(target_seconds / max(step_seconds, 1e-6))))


def _is_right(logits_bK: tf.Tensor, y_b: tf.Tensor) -> tf.Tensor:
    return tf.cast(tf.equal(tf.argmax(logits_bK, axis=-1, output_type=tf.int32), y_b), tf.float32)


def _predict(y_b: tf.Tensor, scores_bK: tf.Tensor) -> tf.Tensor:
    """Label, predicted class and its probability, (b, 3) float32."""
    classes_b = tf.cast(tf.argmax(scores_bK, axis=-1), tf.float32)
    return tf.stack(
        [tf.cast(y_b, tf.float32), classes_b, tf.reduce_max(tf.nn.softmax(scores_bK), axis=-1)], axis=1
    )
