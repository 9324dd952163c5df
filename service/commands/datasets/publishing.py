"""The one end of each way to a dataset: its name is checked, its content, and then a rename publishes it."""

import os
import reprlib
import tempfile
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from models.catalog.lookup import DATASETS
from service.commands.datasets.files import delete, make_incoming
from service.commands.jobs.dataset_check import inspect_dataset
from service.domain.datasets import NAME, NAME_RULE, Dataset, UploadId
from service.domain.people import Actor
from service.domain.states import Action, DatasetKind, Subject
from service.errors import DatasetConflict, DatasetRefused, SettingError, SpecError
from service.settings import Settings
from service.store.datasets import datasets, uploads
from service.store.people import audit
from service.store.transaction import Store, Transaction

CHECKED_FRACTION = 0.1  # of the training images held out, as at a submission that does not say


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A dataset whose content lies on the right disk, and that nobody changes any more."""

    name: str
    kind: DatasetKind
    path: Path
    digest: str
    files: int
    bytes: int
    description: str


def check_name(name: str, settings: Settings) -> None:
    """Refuse a name that the lab cannot give.

    Raises:
        DatasetRefused: it is not written as names are.
        DatasetConflict: it means one of cnnctl's own datasets, or a file in CNNCTL_DATASETS_DIR.
        SettingError: the datasets of the service are not on this machine.
    """
    if not NAME.fullmatch(name):
        raise DatasetRefused(f"A dataset's name has {NAME_RULE}. Received: {reprlib.repr(name)}")
    if settings.submits_only and not settings.datasets:
        raise SettingError(
            "The folder of the datasets is not on this machine. Set CNNCTL_DATASETS_DIR to the folder "
            "that the workers read too, or run the command where a worker runs"
        )
    if name in DATASETS:
        raise DatasetConflict(f"The name {name} is taken: it is one of cnnctl's own datasets")
    file = settings.datasets_dir / f"{name}.npz"
    if file.exists():
        raise DatasetConflict(f"The name {name} is taken: there is a file {file}")


def check_is_free(tx: Transaction, name: str) -> None:
    """Refuse a name that means one of the lab's datasets already.

    Raises:
        DatasetConflict: with who has it.
    """
    taken = datasets.find_dataset(tx, name)
    if taken is not None:
        raise DatasetConflict(
            f"The name {name} is taken: {taken.owner} added it on {taken.added_at:%Y-%m-%d}. "
            f"Choose another one. See: cnnctl dataset show {name}"
        )


def publish(
    store: Store,
    settings: Settings,
    draft: Draft,
    *,
    shown: str,
    actor: Actor,
    upload_id: UploadId | None = None,
) -> Dataset:
    """Check a draft as at a submission and let its name mean it; an upload that it comes from is finished.

    A crash at any time leaves either nothing that is named, or the whole dataset: what lies in its place
    before the commit belongs to a row that is not published, and goes with the next collection. `shown` is
    what messages name in place of the draft's own path.

    Raises:
        DatasetRefused: nobody can train on it.
        DatasetConflict: somebody else has taken the name.
    """
    found = _check_content(draft, settings, shown=shown)
    os.sync()  # whole on the disk before it has its name; a call for each file would take minutes
    with store.transaction() as tx:
        check_is_free(tx, draft.name)
        dataset = datasets.add_dataset(
            tx,
            name=draft.name,
            kind=draft.kind,
            digest=draft.digest,
            owner=actor.name,
            description=draft.description,
            found=found,
            files=draft.files,
            bytes=draft.bytes,
        )
    with store.transaction() as tx:
        datasets.lock_name(tx, draft.name)
        check_is_free(tx, draft.name)
        _check_version(tx, dataset)
        datasets.set_published(tx, dataset.id)
        if upload_id is not None:
            uploads.remove_upload(tx, upload_id)
        about = {"version": dataset.version, "digest": draft.digest, "bytes": draft.bytes, "found": found}
        audit.add_entry_about(tx, Subject.DATASET, draft.name, Action.ADDED, actor=actor, after=about)
        left = _put_in_place(draft.path, settings.datasets_dir / dataset.version)
        tx.after_commit(partial(delete, left))
    return dataset


def discard(store: Store, path: Path) -> bool:
    """Delete the files of a version that no name means any more; False where one does again."""
    name = path.name.partition("@")[0]
    with store.transaction() as tx:
        datasets.lock_name(tx, name)
        current = datasets.find_dataset(tx, name)
        if current is not None and current.version == path.name:
            return False
        aside = _move_aside(path)
    delete(aside)
    return True


def _check_content(draft: Draft, settings: Settings, *, shown: str) -> str:
    """What a submission would find in it, in one line; empty where a package is missing to look."""
    name = f"{draft.kind.value}:{draft.path}"
    try:
        checked = inspect_dataset(name, settings, fraction=CHECKED_FRACTION, report=lambda _: None)
    except SpecError as error:
        said = str(error).removeprefix("data.dataset: ").replace(str(draft.path), shown)
        raise DatasetRefused(f"{shown} cannot become a dataset: {said}") from None
    return checked["found"] if checked else ""


def _check_version(tx: Transaction, dataset: Dataset) -> None:
    """A version stands for its whole digest, for ever: what specs say must stay true."""
    for other in datasets.list_rows_of(tx, dataset.version):
        if other.digest != dataset.digest:
            raise DatasetConflict(
                f"{dataset.version} was another dataset, with the digest {other.digest}. Choose another name"
            )


def _put_in_place(path: Path, target: Path) -> Path:
    """Rename to where trainers look, and see that the name is on the disk; what a crash has left there."""
    os.utime(path)  # the collection counts from here
    left = _move_aside(target)
    path.rename(target)
    folder = os.open(target.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
    return left


def _move_aside(path: Path) -> Path:
    """Take a version, if it is there, out of its place at once; the folder to be deleted with it."""
    aside = Path(tempfile.mkdtemp(prefix="removed-", dir=make_incoming(path.parent))) / path.name
    if path.exists():
        path.rename(aside)
    return aside.parent
