"""Trains a network of the catalog with `model.fit` on NumPy arrays; prints images a second of each epoch.

python plain_fit.py NETWORK DATA BATCH EPOCHS, where NETWORK is a NetworkChoice as JSON.
"""

import json
import sys
import time

import keras
import numpy as np

from models.build import build_model, logits_model
from models.catalog.network_config import NetworkConfig

config = NetworkConfig(**json.loads(sys.argv[1]))
batch_size, epochs = int(sys.argv[3]), int(sys.argv[4])
with np.load(sys.argv[2]) as data:
    images, labels = data["x_train"].astype("float32"), data["y_train"]
count = len(images) // batch_size * batch_size  # full batches only, as the service has them
images, labels = images[:count], labels[:count]

channels = images.shape[-1]
model = logits_model(
    build_model(
        config,
        input_shape=images.shape[1:],
        num_classes=10,
        seed=0,
        pixel_mean=[128.0] * channels,
        pixel_std=[74.0] * channels,
    )
)
optimizer = keras.optimizers.SGD(0.01, momentum=0.9)
loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
model.compile(optimizer=optimizer, loss=loss, metrics=["accuracy"])

times: list[float] = []
clock = keras.callbacks.LambdaCallback(
    on_epoch_begin=lambda epoch, logs: times.append(time.perf_counter()),
    on_epoch_end=lambda epoch, logs: times.append(time.perf_counter()),
)
model.fit(images, labels, batch_size=batch_size, epochs=epochs, verbose=0, callbacks=[clock])
print(*(count / (end - begin) for begin, end in zip(times[::2], times[1::2], strict=True)))
