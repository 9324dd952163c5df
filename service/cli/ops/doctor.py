"""cnnctl doctor: what is wrong and what to do about it."""

import sys

import click
from rich.text import Text

from cnnctl.views.ops import Finding
from service.cli.session import print_json
from service.cli.terminal import echo, make_console
from service.commands.ops.doctor import examine, examine_process

MOST_ALIKE = 10


@click.command("doctor")
@click.option(
    "--process",
    type=click.Choice(["scheduler", "worker"]),
    help="Only say whether this process is alive, as a health check does.",
)
@click.option("--deep", is_flag=True, help="Also read whole checkpoints, which takes time.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def command(process: str | None, deep: bool, as_json: bool) -> None:
    """Find out what is wrong and what to do about it.

    Checks versions, folders, database, broker, processes, devices, and what jobs need on this host.
    Exits with 1 when something is wrong.
    """
    findings = []
    for finding in examine(deep=deep) if process is None else [examine_process(process)]:
        findings.append(finding)
        if not as_json:
            _show(finding, earlier=sum(other.subject == finding.subject for other in findings[:-1]))
    if as_json:
        print_json(findings)
    sys.exit(1 if any(finding.remedy for finding in findings) else 0)


def _show(finding: Finding, *, earlier: int) -> None:
    """Print a finding; of many with the same subject, only the first ones."""
    if finding.remedy and earlier >= MOST_ALIKE:
        if earlier == MOST_ALIKE:
            echo(f"      {finding.subject:21} … and more: cnnctl doctor --json shows all")
        return
    mark = ("fail", "yellow") if finding.remedy else (" ok ", "green")
    make_console(soft_wrap=True).print(Text.assemble(mark, f"  {finding.subject:21} {finding.found}"))
    if finding.itself:
        echo(f"{'':27} by itself: {finding.itself}")
    if finding.remedy:
        echo(f"{'':27} → {finding.remedy}")
