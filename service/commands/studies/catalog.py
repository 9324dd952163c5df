"""The studies of the catalog: one file a claim, beside the networks that they examine."""

import difflib
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files

from cnnctl.views.studies import StudyEntry
from models.catalog import studies as folder
from service.domain.studies.definition import Definition
from service.domain.studies.plan import count_runs
from service.domain.studies.study_file import read_definition
from service.errors import SpecError
from service.store.studies.costs import find_run_seconds
from service.store.transaction import Store

ENDING = ".toml"


@cache
def list_definitions() -> Sequence[Definition]:
    """All studies of the catalog, by name."""
    found = [one for one in files(folder).iterdir() if one.name.endswith(ENDING)]
    return [read_definition(one.read_text()) for one in sorted(found, key=lambda one: one.name)]


def find_definition(name: str) -> Definition:
    """A study of the catalog by its name.

    Raises:
        SpecError: there is none of that name; the message names the nearest.
    """
    names = [definition.name for definition in list_definitions()]
    if name in names:
        return list_definitions()[names.index(name)]
    nearest = difflib.get_close_matches(name, names, n=1, cutoff=0.4)
    hint = f" Did you mean {nearest[0]}?" if nearest else ""
    raise SpecError(
        f"There is no study {name!r}.{hint} All studies: cnnctl study list. "
        f"A file of your own: cnnctl study run ./{name}{ENDING}"
    )


def list_entries(store: Store) -> Sequence[StudyEntry]:
    """What people see of the catalog, with what it is expected to cost here."""
    with store.reading() as tx:
        run_seconds = find_run_seconds(tx)
    return [_describe(definition, run_seconds) for definition in list_definitions()]


def _describe(definition: Definition, run_seconds: Mapping[tuple[str, str], float]) -> StudyEntry:
    runs = {name: count_runs(definition, name, seeds=one.seeds) for name, one in definition.scales.items()}
    seconds = {name: run_seconds.get((definition.digest, name)) for name in runs}
    return StudyEntry(
        name=definition.name,
        claim=definition.claim,
        source=definition.source,
        published=definition.published,
        network=definition.network,
        dataset=str(definition.base.get("data.dataset", "")),
        arms=list(definition.arms),
        scales=runs,
        gpu_seconds={name: None if one is None else one * runs[name] for name, one in seconds.items()},
        undecided={name: scale.undecided for name, scale in definition.scales.items() if scale.undecided},
    )
