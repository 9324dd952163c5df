"""What it costs to look at every gradient of every step for numbers that are not finite."""

import math
import statistics
import time
from collections.abc import Iterator, Sequence

import tensorflow as tf

from models.catalog.network_config import NetworkConfig
from tests.benchmarks.figures import Figure
from tests.benchmarks.training_loop import TrainingLoop
from workers.train.loop import Loop

# Network, pooling, image size, batch size, steps of one call, pairs of calls.
CASES = (
    ("lenet5", "max:2/2", 32, 32, 100, 60),
    ("convnet4", "max:3/2", 32, 128, 8, 40),
    ("alexnet", "max:3/2", 227, 16, 1, 20),
)


class Unlooking(Loop):
    """The same loop, blind to gradients."""

    def _measure(self, gradients: Sequence[tf.Tensor]) -> Sequence[tf.Tensor]:
        return [tf.zeros(())] * len(gradients)


def figures() -> Iterator[Figure]:
    for architecture, pool, image_size, batch_size, steps, pairs in CASES:
        config = NetworkConfig(architecture=architecture, pool=pool)
        loops = [
            TrainingLoop(
                config, image_size=image_size, batch_size=batch_size, num_images=steps * batch_size, kind=kind
            )
            for kind in (Loop, Unlooking)
        ]
        ratios = []
        for number in range(pairs + 2):
            seconds = [math.nan, math.nan]
            for which in (0, 1) if number % 2 else (1, 0):
                started = time.perf_counter()
                loops[which].train(steps=steps)
                seconds[which] = time.perf_counter() - started
            ratios.append(seconds[0] / seconds[1])
        yield Figure(
            name=f"finiteness_{architecture}_share_of_step",
            ratio=100 * (statistics.median(ratios[2:]) - 1),
            unit="%",
            goal="at most 0.5",
        )
