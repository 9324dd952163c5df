"""What datasets the lab has, and removing one."""

import reprlib
from collections.abc import Sequence

from cnnctl.views.datasets import DatasetPage, DatasetView, EarlierVersion
from cnnctl.views.networks import CatalogEntry
from service.commands.datasets.publishing import discard
from service.commands.jobs.dataset_version import tell_removed
from service.commands.people.permissions import check_scope, is_administrator
from service.domain.datasets import NAME, Dataset
from service.domain.people import Actor
from service.domain.states import Action, Subject
from service.errors import DatasetConflict, DatasetNotFound, NotAllowed
from service.settings import Settings
from service.store.datasets import datasets
from service.store.jobs import jobs
from service.store.people import audit
from service.store.transaction import Store, Transaction

MOST_NAMED = 5  # jobs


def list_dataset_views(store: Store) -> Sequence[DatasetView]:
    """The lab's own datasets, by name."""
    with store.reading() as tx:
        return [describe(dataset) for dataset in datasets.list_datasets(tx)]


def list_catalog_entries(store: Store) -> Sequence[CatalogEntry]:
    """The lab's own datasets as what can be named in a submission."""
    return [
        CatalogEntry(
            name=view.name,
            summary="; ".join(filter(None, [view.description, view.found])),
            source=f"added by {view.owner} on {view.added_at:%Y-%m-%d}",
        )
        for view in list_dataset_views(store)
    ]


def get_dataset_page(store: Store, name: str) -> DatasetPage:
    """Everything about one of the lab's datasets.

    Raises:
        DatasetNotFound: no dataset of the lab has that name, or none has it any more.
    """
    with store.reading() as tx:
        dataset = _get_dataset(tx, name)
        needed_by = jobs.list_unfinished_on(tx, dataset.version)
        versions = datasets.list_versions(tx, name)
    return DatasetPage(
        dataset=describe(dataset),
        jobs=needed_by,
        earlier=[
            EarlierVersion(
                version=one.version,
                digest=one.digest,
                owner=one.owner,
                added_at=one.added_at,
                removed_at=one.removed_at,
                removed_by=one.removed_by or "",
            )
            for one in versions
            if one.removed_at is not None
        ],
    )


def remove_dataset(store: Store, settings: Settings, name: str, *, actor: Actor) -> None:
    """Let a name mean nothing any more, and delete the files; what it meant stays known.

    Raises:
        DatasetNotFound: no dataset of the lab has that name.
        NotAllowed: it is somebody else's.
        DatasetConflict: unfinished jobs need it.
        OSError: a file cannot be deleted; the name means nothing any more, and `cnnctl gc` deletes the rest.
    """
    with store.transaction() as tx:
        datasets.lock_name(tx, name)
        dataset = _get_dataset(tx, name)
        check_scope(actor, act="remove a dataset")
        if actor.name != dataset.owner and not is_administrator(tx, actor):
            raise NotAllowed(
                f"Dataset {name} is {dataset.owner}'s: only {dataset.owner} or an administrator may remove "
                f"it. You are {actor.name}. Administrators: cnnctl users"
            )
        _check_is_not_needed(tx, dataset)
        datasets.set_removed(tx, dataset.id, by=actor.name)
        about = {"version": dataset.version, "digest": dataset.digest}
        audit.add_entry_about(tx, Subject.DATASET, name, Action.REMOVED, actor=actor, before=about, after={})
    discard(store, settings.datasets_dir / dataset.version)


def describe(dataset: Dataset) -> DatasetView:
    """What people see of a dataset."""
    return DatasetView(
        name=dataset.name,
        version=dataset.version,
        digest=dataset.digest,
        kind=dataset.kind.value,
        owner=dataset.owner,
        description=dataset.description,
        found=dataset.found,
        files=dataset.files,
        bytes=dataset.bytes,
        added_at=dataset.added_at,
    )


def _get_dataset(tx: Transaction, name: str) -> Dataset:
    readable = NAME.fullmatch(name) is not None  # else the database might not take it
    dataset = datasets.find_dataset(tx, name) if readable else None
    if dataset is None:
        versions = datasets.list_versions(tx, name) if readable else []
        earlier = f": {tell_removed(versions[0])}" if versions else ""
        shown = name if readable else reprlib.repr(name)
        raise DatasetNotFound(f"The lab has no dataset {shown}{earlier}. See: cnnctl dataset list")
    return dataset


def _check_is_not_needed(tx: Transaction, dataset: Dataset) -> None:
    needed_by = jobs.list_unfinished_on(tx, dataset.version)
    if needed_by:
        more = f" and {len(needed_by) - MOST_NAMED} more" if len(needed_by) > MOST_NAMED else ""
        named = ", ".join(map(str, needed_by[:MOST_NAMED])) + more
        raise DatasetConflict(
            f"Dataset {dataset.name} cannot be removed: unfinished jobs need it: {named}. "
            "Wait for their ends or cancel them: cnnctl status"
        )
