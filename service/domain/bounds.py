"""The bounds of the numbers, texts and lists that people give, each with its reason.

Plans, forecasts and tables compute with the numbers of all jobs: one number without a bound could break them
for everybody. Bounds are checked when something is given, never on reading: an older cnnctl may have stored
anything. Those of the settings stand beside their defaults, in service/settings.py.
"""

from collections.abc import Mapping

from service.bound import Bound
from service.domain.gpus import HISTORY_DAYS

_FLOAT32 = "single precision, in which networks compute, ends at 3.4e38"
_MANY_EPOCHS = "at a second each, a million take eleven days"
_REAL = Bound(least=0, most=1e30, why=_FLOAT32)
_SHARE = Bound(least=0, most=1, why="it is a share")
_EPOCHS = Bound(least=1, most=1_000_000, why=_MANY_EPOCHS)
_SIDE = Bound(least=1, most=4096, why="a batch of larger images fits no GPU; cut them into tiles")
TEXT = Bound(least=1, most=200, why="no name with its number is longer")

OPTION = Bound(least=-(2**31), most=2**31 - 1, why="options of networks are 32-bit numbers")

# By dotted path; texts that are not here have the bounds of TEXT. A test checks that no number is missing.
SPEC: Mapping[str, Bound] = {
    "model.l1": _REAL,
    "model.l2": _REAL,
    "data.dataset": Bound(least=1, most=1024, why="the database stores no longer path"),
    "data.image_size": _SIDE,
    "data.resize": _SIDE,
    "data.in_memory_mib": Bound(least=0, most=2**24, why="no host has more than 16 TiB"),
    "data.validation_fraction": _SHARE,
    "data.train_fraction": _SHARE,
    "data.keep": Bound(least=1, most=10_000, why="a thousand classes take no more"),
    "loss.gamma": Bound(least=0, most=100, why="beyond it only images that are quite wrong count"),
    "loss.alpha": _REAL,
    "loss.label_smoothing": _SHARE,
    "optimizer.lr": _REAL,
    "optimizer.momentum": _SHARE,
    "optimizer.weight_decay": _REAL,
    "optimizer.max_norm": _REAL,
    "schedule.factor": _SHARE,
    "schedule.step_epochs": _EPOCHS,
    "schedule.patience_epochs": _EPOCHS,
    "schedule.minimum_lr": _REAL,
    "training.batch_size": Bound(least=1, most=2**20, why="the largest in print have 65,536 images"),
    "training.epochs": _EPOCHS,
    "training.seed": Bound(least=0, most=2**31 - 1, why="TensorFlow's seeds have 32 bits"),
    "training.early_stopping.patience_epochs": Bound(least=0, most=1_000_000, why=_MANY_EPOCHS),
    "training.early_stopping.minimum_change": _REAL,
    "checkpoint.every_epochs": _EPOCHS,
    "checkpoint.every_steps": Bound(least=1, most=2**31 - 1, why="no job has as many steps"),
    "checkpoint.every_minutes": Bound(least=0.01, most=525_600, why="from half a second to a year"),
    "checkpoint.keep": Bound(least=1, most=100, why="each is as large as the network with its optimizer"),
    "resources.gpus": Bound(least=1, most=1024, why="no lab has a server with more"),
    "resources.time_limit_minutes": Bound(least=1, most=5_256_000, why="from a minute to ten years"),
}

_NAME = Bound(least=1, most=100, why="no name of a person or project is longer")
_DEVICE_NAME = Bound(least=1, most=200, why="no name of a host or GPU is longer")

# By option or argument, as it is written on the command line; use cases check them. Those of `detect` are
# ranges of Click.
OPTIONS: Mapping[str, Bound] = {
    "--after": Bound(least=0, most=1000, why="each is read whenever the queue is planned"),
    "--hosts": Bound(least=1, most=64, why="all of them must meet before the first step"),
    "--not-before": Bound(
        least=0, most=3650, why="in days from now: whoever waits for longer than ten years has left the lab"
    ),
    "--project": Bound(least=0, most=100, why=_NAME.why),
    "--host": _DEVICE_NAME,
    "--gpu-model": _DEVICE_NAME,
    "--describe": Bound(least=0, most=500, why="it is shown in a table"),
    "--reason": Bound(least=0, most=500, why="it is shown in a table"),
    "--user": _NAME,
    "--ended-since": Bound(least=-1, most=36_500, why="in days ago: no job ended a century ago"),
    "--since": Bound(least=-1, most=36_500, why="in days ago: nobody used a GPU a century ago"),
    "NAME": _NAME,
    "--weight": Bound(least=1e-6, most=1e6, why="a millionth of everybody's is as good as nothing"),
    "--max-gpus": Bound(least=0, most=65_536, why="64 hosts of 1,024 GPUs"),
    "--max-queued": Bound(least=0, most=1_000_000, why="each is read whenever the queue is planned"),
    "--mail": Bound(least=1, most=254, why="no mail server takes a longer address"),
    "--webhook": Bound(least=1, most=2000, why="web servers refuse much longer ones"),
    "--older-than": Bound(least=0, most=36_500, why="in days: no checkpoint is a century old"),
    "--top": Bound(least=1, most=100_000, why="no dataset has more classes"),
    "--input": Bound(least=1, most=4096, why=_SIDE.why),
    "--classes": Bound(least=1, most=100_000, why="no dataset has more classes"),
    "--batch-size": SPEC["training.batch_size"],
    "--expires": Bound(least=1 / 1440, most=3650, why="in days: a minute to ten years"),
    "--hours": Bound(
        least=1 / 60,
        most=24 * HISTORY_DAYS,
        why="the history of GPUs has a mean a minute, and ends after 30 days",
    ),
    "--seeds": Bound(least=6, most=1000, why="fewer never give a verdict, and nobody waits for more"),
    "--limit": Bound(least=1, most=1000, why="more come page by page"),
}

# How many points a curve of the history of GPUs may have.
HISTORY_POINTS = Bound(least=1, most=1440, why="a day has as many minutes")

# The memory that a whole submission takes on each GPU.
MEMORY_MIB = Bound(least=0, most=2**24, why="no GPU has 16 TiB")


def check_option(name: str, value: object) -> None:
    """Refuse a value outside the bounds of an option; None means not given.

    Raises:
        SpecError: with the bounds and the reason for them.
    """
    OPTIONS[name].check(name, value)
