"""Joins the trainers of several hosts into one run: same loop, same variables, gradients summed over all."""

# TensorFlow is untyped:
# mypy: allow-subclassing-any

import json
import os

import tensorflow as tf
from tensorflow.python.distribute.collective_all_reduce_strategy import CollectiveAllReduceExtended

from workers.train.launch import Launch


def join_hosts(launch: Launch) -> tf.distribute.Strategy:
    """Meet the other hosts' trainers, waiting until all are there; before anything else runs on a device."""
    os.environ["TF_CONFIG"] = json.dumps(
        {"cluster": {"worker": launch.cluster}, "task": {"type": "worker", "index": launch.rank}}
    )
    if launch.simulated:
        return SimulatedHosts(devices=len(launch.gpu_uuids))
    return tf.distribute.MultiWorkerMirroredStrategy()


class SimulatedHosts(tf.distribute.MultiWorkerMirroredStrategy):
    """The same with several logical CPU devices on each host, where it takes only one."""

    def __init__(self, *, devices: int) -> None:
        tf.distribute.Strategy.__init__(self, _SimulatedHosts(self, devices=devices))


class _SimulatedHosts(CollectiveAllReduceExtended):
    def __init__(self, strategy: SimulatedHosts, *, devices: int) -> None:
        self._devices_per_host = devices
        options = tf.distribute.experimental.CommunicationOptions()
        super().__init__(strategy, cluster_resolver=None, communication_options=options)

    def _initialize_local_devices(
        self, cluster_resolver: object, worker_device: str
    ) -> tuple[tuple[str, ...], str]:
        """The devices of this host; TensorFlow 2.21 asks itself here, as its strategy takes none from us."""
        return tuple(f"{worker_device}/device:CPU:{n}" for n in range(self._devices_per_host)), "CPU"
