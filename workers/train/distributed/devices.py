"""Pins the process to the leased devices, before anything asks TensorFlow for a device."""

import os

import tensorflow as tf

from workers.train.process.launch import Launch


def pin_devices(launch: Launch, *, shards: int) -> tf.distribute.Strategy:
    """Make exactly these devices visible to this process, and return the strategy over them.

    One device needs no strategy, and TensorFlow's default one changes nothing. Simulated devices, and the
    shards of each, run side by side: together they have the threads of the launch.
    """
    count = len(launch.gpu_uuids)
    at_once = count * shards if launch.simulated else 1
    os.environ["CUDA_VISIBLE_DEVICES"] = "" if launch.simulated else ",".join(launch.gpu_uuids)
    tf.config.threading.set_intra_op_parallelism_threads(max(1, launch.threads // at_once))
    if launch.simulated:
        (cpu,) = tf.config.list_physical_devices("CPU")
        tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * count)
    else:
        _check_gpus(count)
    if launch.hosts > 1:
        # it uses TensorFlow's internals: only if needed
        from workers.train.distributed.multi_host import join_hosts

        return join_hosts(launch)
    kind = "CPU" if launch.simulated else "GPU"
    if count == 1:
        return tf.distribute.get_strategy()
    return tf.distribute.MirroredStrategy([f"{kind}:{index}" for index in range(count)])


def _check_gpus(count: int) -> None:
    found = tf.config.list_physical_devices("GPU")
    if len(found) != count:
        raise RuntimeError(
            f"TensorFlow sees {len(found)} of the {count} leased GPUs. "
            "Check the driver and the installed extra (cnnctl[gpu]) with: cnnctl doctor"
        )
    for gpu in found:
        tf.config.experimental.set_memory_growth(gpu, True)
