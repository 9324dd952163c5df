"""cnnctl run: queue a job, follow it to its end, exit with its status."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

import click

from cnnctl.client import Client
from cnnctl.http_client import HttpClient
from cnnctl.views.jobs import SubmissionView
from cnnctl.views.requests import SubmissionRequest
from service.cli.display.progress import follow_job
from service.cli.display.result import show_result
from service.cli.jobs.submit import announce
from service.cli.label_options import label_options
from service.cli.scheduling_options import scheduling_options
from service.cli.session import open_client, open_session
from service.cli.spec_options import collect_fields, spec_options
from service.cli.terminal import say
from service.errors import JobConflict
from service.settings import load_settings


@click.command("run")
@spec_options
@label_options
@scheduling_options
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def command(
    architecture: str | None,
    assignments: tuple[str, ...],
    labels: Mapping[str, Any],
    scheduling: Mapping[str, Any],
    as_json: bool,
    **values: Any,
) -> None:
    """Queue a job and follow it to its end.

    Starts the embedded stack for as long as it runs when none is up. Ctrl-C cancels the job. The exit
    status is 0 when the job succeeded.
    """
    fields = collect_fields(values, assignments)
    request = SubmissionRequest(architecture=architecture, fields=fields, **labels, **scheduling)
    client = open_client()
    with _stack_if_none(client, request) as supervise:
        submitted = client.submit(request)
        _follow_or_cancel(client, submitted, supervise)
    show_result(client, submitted.job, as_json=as_json)


@contextmanager
def _stack_if_none(client: Client, request: SubmissionRequest) -> Iterator[Callable[[], object]]:
    """The service, or the embedded stack for the block; gives what has to be called while it runs."""
    settings = load_settings()
    health = client.get_health()
    if health.up or settings.database or settings.broker or isinstance(client, HttpClient):
        for notice in health.notices:
            say(notice)
        yield lambda: None
        return
    from service.commands.ops.embedded_stack import running_stack

    client.dry_run(request)  # a mistake should not wait for the stack to start
    say("No stack is up: starting one for this run (the first start imports TensorFlow, about 10 s) …")
    settings, store = open_session()
    with running_stack(store, settings) as stack:
        yield stack.supervise


def _follow_or_cancel(client: Client, submitted: SubmissionView, supervise: Callable[[], object]) -> None:
    # The block ends before the job is cancelled: the traceback of a Ctrl-C may keep a reading connection
    # open, and SQLite's writers would wait for it.
    with suppress(KeyboardInterrupt):
        announce(submitted)
        follow_job(client, submitted.job, check=supervise)
        return
    say(f"Cancelling job {submitted.job} …")
    try:
        client.cancel(submitted.job)
    except JobConflict:
        return  # it ended in the meantime
    follow_job(client, submitted.job, check=supervise)
