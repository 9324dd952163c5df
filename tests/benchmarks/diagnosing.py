"""What `--diagnostics` adds to an epoch."""

from collections.abc import Iterator

from models.catalog.network_config import NetworkConfig
from tests.benchmarks.figures import Figure, median_seconds
from tests.benchmarks.training_loop import TrainingLoop

# Network, batch size, and images of an epoch: convnet4 on CIFAR-10, LeNet-5 on the digits.
CASES = (("convnet4", "max:3/2", 128, 45_000), ("lenet5", "max:2/2", 32, 1_293))
STEPS = 40


def figures() -> Iterator[Figure]:
    for architecture, pool, batch_size, num_images in CASES:
        config = NetworkConfig(architecture=architecture, pool=pool)
        loop = TrainingLoop(config, image_size=32, batch_size=batch_size, num_images=num_images)
        diagnosis, epoch_steps = loop.diagnosis(), num_images // batch_size
        seconds = median_seconds(
            {"train": lambda loop=loop: loop.train(steps=STEPS), "measure": diagnosis.measure},  # type: ignore[misc]
            rounds=7,
        )
        yield Figure(
            name=f"diagnostics_{architecture}_share_of_epoch",
            ratio=100 * seconds["measure"] / (seconds["train"] * epoch_steps / STEPS),
            unit="%",
            goal="at most 2",
        )
