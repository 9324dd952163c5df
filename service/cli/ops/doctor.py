"""cnnctl doctor: what is wrong and what to do about it."""

import sys
from collections.abc import Iterator

import click
from rich.text import Text

from cnnctl.version import find_version
from cnnctl.views.ops import Finding
from service.cli.session import print_json
from service.cli.terminal import echo, make_console
from service.client.choose import find_api
from service.commands.ops.doctor import examine, examine_process
from service.errors import CnnctlError
from service.settings import load_settings

MOST_ALIKE = 10


@click.command("doctor")
@click.option(
    "--process",
    type=click.Choice(["api", "scheduler", "worker"]),
    help="Only say whether this process is alive, as a health check does.",
)
@click.option("--deep", is_flag=True, help="Also read whole checkpoints, which takes time.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def command(process: str | None, deep: bool, as_json: bool) -> None:
    """Find out what is wrong and what to do about it.

    Checks versions, folders, database, broker, processes, devices, and what jobs need on this host; or the
    API that commands ask from here, and the same there for administrators.
    Exits with 1 when something is wrong.
    """
    findings = []
    for finding in _examine(deep=deep) if process is None else [examine_process(process)]:
        findings.append(finding)
        if not as_json:
            _show(finding, earlier=sum(other.subject == finding.subject for other in findings[:-1]))
    if as_json:
        print_json(findings)
    sys.exit(1 if any(finding.remedy for finding in findings) else 0)


def _examine(*, deep: bool) -> Iterator[Finding]:
    """This host, or the API that commands ask from here."""
    try:
        api = find_api(load_settings())
    except CnnctlError:  # which the findings tell
        api = None
    if api is None:
        yield from examine(deep=deep)
        return
    try:
        version, me, health = api.get_version(), api.get_me(), api.get_health()
    except CnnctlError as error:
        yield Finding(subject="API", found=str(error), remedy="ask whoever runs the service")
        return
    other = "" if version.version == find_version() else f"install cnnctl {version.version}"
    yield Finding(subject="API", found=f"version {version.version}, here {find_version()}", remedy=other)
    yield Finding(subject="you", found=f"{me.name}, by {me.via} of scope {me.scope}")
    for notice in health.notices:
        yield Finding(subject="service", found=notice, remedy="tell whoever runs the service")
    if me.administrator:
        yield from api.examine(deep=deep)


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
