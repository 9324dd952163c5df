"""cnnctl submit: queue a job."""

from collections.abc import Mapping
from typing import Any

import click

from cnnctl.client import Client
from cnnctl.views.jobs import SubmissionView
from cnnctl.views.requests import SubmissionRequest
from service.cli.display.progress import follow_job
from service.cli.display.result import show_result
from service.cli.label_options import label_options
from service.cli.scheduling_options import scheduling_options
from service.cli.session import open_client, print_json
from service.cli.spec_options import collect_fields, spec_options
from service.cli.terminal import echo, say
from service.domain.gpus import format_gpus


@click.command("submit")
@spec_options
@label_options
@scheduling_options
@click.option(
    "--dry-run", is_flag=True, help="Queue nothing: print devices, memory, time and position in the queue."
)
@click.option("--hold", is_flag=True, help="Queue it paused; cnnctl resume lets it start.")
@click.option("--follow", is_flag=True, help="Follow its progress; Ctrl-C leaves the job running.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def command(
    architecture: str | None,
    assignments: tuple[str, ...],
    labels: Mapping[str, Any],
    scheduling: Mapping[str, Any],
    dry_run: bool,
    hold: bool,
    follow: bool,
    as_json: bool,
    **values: Any,
) -> None:
    """Queue a job and print its number."""
    if dry_run and follow:
        raise click.UsageError("--dry-run queues nothing, so there is nothing to --follow.")
    fields = collect_fields(values, assignments)
    request = SubmissionRequest(architecture=architecture, fields=fields, hold=hold, **labels, **scheduling)
    client = open_client()
    if dry_run:
        _rehearse(client, request, as_json=as_json)
        return
    submitted = client.submit(request)
    announce(submitted)
    for notice in client.get_health().notices:
        say(notice)
    if follow:
        follow_until_detached(client, submitted.job)
        show_result(client, submitted.job, as_json=as_json)
    elif as_json:
        print_json(submitted)
    else:
        echo(submitted.job)


def _rehearse(client: Client, request: SubmissionRequest, *, as_json: bool) -> None:
    from service.cli.display.dry_run_table import show_dry_run

    rehearsal = client.dry_run(request)
    for notice in rehearsal.notices:
        say(notice)
    show_dry_run(rehearsal, as_json=as_json)


def announce(submitted: SubmissionView) -> None:
    """Say what was queued, what was found in its dataset, and what the person should know."""
    what = f"{submitted.architecture} on {submitted.dataset}, {format_gpus(submitted.gpus)}"
    say(f"Job {submitted.job} is {submitted.state}: {what}.")
    if submitted.found:
        say(f"Dataset: {submitted.found}.")
    for notice in submitted.notices:
        say(notice)


def follow_until_detached(client: Client, job: int) -> None:
    """Follow a job; Ctrl-C stops following it, not the job."""
    try:
        follow_job(client, job)
    except KeyboardInterrupt:
        say(f"Job {job} continues. See: cnnctl status {job}    Stop: cnnctl cancel {job}")
        raise SystemExit(130) from None
