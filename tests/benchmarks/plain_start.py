"""LeNet-5 on digits as a plain Keras script; prints when its first step is done: plain_start.py DEVICES

It reads the file of scikit-learn without importing that, which would take it a second more.
"""

import contextlib
import importlib.util
import sys
import time
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from keras import layers

BATCH = 32

devices = int(sys.argv[1])
(cpu,) = tf.config.list_physical_devices("CPU")
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * devices)
names = [f"CPU:{number}" for number in range(devices)]
strategy = tf.distribute.MirroredStrategy(names) if devices > 1 else None

found = importlib.util.find_spec("sklearn")
assert found is not None
assert found.origin is not None
rows = np.loadtxt(Path(found.origin).parent / "datasets" / "data" / "digits.csv.gz", delimiter=",")
images = rows[:, :-1].reshape(-1, 8, 8, 1).repeat(4, axis=1).repeat(4, axis=2).astype("float32") * 16
labels = rows[:, -1].astype("int32")

with strategy.scope() if strategy else contextlib.nullcontext():
    model = keras.Sequential(
        [
            keras.Input((32, 32, 1)),
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
