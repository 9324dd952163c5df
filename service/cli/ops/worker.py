"""cnnctl worker: one of the two long-running processes."""

import importlib.util
import os
import sys

import click

from service.errors import MissingExtra


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
    os.execv(sys.executable, [sys.executable, "-m", "workers"])
