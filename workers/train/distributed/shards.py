"""Decides into how many shards a replica on a CPU splits its images, so that all cores always have work.

A small network's operations are too short to be split over threads: two shards of a batch, each computed by
one thread, take LeNet-5 1.6 times as far in a second as two threads in each operation; large networks lose
nothing.
"""

from service.domain.spec import Spec
from workers.train.process.launch import Launch

LEAST_IMAGES = 8  # of one shard: below, what an operation costs beside its arithmetic counts more


def count_shards(spec: Spec, launch: Launch) -> int:
    """How many shards each replica computes side by side; 1 where a replica is a GPU.

    Also 1 with batch normalization, which needs the statistics of all the replica's images, and with dropout,
    which draws one mask after the other.
    """
    if not launch.simulated or spec.model.norm == "batch" or spec.model.dropout != "none":
        return 1
    threads = launch.threads // len(launch.gpu_uuids)
    images = spec.training.batch_size // launch.replicas
    most = min(threads, images // LEAST_IMAGES)
    return max((n for n in range(2, most + 1) if threads % n == images % n == 0), default=1)
