"""LeNet-5 as a plain Keras script; prints when its first step is done: python plain_start.py DEVICES"""

import contextlib
import sys
import time

import keras
import numpy as np
import tensorflow as tf
from keras import layers

BATCH, STEPS = 32, 4

devices = int(sys.argv[1])
(cpu,) = tf.config.list_physical_devices("CPU")
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * devices)
names = [f"CPU:{number}" for number in range(devices)]
strategy = tf.distribute.MirroredStrategy(names) if devices > 1 else None

random = np.random.default_rng(0)
images = random.integers(0, 256, (BATCH * STEPS, 32, 32, 3)).astype("float32")
labels = random.integers(0, 10, BATCH * STEPS).astype("int32")

with strategy.scope() if strategy else contextlib.nullcontext():
    model = keras.Sequential(
        [
            keras.Input((32, 32, 3)),
            layers.Rescaling(1 / 255),
            layers.Conv2D(6, 5, activation="relu"),
            layers.MaxPooling2D(),
            layers.Conv2D(16, 5, activation="relu"),
            layers.MaxPooling2D(),
            layers.Flatten(),
            layers.Dense(120, activation="relu"),
            layers.Dense(84, activation="relu"),
            layers.Dense(10, activation="softmax"),
        ]
    )
    optimizer = keras.optimizers.SGD(0.01, momentum=0.9)
    model.compile(optimizer=optimizer, loss="sparse_categorical_crossentropy", metrics=["accuracy"])


def stop() -> None:
    print(f"{time.time():.6f}", flush=True)
    sys.exit()


first = keras.callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: stop())
model.fit(images, labels, batch_size=BATCH, callbacks=[first], verbose=0)
