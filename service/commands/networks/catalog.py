"""What can be named in a submission."""

from collections.abc import Sequence

from cnnctl.views.networks import CatalogEntry, SpecField
from models.catalog import lookup
from service.domain.spec_request import spec_paths
from service.errors import SpecError

SECTIONS = tuple(lookup.SECTIONS)
DATASETS = "datasets"


def list_entries(section: str) -> Sequence[CatalogEntry]:
    """The entries of one of `SECTIONS`.

    Raises:
        SpecError: there is no such section.
    """
    if section not in lookup.SECTIONS:
        raise SpecError(str(lookup.unknown_name("section", section, SECTIONS)))
    return [
        CatalogEntry(name=_written(entry), summary=entry.summary, source=entry.source)
        for entry in lookup.SECTIONS[section].values()
    ]


def list_fields() -> Sequence[SpecField]:
    """The fields of a spec that `--set` takes: those of all networks, then those of single ones."""
    common = [SpecField(name=path, summary=text) for path, text in spec_paths() if path != "model.options"]
    own = [
        SpecField(name=f"model.{option.name}", summary=f"{option.summary} (of {network.name})")
        for network in lookup.ARCHITECTURES.values()
        for option in network.options
    ]
    return common + own


def _written(entry: lookup.Architecture | lookup.Dataset | lookup.Entry) -> str:
    argument = entry.argument if isinstance(entry, lookup.Entry) else None
    return entry.name if argument is None else f"{entry.name}:{argument.default:g}"
