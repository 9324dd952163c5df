"""Draws random seeds that differ between the replicas of one training step."""

# Keras is untyped:
# mypy: allow-subclassing-any

import keras

# 2**32 over the golden ratio, odd: the seeds of replicas lie far apart, as do those of layers.
REPLICA_STRIDE = 0x9E3779B1


class ReplicaSeedGenerator(keras.random.SeedGenerator):
    """Draw seeds as Keras does, then fold in the id of the replica that draws.

    Under `tf.distribute`, every replica holds the same state and advances it in the same way, so that
    Keras's own generator gives all replicas one dropout mask (measured with Keras 3.15). Replica 0 gets
    exactly the seed that a run without a strategy gets. The state stays identical in all replicas, so a
    checkpoint holds it once. Other backends than TensorFlow have no replicas of this kind, and nothing is
    folded.
    """

    def next(self, ordered: bool = True) -> keras.KerasTensor:  # noqa: FBT001, Keras's own signature
        """Return a seed of shape (2,) and advance the state."""
        seed = super().next(ordered=ordered)
        replica = _replica_id()
        if isinstance(replica, int) and replica == 0:
            return seed
        offset = keras.ops.cast(replica, seed.dtype) * REPLICA_STRIDE
        return seed + keras.ops.stack([offset, keras.ops.zeros_like(offset)])


def _replica_id() -> int | keras.KerasTensor:
    if keras.backend.backend() != "tensorflow":
        return 0
    import tensorflow as tf

    # None in cross-replica context, where Keras only infers shapes.
    context = tf.distribute.get_replica_context()
    return 0 if context is None else context.replica_id_in_sync_group
