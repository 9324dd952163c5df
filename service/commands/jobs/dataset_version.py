"""Names the version of one of the lab's datasets that a job trains on, and keeps it for the job."""

from collections.abc import Mapping

from models.catalog.dataset_path import find_dataset_path
from models.catalog.lookup import DATASETS, unknown_name
from service.domain.datasets import NAME, Dataset
from service.errors import DatasetConflict, SpecError
from service.store.datasets import datasets
from service.store.transaction import Store, Transaction

PATH = "data.dataset"


def pin_dataset(store: Store, assignments: Mapping[str, object]) -> tuple[Mapping[str, object], str]:
    """Replace the name of one of the lab's datasets by its version, `NAME@DIGEST`, which never changes.

    Returns the assignments, and in words what differs: a version of an older spec whose files are gone is
    replaced by what its name means today. Empty where nothing does.

    Raises:
        SpecError: no dataset has that name, or none has it any more.
    """
    wanted = assignments.get(PATH)
    if not isinstance(wanted, str) or wanted in DATASETS or ":" in wanted:
        return assignments, ""
    name = wanted.partition("@")[0]
    if not NAME.fullmatch(name):
        return assignments, ""  # what is wrong with it is said where all of the spec is read
    with store.reading() as tx:
        current = datasets.find_dataset(tx, name)
        versions = datasets.list_versions(tx, name)
        known = [dataset.name for dataset in datasets.list_datasets(tx)]
    asked = next((one for one in versions if one.version == wanted), None)
    if current is None and versions:
        raise SpecError(f"{PATH}: {tell_removed(versions[0])}. See: cnnctl dataset list")
    if current is None or (wanted != name and asked is None):
        raise SpecError(str(unknown_name("dataset", wanted, [*DATASETS, *known])))
    notice = ""
    if asked is not None and asked.version != current.version:
        notice = (
            f"{tell_removed(asked)}: this job trains on other images, today's {current.version}, "
            f"which {current.owner} added on {current.added_at:%Y-%m-%d}"
        )
    return {**assignments, PATH: current.version}, notice


def tell_removed(dataset: Dataset) -> str:
    """Say when a version was removed, and by whom."""
    return f"{dataset.version} was removed by {dataset.removed_by} on {dataset.removed_at:%Y-%m-%d}"


def keep_dataset(tx: Transaction, dataset: str, *, job: str) -> None:
    """See that one of the lab's datasets stays until this transaction has made a job need it.

    Raises:
        DatasetConflict: it was removed; `job` says whose job lacks it.
    """
    place = find_dataset_path(dataset)
    if place is None or not place.is_own:
        return
    name = dataset.partition("@")[0]
    datasets.lock_name(tx, name)
    current = datasets.find_dataset(tx, name)
    if current is not None and current.version == dataset:
        return
    versions = [one for one in datasets.list_versions(tx, name) if one.version == dataset]
    gone = tell_removed(versions[0]) if versions else f"{dataset} is not one of the lab's datasets"
    raise DatasetConflict(
        f"{job} needs a dataset that is not there: {gone}. "
        f"Submit it again for other images, or add the same ones: cnnctl dataset add {name} PATH"
    )
