"""Trains the same networks in PyTorch, channels last; prints images a second of each epoch.

python plain_torch.py ARCHITECTURE DATA BATCH EPOCHS; needs PyTorch and NumPy only.
"""

import sys
import time

import numpy as np
import torch
from torch import nn

LRN = {"size": 5, "alpha": 5e-4, "beta": 0.75, "k": 2.0}


def lenet5(channels: int, features: int) -> nn.Sequential:
    return nn.Sequential(
        *(nn.Conv2d(channels, 6, 5), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Flatten(), nn.Linear(features, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU()),
        nn.Linear(84, 10),
    )


def convnet4(channels: int, features: int) -> nn.Sequential:
    return nn.Sequential(
        *(nn.Conv2d(channels, 32, 5, padding=2), nn.ReLU(), nn.MaxPool2d(3, 2, 1)),
        *(nn.Conv2d(32, 32, 5, padding=2), nn.ReLU(), nn.MaxPool2d(3, 2, 1)),
        *(nn.Conv2d(32, 64, 5, padding=2), nn.ReLU(), nn.MaxPool2d(3, 2, 1)),
        *(nn.Flatten(), nn.Linear(features, 10)),
    )


def alexnet(channels: int, features: int) -> nn.Sequential:
    return nn.Sequential(
        *(nn.Conv2d(channels, 96, 11, 4), nn.ReLU(), nn.LocalResponseNorm(**LRN), nn.MaxPool2d(3, 2)),
        *(nn.Conv2d(96, 256, 5, padding=2, groups=2), nn.ReLU(), nn.LocalResponseNorm(**LRN)),
        *(nn.MaxPool2d(3, 2), nn.Conv2d(256, 384, 3, padding=1), nn.ReLU()),
        *(nn.Conv2d(384, 384, 3, padding=1, groups=2), nn.ReLU()),
        *(nn.Conv2d(384, 256, 3, padding=1, groups=2), nn.ReLU(), nn.MaxPool2d(3, 2), nn.Flatten()),
        *(nn.Linear(features, 4096), nn.ReLU(), nn.Dropout(0.5), nn.Linear(4096, 4096), nn.ReLU()),
        *(nn.Dropout(0.5), nn.Linear(4096, 10)),
    )


NETWORKS = {"lenet5": (lenet5, 256), "convnet4": (convnet4, 1024), "alexnet": (alexnet, 9216)}

with np.load(sys.argv[2]) as data:
    images = torch.from_numpy(data["x_train"]).permute(0, 3, 1, 2)  # channels last in memory already
    labels = torch.from_numpy(data["y_train"]).long()
batch_size, epochs = int(sys.argv[3]), int(sys.argv[4])
make, features = NETWORKS[sys.argv[1]]
model = make(images.shape[1], features).to(memory_format=torch.channels_last)
optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
loss_of = nn.CrossEntropyLoss()

for _ in range(epochs):
    began = time.perf_counter()
    order = torch.randperm(len(images))
    steps = len(images) // batch_size
    for step in range(steps):
        chosen = order[step * batch_size : (step + 1) * batch_size]
        optimizer.zero_grad()
        loss = loss_of(model((images[chosen].float() - 128) / 74), labels[chosen])
        loss.backward()
        optimizer.step()
    print(steps * batch_size / (time.perf_counter() - began), end=" ")
