"""Shows how much of a file has come."""

import sys
from collections.abc import Iterable

from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from service.cli.terminal import make_console


def show_transfer(counts: Iterable[int], *, name: str, total: int) -> None:
    """Take in the counts of bytes that are there, to the end; a bar shows them on a terminal."""
    if not sys.stderr.isatty():
        for _ in counts:
            pass
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=None),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=make_console(stderr=True)) as progress:
        task = progress.add_task(name, total=total)
        for count in counts:
            progress.update(task, completed=count)
