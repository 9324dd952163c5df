"""Adds one of the lab's datasets from a folder or a file on this machine."""

from pathlib import Path

from cnnctl.views.datasets import DatasetView
from models.catalog.dataset_path import make_absolute
from service.commands.datasets.files import (
    Progress,
    check_disk,
    copy_file,
    copy_folder,
    incoming_folder,
    list_files,
)
from service.commands.datasets.publishing import Draft, check_is_free, check_name, publish
from service.commands.datasets.registry import describe
from service.commands.jobs.dataset_check import check_dataset_path
from service.commands.people.permissions import check_scope
from service.domain.bounds import check_option
from service.domain.people import Actor
from service.domain.states import DatasetKind
from service.errors import DatasetRefused
from service.settings import Settings
from service.store.transaction import Store


def add_dataset(
    store: Store,
    settings: Settings,
    name: str,
    path: Path,
    *,
    actor: Actor,
    description: str = "",
    report: Progress = lambda *_: None,
) -> DatasetView:
    """Copy a folder of images by class, or an .npz file, and let a name mean it for everybody.

    `report` is called with the bytes that are copied, and with all.

    Raises:
        DatasetRefused: the name is not written as names are, or nobody can train on the images.
        DatasetConflict: the name is taken.
        StorageFull: the disk has no room for the copy.
        SpecError: the path lies where no dataset may.
        OSError: a file cannot be read.
    """
    check_scope(actor, act="add a dataset")
    check_option("--describe", description)
    check_name(name, settings)
    with store.reading() as tx:
        check_is_free(tx, name)
    source = Path(make_absolute(f"{DatasetKind.FOLDER.value}:{path}").partition(":")[2])
    kind = DatasetKind.FOLDER if source.is_dir() else DatasetKind.NPZ
    check_dataset_path(f"{kind.value}:{source}", settings)
    if not source.exists():
        raise DatasetRefused(f"There is no {source} on this machine")
    copy = _copy_folder if kind is DatasetKind.FOLDER else _copy_file
    with incoming_folder(settings) as folder:
        draft = copy(name, source, folder, settings, description=description, report=report)
        return describe(publish(store, settings, draft, shown=str(source), actor=actor))


def _copy_folder(
    name: str, source: Path, folder: Path, settings: Settings, *, description: str, report: Progress
) -> Draft:
    files = list_files(source)
    check_disk(settings, wanted_bytes=sum(size for _, size in files))
    target = folder / "images"
    target.mkdir()
    content = copy_folder(source, target, files=files, report=report)
    return Draft(
        name=name,
        kind=DatasetKind.FOLDER,
        path=target,
        digest=content.digest(),
        files=len(content.digests),
        bytes=content.bytes,
        description=description,
    )


def _copy_file(
    name: str, source: Path, folder: Path, settings: Settings, *, description: str, report: Progress
) -> Draft:
    if not source.is_file():
        raise DatasetRefused(f"{source} is neither a folder nor a file")
    check_disk(settings, wanted_bytes=source.stat().st_size)
    target = folder / "images.npz"
    digest, size = copy_file(source, target, report=report)
    return Draft(
        name=name,
        kind=DatasetKind.NPZ,
        path=target,
        digest=digest,
        files=1,
        bytes=size,
        description=description,
    )
