"""cnnctl scheduler: one of the two long-running processes."""

import signal
import threading

import click

from service.cli.session import open_until_end
from service.dispatch.dispatcher import Dispatcher
from service.log import configure_log
from service.notify.sender import NotificationSender
from service.parent import stop_when_parent_ends
from service.private_files import open_to_group, tighten
from service.scheduler.loop import Scheduler
from service.settings import load_settings


@click.command("scheduler")
@click.option("--stop-with-stdin", is_flag=True, hidden=True)
def command(stop_with_stdin: bool) -> None:
    """Run the scheduler.

    It also delivers the messages of `cnnctl notify`. A second scheduler is harmless: one of them decides at a
    time. SIGTERM stops it; running jobs continue.
    """
    settings = load_settings()
    configure_log(settings.log_level)
    open_to_group(settings, folders=[settings.home_dir])
    tighten(settings)
    if stop_with_stdin:
        stop_when_parent_ends()
    store = open_until_end(settings)
    store.wait_until_ready()
    stop = threading.Event()  # only now: before this, a signal ends the process at once
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    with NotificationSender(store, settings):
        Scheduler(store, settings, Dispatcher(settings)).run(stop)
