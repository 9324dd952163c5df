"""The state of a run: everything that its future depends on, to snapshot and restore."""

import os
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path

import keras
import tensorflow as tf

from service.domain.spec import Spec
from workers.train.checkpoints.files import Array, Position, Snapshot
from workers.train.checkpoints.writer import assign_variables, check_shapes, copy_variables, make_room
from workers.train.data.images import RunImages
from workers.train.process.launch import Launch
from workers.train.running_means import RunningMeans
from workers.train.schedule import EpochSchedule, read_epoch_state

# Flags that change which kernels run, and so the last bit of a sum.
FLAGS = (
    "TF_ENABLE_ONEDNN_OPTS",
    "ONEDNN_MAX_CPU_ISA",
    "TF_XLA_FLAGS",
    "XLA_FLAGS",
    "TF_DETERMINISTIC_OPS",
    "TF_CUDNN_USE_AUTOTUNE",
    "TF_CUDNN_USE_FRONTEND",
    "NVIDIA_TF32_OVERRIDE",
)


class RunState:
    """Position, variables, running means and epoch decisions of one run; epochs count from 1."""

    def __init__(
        self,
        spec: Spec,
        network: keras.Model,
        optimizer: keras.optimizers.Optimizer,
        *,
        spec_digest: str,
        steps_per_point: int,
        environment: Mapping[str, object],
    ) -> None:
        self._network = network
        self._optimizer = optimizer
        self._environment = environment
        self.spec_digest = spec_digest
        self.schedule = EpochSchedule(spec)
        self.means = RunningMeans(steps_per_point=steps_per_point)
        self.step = 0
        self.epoch = 1
        self.step_in_epoch = 0
        self.trained_seconds = 0.0

    def end_epoch(self) -> None:
        """Move to the beginning of the next epoch."""
        self.epoch += 1
        self.step_in_epoch = 0
        self.means.start_epoch()

    def snapshot(self, *, best: bool, into: Snapshot | None = None) -> Snapshot:
        """Copy the whole state into host memory, or into the memory of the given earlier snapshot."""
        network = copy_variables(self._network.variables, into.network if into else None)
        optimizer = copy_variables(self._optimizer.variables, into.optimizer if into else None)
        return self._snapshot(network, optimizer, best=best)

    def make_room(self) -> Snapshot:
        """An empty snapshot, whose memory the next snapshot can use."""
        network, optimizer = make_room(self._network.variables), make_room(self._optimizer.variables)
        return self._snapshot(network, optimizer, best=False)

    def _snapshot(self, network: Sequence[Array], optimizer: Sequence[Array], *, best: bool) -> Snapshot:
        return Snapshot(
            position=Position(
                step=self.step,
                epoch=self.epoch,
                step_in_epoch=self.step_in_epoch,
                epoch_sums=tuple(self.means.epoch_sums.tolist()),
                point_sums=tuple(self.means.point_sums.tolist()),
                epoch_state=self.schedule.state.to_json(),
                trained_seconds=self.trained_seconds,
            ),
            network=network,
            optimizer=optimizer,
            environment=self._environment,
            spec_digest=self.spec_digest,
            best=best,
        )

    def restore(self, snapshot: Snapshot) -> None:
        """Continue from a snapshot.

        Raises:
            DamagedCheckpoint: it belongs to another network; nothing was changed.
        """
        parts = (
            (self._network.variables, snapshot.network),
            (self._optimizer.variables, snapshot.optimizer),
        )
        for variables, arrays in parts:
            check_shapes(variables, arrays)
        for variables, arrays in parts:
            assign_variables(variables, arrays)
        position = snapshot.position
        self.step, self.epoch = position.step, position.epoch
        self.step_in_epoch = position.step_in_epoch
        self.means.restore(epoch_sums=position.epoch_sums, point_sums=position.point_sums)
        self.schedule.state = read_epoch_state(dict(position.epoch_state))
        self.trained_seconds = position.trained_seconds


def describe_environment(
    launch: Launch, images: RunImages, *, replicas: int, shards: int
) -> Mapping[str, str | int]:
    """Everything outside the spec that can change the last bit of a result."""
    packages = {name: version(name) for name in ("cnnctl", "numpy")}
    return {
        **packages,
        "tensorflow": tf.__version__,
        "keras": keras.__version__,
        "devices": "simulated" if launch.simulated else "gpu",
        "device": _cpu_model() if launch.simulated else _gpu_model(),
        "replicas": replicas,
        **({"hosts": launch.hosts} if launch.hosts > 1 else {}),
        "threads": launch.threads,
        **({"shards": shards} if launch.simulated else {}),
        "images": images.fingerprint,
        "flags": " ".join(f"{name}={os.environ[name]}" for name in FLAGS if name in os.environ),
    }


def _cpu_model() -> str:
    """The processor's name: TensorFlow chooses kernels by its features."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")


def _gpu_model() -> str:
    gpu = tf.config.list_physical_devices("GPU")[0]
    return str(tf.config.experimental.get_device_details(gpu).get("device_name", ""))
