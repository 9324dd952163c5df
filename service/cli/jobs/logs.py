"""cnnctl logs: what a job's trainer wrote."""

import click

from cnnctl.following import follow_log, read_whole_log
from service.cli.session import open_client
from service.cli.terminal import echo, say


@click.command("logs")
@click.argument("job", type=int)
@click.option("-f", "--follow", is_flag=True, help="Print new lines until the job ends.")
def command(job: int, follow: bool) -> None:
    """Print what a job's trainer wrote."""
    client = open_client()
    if not follow:
        written = False
        for text in read_whole_log(client, job):
            echo(text, nl=False)
            written = written or bool(text)
        if not written:
            yet = "" if client.get_progress(job).finished else " yet"
            say(f"Job {job} has written nothing{yet}. Why: cnnctl status {job}")
        return
    try:
        for text in follow_log(client, job):
            echo(text, nl=False)
    except KeyboardInterrupt:
        raise SystemExit(130) from None
