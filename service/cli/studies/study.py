"""cnnctl study: a claim is one command, and the verdict says how sure it is."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from cnnctl.client import Client
from cnnctl.views.codec import from_json
from cnnctl.views.requests import StudyRequest
from cnnctl.views.studies import StudyEntry, StudyEvidence, StudyReport, StudyView
from service.cli.display.job_table import age_of
from service.cli.display.table import make_table
from service.cli.param_types import FilePath
from service.cli.session import format_seconds, open_client, print_json
from service.cli.studies.following import follow_study
from service.cli.terminal import echo, make_console, say
from service.domain.states import Priority
from service.errors import SpecError

LARGEST_FILE_BYTES = 64 * 1024 * 1024


@click.group("study")
def command() -> None:
    """Examine a claim: arms compared over seeds."""


@command.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def list_studies(as_json: bool) -> None:
    """Show the studies that can be run by name."""
    entries = open_client().list_study_catalog()
    if as_json:
        print_json(entries)
        return
    table = make_table("STUDY", "CLAIM", "NETWORK", "ARMS", "RUNS, GPU TIME", whole=("STUDY", "NETWORK"))
    for one in entries:
        table.add_row(one.name, one.claim, one.network, ", ".join(one.arms), _format_scales(one))
    make_console().print(table)


def _format_scales(entry: StudyEntry) -> str:
    """Runs of each scale, with what they are expected to take of GPUs where that is known."""
    times = {name: f", {format_seconds(one)}" for name, one in entry.gpu_seconds.items() if one is not None}
    return "\n".join(f"{name} {runs}{times.get(name, '')}" for name, runs in entry.scales.items())


@command.command("run")
@click.argument("study")
@click.option("--scale", help="How much is run, as in quick; the study's first unless said.")
@click.option("--seeds", type=int, help="Seeds of each arm; those of the scale unless said.")
@click.option(
    "--priority",
    type=click.Choice([one.value for one in Priority]),
    default=Priority.NORMAL.value,
    show_default=True,
    help="How urgent its jobs are.",
)
@click.option("--fresh", is_flag=True, help="Train anew what an earlier study has trained.")
@click.option(
    "--known", type=FilePath(), help="Take over finished runs from a file that cnnctl study export wrote."
)
@click.option("--follow", is_flag=True, help="Follow it to its end; Ctrl-C leaves it running.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def run(study: str, follow: bool, as_json: bool, known: Path | None, **asked: Any) -> None:
    """Start a study: one of the catalog, or a file of your own, as in ./mine.toml."""
    is_file = study.endswith(".toml") or "/" in study
    what: dict[str, Any] = {"toml": _read_text(Path(study))} if is_file else {"name": study}
    numbers = _list_numbers(_read_evidence(known)) if known else {}
    client = open_client()
    started = client.start_study(StudyRequest(**what, **asked, known=numbers))
    say(f"Study {started.study} is {started.state}: {started.name} at scale {started.scale}.")
    say(f"{started.runs} runs are queued, of which {started.done} are known already.")
    if follow:
        _follow(client, started.study)
        _show_report(client.get_study_report(started.study), as_json=as_json)
    elif as_json:
        print_json(started)
    else:
        echo(started.study)


def _follow(client: Client, study: int) -> None:
    try:
        follow_study(client, study)
    except KeyboardInterrupt:
        say(f"Study {study} continues. See: cnnctl study status {study}    Stop: cnnctl study cancel {study}")
        raise SystemExit(130) from None


@command.command("status")
@click.argument("study", type=int, required=False)
@click.option("--follow", is_flag=True, help="Follow it to its end.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def status(study: int | None, follow: bool, as_json: bool) -> None:
    """Show how far studies are, the newest first."""
    client = open_client()
    if follow:
        if study is None:
            raise click.UsageError("Name a study to follow.")
        _follow(client, study)
    views = client.list_studies() if study is None else [client.get_study(study)]
    if as_json:
        print_json(views if study is None else views[0])
    elif views:
        make_console().print(_table(views))
    else:
        say("No study was started yet. See: cnnctl study list")


def _table(views: Sequence[StudyView]) -> Any:
    names = ("STUDY", "NAME", "SCALE", "OWNER", "STATE", "DONE", "LEFT", "STARTED")
    table = make_table(*names, right=("STUDY", "DONE"), whole=("NAME", "STATE"))
    for one in views:
        state = f"{one.state}: {one.reason}" if one.reason else one.state
        done = f"{one.done}/{one.runs}" + (f", {one.failed} failed" if one.failed else "")
        left = "" if one.seconds_left is None else format_seconds(one.seconds_left)
        started = age_of(one.submitted_at)
        table.add_row(str(one.study), one.name, one.scale, one.owner, state, done, left, started)
    return table


def _act(view: StudyView, *, as_json: bool) -> None:
    if as_json:
        print_json(view)
    else:
        echo(f"Study {view.study} is {view.state}: {view.done} of {view.runs} runs are done.")


@command.command("cancel")
@click.argument("study", type=int)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def cancel(study: int, as_json: bool) -> None:
    """Cancel a study and its jobs; what has ended stays."""
    _act(open_client().cancel_study(study), as_json=as_json)


@command.command("extend")
@click.argument("study", type=int)
@click.option("--seeds", type=int, required=True, help="Seeds of each arm, those that it has included.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def extend(study: int, seeds: int, as_json: bool) -> None:
    """Add seeds to a study; its report says that this was decided afterwards."""
    _act(open_client().extend_study(study, seeds=seeds), as_json=as_json)


@command.command("rerun")
@click.argument("study", type=int)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def rerun(study: int, as_json: bool) -> None:
    """Let a held, cancelled or finished study go on: runs without a result are tried again."""
    _act(open_client().rerun_study(study), as_json=as_json)


@command.command("export")
@click.argument("study", type=int)
@click.option("--output", type=FilePath(), help="Write it to this file.")
def export(study: int, output: Path | None) -> None:
    """Print all that a study's report is made of, as JSON."""
    from service.cli.studies.report_files import dump_evidence

    evidence = open_client().get_study_evidence(study)
    if output is None:
        print_json(evidence)
    else:
        output.write_text(dump_evidence(evidence))
        say(f"{len(evidence.runs)} runs are in {output}.")


@command.command("report")
@click.argument("study")
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "md", "html", "json"]),
    default="text",
    show_default=True,
    help="text is for the terminal; md and html come with pictures.",
)
@click.option("--output", type=FilePath(), help="The folder of md and html.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document; as --format json.")
def report(study: str, form: str, output: Path | None, as_json: bool) -> None:
    """Show what a study came to: claim, verdict, size and uncertainty.

    STUDY is a number, or a file that `cnnctl study export` wrote.
    """
    found = _get_report(study)
    if form in ("md", "html"):
        from service.cli.studies.report_files import write_report

        path = write_report(found, form, output or Path(f"study-{found.name}"))
        say(f"The report is in {path}.")
    else:
        _show_report(found, as_json=as_json or form == "json")


def _get_report(study: str) -> StudyReport:
    if study.isdecimal():
        return open_client().get_study_report(int(study))
    from service.domain.studies.report import make_report

    return make_report(_read_evidence(Path(study)))


def _show_report(found: StudyReport, *, as_json: bool) -> None:
    if as_json:
        print_json(found)
        return
    from service.cli.studies.report_text import draw_report

    make_console().print(draw_report(found))


def _read_text(path: Path) -> str:
    try:
        if path.stat().st_size > LARGEST_FILE_BYTES:
            raise SpecError(f"{path} is larger than {LARGEST_FILE_BYTES // 2**20} MiB")
        return path.read_text()
    except (OSError, UnicodeError) as error:
        raise SpecError(f"{path} cannot be read: {error}") from None


def _read_evidence(path: Path) -> StudyEvidence:
    import json

    try:
        evidence: StudyEvidence = from_json(StudyEvidence, json.loads(_read_text(path)))
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise SpecError(f"{path} was not written by cnnctl study export: {error}") from None
    return evidence


def _list_numbers(evidence: StudyEvidence) -> Mapping[str, Mapping[str, Any]]:
    return {run.training_digest: run.numbers for run in evidence.runs if run.numbers is not None}
