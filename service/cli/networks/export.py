"""cnnctl export: a trained network for other programs."""

from pathlib import Path

import click

from service.cli.networks.fetch import fetch_trained
from service.cli.param_types import FilePath
from service.cli.terminal import echo, say

SUFFIXES = {"keras": ".keras", "savedmodel": "", "onnx": ".onnx"}


@click.command("export")
@click.argument("job", type=int)
@click.option("--format", "kind", type=click.Choice(list(SUFFIXES)), default="keras", show_default=True)
@click.option("--output", type=FilePath(), help="File to write; for savedmodel, a folder.")
def command(job: int, kind: str, output: Path | None) -> None:
    """Write a job's network for other programs."""
    trained = fetch_trained(job)
    path = (output or Path(f"job-{job}{SUFFIXES[kind] or '-savedmodel'}")).absolute()
    say(f"Writing {trained.file} of job {job} as {kind} …")
    trained.export(kind, path)
    echo(str(path))
