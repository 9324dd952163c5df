"""Decisions that the trainers of several hosts make together: when to stop, and the steps of a call."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import tensorflow as tf


class DifferentStarts(Exception):
    """The hosts would begin at different steps, because they do not see the same run folders."""

    def __init__(self, steps: Sequence[float]) -> None:
        found = ", ".join(f"{step:.0f}" for step in steps)
        super().__init__(
            f"the hosts found checkpoints of different steps ({found}, by replica): they do not see the same "
            "files. A job over several hosts needs CNNCTL_RUNS_DIR in a folder that all its hosts share"
        )


class Agreement:
    """Shows every host the values of all; on one host it costs nothing."""

    def __init__(self, strategy: tf.distribute.Strategy, *, hosts: int) -> None:
        self._strategy = strategy
        self._hosts = hosts
        self._gather = tf.function(self._gather_rows, autograph=False)

    def share(self, *values: float) -> Sequence[Sequence[float]]:
        """Return, for each value of this host, the values of all replicas in their order.

        Every host must call this equally often, as with every collective operation.
        """
        if self._hosts == 1:
            return [[value] for value in values]
        row_V = tf.constant(values, tf.float64)
        rows_RV: npt.NDArray[np.float64] = self._gather(row_V).numpy()
        return [[float(value) for value in column] for column in rows_RV.T]

    def _gather_rows(self, row_V: tf.Tensor) -> tf.Tensor:
        """The rows (R, V) of all replicas: the sum of matrices of which each replica fills its own row."""
        rows = self._strategy.run(self._place_row, args=(row_V,))
        return self._strategy.reduce("SUM", rows, axis=None)

    def _place_row(self, row_V: tf.Tensor) -> tf.Tensor:
        replicas = self._strategy.num_replicas_in_sync
        own = tf.distribute.get_replica_context().replica_id_in_sync_group
        return tf.where(tf.range(replicas)[:, None] == own, row_V[None], tf.zeros((), row_V.dtype))
