"""Joins the trainers of several hosts into one run: same loop, same variables, gradients summed over all."""

# TensorFlow is untyped:
# mypy: allow-subclassing-any

import json
import os
from collections.abc import Sequence

import tensorflow as tf
from tensorflow.python.distribute.collective_all_reduce_strategy import (
    CollectiveAllReduceExtended,
    coordination_config_pb2,
)
from tensorflow.python.eager import context

from workers.train.process.launch import Launch

MEET_SECONDS = 60.0


class HostsApart(Exception):
    """The trainers of an attempt cannot reach each other."""

    def __init__(self, cluster: Sequence[str]) -> None:
        super().__init__(
            f"the trainers at {', '.join(cluster)} did not connect to each other in "
            f"{MEET_SECONDS:g} s. Each host must accept connections from the others on every port: set "
            "CNNCTL_ADDRESS there, or open the firewall"
        )


def join_hosts(launch: Launch) -> tf.distribute.Strategy:
    """Connect to the other hosts' trainers, before anything else runs on a device.

    All wait for about a minute, except the first, which waits until all are connected: its worker ends it if
    one does not connect. No Python thread or signal handler runs until then.
    """
    os.environ["TF_CONFIG"] = json.dumps(
        {"cluster": {"worker": launch.cluster}, "task": {"type": "worker", "index": launch.rank}}
    )
    _limit_waiting(hosts=launch.hosts)
    try:
        if launch.simulated:
            return SimulatedHosts(devices=len(launch.gpu_uuids))
        return tf.distribute.MultiWorkerMirroredStrategy()
    except tf.errors.OpError as error:
        if isinstance(error, (tf.errors.DeadlineExceededError, tf.errors.UnavailableError)):
            raise HostsApart(launch.cluster) from error
        raise


def _limit_waiting(*, hosts: int) -> None:
    """Set what MultiWorkerMirroredStrategy of TensorFlow 2.21 would set, with less than its hour to wait."""
    context.context().configure_coordination_service(
        service_type="standalone",
        service_leader="/job:worker/replica:0/task:0",
        cluster_register_timeout_in_ms=int(1000 * MEET_SECONDS),
        coordinated_jobs=[coordination_config_pb2.CoordinatedJob(name="worker", num_tasks=hosts)],
    )


class SimulatedHosts(tf.distribute.MultiWorkerMirroredStrategy):
    """MultiWorkerMirroredStrategy with several logical CPU devices per host, where it accepts only one."""

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
