"""cnnctl worker: one of the two long-running processes."""

import importlib.util
import os
import sys

import click

from service.errors import MissingExtra
from service.own_python import FOLDER, own_environment, own_words
from service.settings import load_settings


@click.command("worker")
def command() -> None:
    """Run the worker of this host.

    It registers the host and its GPUs, claims attempts, starts and follows trainers. SIGTERM lets trainers
    checkpoint and puts their jobs back into the queue.
    """
    if importlib.util.find_spec("keras") is None:
        raise MissingExtra(
            "The worker needs TensorFlow. Install it with: pip install 'cnnctl[gpu]' or 'cnnctl[cpu]'"
        )
    environment = own_environment(load_settings())
    os.chdir(FOLDER)
    os.execve(sys.executable, own_words("workers"), environment)
