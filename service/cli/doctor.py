"""cnnctl doctor: what is wrong and how to mend it."""

import sys
from dataclasses import asdict

import click

from service.cli.session import print_json
from service.commands.doctor import examine


@click.command("doctor")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def command(as_json: bool) -> None:
    """Find out what is wrong and how to mend it.

    Looks at versions, folders, database, broker, processes and devices. Exits with 1 when something is
    wrong.
    """
    findings = []
    for finding in examine():
        findings.append(finding)
        if not as_json:
            mark = click.style("mend", fg="yellow") if finding.mend else click.style(" ok ", fg="green")
            click.echo(f"{mark}  {finding.subject:12} {finding.found}")
            if finding.mend:
                click.echo(f"{'':18} → {finding.mend}")
    if as_json:
        print_json([asdict(finding) for finding in findings])
    sys.exit(1 if any(finding.mend for finding in findings) else 0)
