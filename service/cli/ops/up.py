"""cnnctl up: the whole service in one command."""

import importlib.util
import os
import signal
import socket
import time

import click

from cnnctl.find import API_SOCKET
from service.cli.session import open_session, shorten_home
from service.cli.terminal import say
from service.commands.fleet.gpus import list_gpu_views
from service.commands.ops.embedded_stack import EmbeddedStack, running_stack
from service.errors import SettingError
from service.settings import LONGEST_SOCKET_BYTES, Settings
from service.store.transaction import Store


@click.command("up")
def command() -> None:
    """Run the embedded stack until Ctrl-C.

    The stack is SQLite, message files, a scheduler and a worker, all in the data folder. When it stops,
    running jobs write a checkpoint; they continue at the next start.
    """
    settings, store = open_session()
    if settings.database or settings.broker:
        raise SettingError(
            "CNNCTL_DATABASE_URL or CNNCTL_BROKER_URL is set: that is a stack with servers. "
            "Start its processes with: cnnctl scheduler, cnnctl worker. For an embedded stack unset both"
        )
    signal.signal(signal.SIGTERM, _interrupt)
    say("Starting scheduler and worker; the worker imports TensorFlow first, about 10 s …")
    address = _choose_address(settings)
    with running_stack(store, settings, api_address=address) as stack:
        _announce(store, settings, address)
        _wait(stack)
    say("Stopped. Jobs that were running continue at the next start.")


def _announce(store: Store, settings: Settings, address: str) -> None:
    gpus = [gpu for gpu in list_gpu_views(store, settings) if gpu.host == settings.host_name]
    say(f"cnnctl is up with {len(gpus)} × {gpus[0].model} on {settings.host_name}.")
    say(f"Data and logs: {shorten_home(str(settings.home_dir))}    Stop: Ctrl-C")
    say("In another terminal: cnnctl submit lenet5    cnnctl status")
    if address:
        say(f"API: http://{address}    In a notebook: cnnctl.connect()    In a browser: cnnctl web")


def _choose_address(settings: Settings) -> str:
    """Where the API shall listen: at another port if the usual one is taken; empty: nowhere."""
    socket_path = os.fsencode(settings.home_dir / API_SOCKET)
    if importlib.util.find_spec("uvicorn") is None or len(socket_path) > LONGEST_SOCKET_BYTES:
        return ""
    if os.environ.get("CNNCTL_API_ADDRESS") or settings.api_address == "none":
        return settings.api_address
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        host, _, port = settings.api_address.rpartition(":")
        try:
            probe.bind((host, int(port)))
        except OSError:
            probe.bind((host, 0))
        return f"{host}:{probe.getsockname()[1]}"


def _wait(stack: EmbeddedStack) -> None:
    try:
        said = ""
        while True:
            wrong = stack.supervise()
            if wrong and wrong != said:
                say(wrong)
            said = wrong
            time.sleep(0.5)
    except KeyboardInterrupt:
        say("Stopping: running jobs write a checkpoint …")


def _interrupt(_number: int, _frame: object) -> None:
    raise KeyboardInterrupt
