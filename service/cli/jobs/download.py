"""cnnctl download: files of a job, their digests checked."""

from collections.abc import Sequence
from pathlib import Path

import click

from cnnctl.files import WHAT, choose_file
from cnnctl.views.jobs import JobFile
from service.cli.display.table import make_table
from service.cli.display.transfer import show_transfer
from service.cli.param_types import FilePath
from service.cli.session import format_bytes, open_client, print_json
from service.cli.terminal import echo, make_console


@click.command("download")
@click.argument("job", type=int)
@click.option("--what", default="best", show_default=True, help=f"{', '.join(WHAT)}, or a name of --list.")
@click.option("--output", type=FilePath(), help="File to write; default: job-JOB-NAME here.")
@click.option("--list", "only_list", is_flag=True, help="Only list what there is.")
@click.option("--json", "as_json", is_flag=True, help="With --list: print one JSON document.")
def command(job: int, what: str, output: Path | None, only_list: bool, as_json: bool) -> None:
    """Download a job's network, predictions, log, spec or checkpoint.

    `best` is the network of the best epoch, or the final one where there is no better. `checkpoint` is the
    newest one's tensors. A download that broke off goes on where it was.
    """
    client = open_client()
    files = client.list_files(job)
    if only_list:
        _show(files, as_json=as_json)
        return
    file = choose_file(job, files, what)
    target = output or Path(f"job-{job}-{file.name}")
    show_transfer(client.download(job, file, target), name=file.name, total=file.bytes)
    echo(str(target.absolute()))


def _show(files: Sequence[JobFile], *, as_json: bool) -> None:
    if as_json:
        print_json(files)
        return
    table = make_table("NAME", "SIZE", "SHA-256", right=["SIZE"], whole=["NAME"])
    for file in files:
        table.add_row(file.name, format_bytes(file.bytes), file.digest or "still grows")
    make_console().print(table)
