"""cnnctl run: queue a job, follow it to its end, exit with its status."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import click

from service.cli.display.progress import follow_job
from service.cli.display.result import show_result
from service.cli.jobs.submit import announce
from service.cli.scheduling_options import scheduling_options
from service.cli.session import open_session
from service.cli.spec_options import collect_fields, spec_options
from service.cli.terminal import say
from service.commands.fleet.health import check_health
from service.commands.jobs.control import cancel
from service.commands.jobs.dataset_check import check_dataset
from service.commands.jobs.submit import submit
from service.commands.ops.embedded_stack import EmbeddedStack, running_stack
from service.commands.people.identity import current_actor
from service.domain.jobs import JobId
from service.domain.scheduling_options import SchedulingOptions
from service.domain.spec_request import resolve_spec
from service.errors import JobConflict
from service.settings import Settings
from service.store.transaction import Store


@click.command("run")
@spec_options
@scheduling_options
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def command(
    architecture: str,
    assignments: tuple[str, ...],
    scheduling: SchedulingOptions,
    after: list[JobId],
    as_json: bool,
    **values: Any,
) -> None:
    """Queue a job and follow it to its end.

    Starts the embedded stack for as long as it runs when none is up. Ctrl-C cancels the job. The exit
    status is 0 when the job succeeded.
    """
    settings, store = open_session()
    fields = collect_fields(values, assignments)
    # A mistake should not wait for the stack to start.
    check_dataset(resolve_spec(architecture, fields), settings, given=fields, report=say)
    with _stack_if_none(store, settings) as stack:
        owner = current_actor(store)
        view = submit(store, settings, architecture, fields, owner=owner, scheduling=scheduling, after=after)
        job_id = JobId(view.job)
        _follow_or_cancel(store, settings, job_id, stack, fields)
    show_result(store, job_id, as_json=as_json)


@contextmanager
def _stack_if_none(store: Store, settings: Settings) -> Iterator[EmbeddedStack | None]:
    health = check_health(store, settings)
    if health.up or settings.database or settings.broker:
        for notice in health.notices:
            say(notice)
        yield None
        return
    say("No stack is up: starting one for this run (the first start imports TensorFlow, about 10 s) …")
    with running_stack(store, settings) as stack:
        yield stack


def _follow_or_cancel(
    store: Store, settings: Settings, job_id: JobId, stack: EmbeddedStack | None, fields: dict[str, object]
) -> None:
    # The block ends before the job is cancelled: the traceback of a Ctrl-C may keep a reading connection
    # open, and SQLite's writers would wait for it.
    with suppress(KeyboardInterrupt):
        announce(store, settings, job_id, fields)
        follow_job(store, job_id, check=lambda: _check_stack(stack))
        return
    say(f"Cancelling job {job_id} …")
    try:
        cancel(store, job_id, actor=current_actor(store))
    except JobConflict:
        return  # it ended in the meantime
    follow_job(store, job_id, check=lambda: _check_stack(stack))


def _check_stack(stack: EmbeddedStack | None) -> None:
    if stack:
        stack.supervise()
