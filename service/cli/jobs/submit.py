"""cnnctl submit: queue a job."""

from typing import Any

import click

from service.cli.display.progress import follow_job
from service.cli.display.result import show_result
from service.cli.scheduling_options import scheduling_options
from service.cli.session import open_session, print_json
from service.cli.spec_options import collect_fields, spec_options
from service.cli.terminal import echo, say
from service.commands.fleet.health import check_health
from service.commands.jobs.dataset_check import explain_worker_path
from service.commands.jobs.progress import get_progress
from service.commands.jobs.status import list_event_views
from service.commands.jobs.submit import submit
from service.commands.people.identity import current_actor
from service.domain.gpus import format_gpus
from service.domain.jobs import JobId
from service.domain.scheduling_options import SchedulingOptions
from service.domain.spec_notices import list_notices
from service.domain.spec_request import resolve_spec
from service.settings import Settings
from service.store.transaction import Store


@click.command("submit")
@spec_options
@scheduling_options
@click.option(
    "--dry-run", is_flag=True, help="Queue nothing: print devices, memory, time and position in the queue."
)
@click.option("--hold", is_flag=True, help="Queue it paused; cnnctl resume lets it start.")
@click.option("--follow", is_flag=True, help="Follow its progress; Ctrl-C leaves the job running.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def command(
    architecture: str,
    assignments: tuple[str, ...],
    scheduling: SchedulingOptions,
    after: list[JobId],
    dry_run: bool,
    hold: bool,
    follow: bool,
    as_json: bool,
    **values: Any,
) -> None:
    """Queue a job and print its number."""
    if dry_run and follow:
        raise click.UsageError("--dry-run queues nothing, so there is nothing to --follow.")
    settings, store = open_session()
    fields = collect_fields(values, assignments)
    asked: dict[str, Any] = {
        "owner": current_actor(store),
        "scheduling": scheduling,
        "after": after,
        "hold": hold,
    }
    asked["report"] = say
    if dry_run:
        # Only here: the scheduler's policy takes 30 ms to import, and most submissions do not ask it.
        from service.cli.display.dry_run_table import show_dry_run
        from service.commands.jobs.dry_run import dry_run_job

        found = dry_run_job(store, settings, architecture, fields, **asked)
        _say_notices(architecture, fields)
        show_dry_run(found, as_json=as_json)
        return
    view = submit(store, settings, architecture, fields, **asked)
    job_id = JobId(view.job)
    announce(store, settings, job_id, fields)
    for notice in check_health(store, settings).notices:
        say(notice)
    if follow:
        follow_until_detached(store, job_id)
        show_result(store, job_id, as_json=as_json)
    elif as_json:
        print_json(view)
    else:
        echo(job_id)


def announce(store: Store, settings: Settings, job_id: JobId, fields: dict[str, object]) -> None:
    """Say what was queued, what was found in its dataset, and what the person should know."""
    job = get_progress(store, job_id)
    say(f"Job {job_id} is {job.state.value}: {job.architecture} on {job.dataset}, {format_gpus(job.gpus)}.")
    if found := list_event_views(store, job_id)[0].detail:
        say(f"Dataset: {found}.")
    _say_notices(job.architecture, fields)
    if notice := explain_worker_path(job.dataset, settings):
        say(notice)


def _say_notices(architecture: str, fields: dict[str, object]) -> None:
    for notice in list_notices(resolve_spec(architecture, fields), fields):
        say(notice)


def follow_until_detached(store: Store, job_id: JobId) -> None:
    """Follow a job; Ctrl-C stops following it, not the job."""
    try:
        follow_job(store, job_id)
    except KeyboardInterrupt:
        say(f"Job {job_id} continues. See: cnnctl status {job_id}    Stop: cnnctl cancel {job_id}")
        raise SystemExit(130) from None
