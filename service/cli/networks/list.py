"""cnnctl list: what can be named in a submission."""

from collections.abc import Mapping, Sequence

import click
from rich.table import Table

from models.catalog import lookup
from service.cli.session import print_json
from service.cli.terminal import make_console
from service.domain.spec_request import spec_paths


@click.command("list")
@click.argument("section", type=click.Choice([*lookup.SECTIONS, "fields"]))
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def command(section: str, as_json: bool) -> None:
    """List what can be named in a submission."""
    rows = _fields() if section == "fields" else _entries(section)
    if as_json:
        print_json(rows)
        return
    table = Table(box=None, header_style="bold", pad_edge=False)
    for name in rows[0]:
        table.add_column(name.upper(), overflow="fold", no_wrap=name == "name")
    for row in rows:
        table.add_row(*row.values())
    make_console().print(table)


def _fields() -> Sequence[Mapping[str, str]]:
    common = [{"name": path, "summary": text} for path, text in spec_paths() if path != "model.options"]
    own = [
        {"name": f"model.{option.name}", "summary": f"{option.summary} (of {network.name})"}
        for network in lookup.ARCHITECTURES.values()
        for option in network.options
    ]
    return common + own


def _entries(section: str) -> Sequence[Mapping[str, str]]:
    return [
        {"name": _written(entry), "summary": entry.summary, "source": entry.source}
        for entry in lookup.SECTIONS[section].values()
    ]


def _written(entry: lookup.Architecture | lookup.Dataset | lookup.Entry) -> str:
    argument = entry.argument if isinstance(entry, lookup.Entry) else None
    return entry.name if argument is None else f"{entry.name}:{argument.default:g}"
