"""cnnctl doctor: what is wrong and how to mend it."""

import sys
from dataclasses import asdict

import click

from service.cli.session import print_json
from service.commands.doctor import examine, examine_process


@click.command("doctor")
@click.option(
    "--process",
    type=click.Choice(["scheduler", "worker"]),
    help="Only say whether this one was heard lately, as a health check does.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def command(process: str | None, as_json: bool) -> None:
    """Find out what is wrong and how to mend it.

    Looks at versions, folders, database, broker, processes and devices. Exits with 1 when something is
    wrong.
    """
    findings = []
    for finding in examine() if process is None else [examine_process(process)]:
        findings.append(finding)
        if not as_json:
            mark = click.style("mend", fg="yellow") if finding.mend else click.style(" ok ", fg="green")
            click.echo(f"{mark}  {finding.subject:12} {finding.found}")
            if finding.mend:
                click.echo(f"{'':18} → {finding.mend}")
    if as_json:
        print_json([asdict(finding) for finding in findings])
    sys.exit(1 if any(finding.mend for finding in findings) else 0)
