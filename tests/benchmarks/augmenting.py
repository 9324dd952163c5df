"""Random crops and mirroring: how many images a second, and what they add to an epoch of convnet4."""

from collections.abc import Iterator

import numpy as np
import tensorflow as tf

from models.augmentation import draw_views
from models.catalog.augmentation_config import parse_augmentation
from models.catalog.network_config import NetworkConfig
from models.views import cut_views
from tests.benchmarks.figures import Figure, median_seconds
from tests.benchmarks.training_loop import TrainingLoop
from workers.train.data.batches import Variation

IMAGES, BATCH, STEPS = 12_800, 128, 40


def figures() -> Iterator[Figure]:
    augmentation = parse_augmentation("crop:4,mirror")
    views_N3 = draw_views(augmentation, num_images=IMAGES, room=0, seed=0, epoch=1)
    images = tf.constant(np.random.default_rng(0).integers(0, 256, (IMAGES, 32, 32, 3)).astype(np.uint8))

    def cut_all() -> tf.Tensor:
        def cut_batch(batch: tf.Tensor, total: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            numbers = tf.range(batch * BATCH, (batch + 1) * BATCH)
            cut = cut_views(tf.gather(images, numbers), tf.gather(views_N3, numbers), side=32)
            return batch + 1, total + tf.cast(cut[-1, -1, -1, -1], tf.int32)

        return tf.while_loop(lambda batch, _: batch < IMAGES // BATCH, cut_batch, (0, 0))[1]

    seconds = median_seconds({"cut": tf.function(cut_all, autograph=False)}, rounds=5)
    yield Figure(
        name="cifar10_crop_mirror",
        ratio=IMAGES / seconds["cut"],
        unit="images/s",
        goal="at least 40,000",
    )
    config = NetworkConfig(architecture="convnet4", pool="max:3/2")
    loop = TrainingLoop(config, image_size=32, batch_size=BATCH, num_images=IMAGES)
    varied = Variation(views=views_N3)
    times = median_seconds(
        {
            "plain": lambda: loop.train(steps=STEPS),
            "varied": lambda: loop.train(steps=STEPS, variation=varied),
        },
        rounds=7,
    )
    yield Figure(
        name="convnet4_epoch_added_by_crop_mirror",
        ratio=100 * (times["varied"] / times["plain"] - 1),
        unit="%",
        goal="at most 10",
    )
