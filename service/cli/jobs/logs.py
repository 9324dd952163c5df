"""cnnctl logs: what a job's trainer wrote."""

import time

import click

from service.cli.session import open_session
from service.cli.terminal import echo, say
from service.commands.jobs.logs import follow_log, read_log
from service.commands.jobs.progress import get_progress
from service.domain.jobs import JobId
from service.domain.states import FINISHED

POLL_SECONDS = 0.5


@click.command("logs")
@click.argument("job", type=int)
@click.option("-f", "--follow", is_flag=True, help="Print new lines until the job ends.")
def command(job: int, follow: bool) -> None:
    """Print what a job's trainer wrote."""
    settings, store = open_session()
    if not follow:
        text = read_log(store, settings, JobId(job))
        echo(text, nl=False)
        if not text:
            yet = "" if get_progress(store, JobId(job)).state in FINISHED else " yet"
            say(f"Job {job} has written nothing{yet}. Why: cnnctl status {job}")
        return
    try:
        for text in follow_log(store, settings, JobId(job), lambda: time.sleep(POLL_SECONDS)):
            echo(text, nl=False)
    except KeyboardInterrupt:
        raise SystemExit(130) from None
