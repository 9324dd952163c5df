"""Refuses a given field that nothing would read: comparisons of its values would be false."""

from collections.abc import Callable, Iterable, Mapping

from models.catalog.dataset_path import find_dataset_path
from models.catalog.lookup import get_architecture
from service.domain.spec import Spec
from service.errors import SpecError

Condition = tuple[Callable[[Spec], bool], str]


def _is_folder(spec: Spec) -> bool:
    place = find_dataset_path(spec.data.dataset)
    return place is not None and place.kind == "folder"


MOMENTUM: Condition = (lambda s: s.optimizer.name in ("sgd", "alexnet"), "optimizer.name sgd or alexnet")
FOCAL: Condition = (lambda s: s.loss.name == "focal", "loss.name focal")
STEP: Condition = (lambda s: s.schedule.name == "step", "schedule.name step")
PLATEAU: Condition = (lambda s: s.schedule.name == "plateau", "schedule.name plateau")
DROPS: Condition = (lambda s: s.schedule.name in ("step", "plateau"), "schedule.name step or plateau")
LOWERS: Condition = (lambda s: s.schedule.name in ("cosine", "plateau"), "schedule.name cosine or plateau")
DROPOUT: Condition = (lambda s: s.model.dropout != "none", "a model.dropout other than none")
PENALTY: Condition = (lambda s: s.model.l1 > 0 or s.model.l2 > 0, "model.l1 or model.l2 above 0")
HIDDEN: Condition = (
    lambda s: get_architecture(s.model.architecture).has_hidden_layers,
    "a network with hidden layers",
)
FLATTEN: Condition = (lambda s: s.model.head == "flatten", "model.head flatten")
VALIDATION: Condition = (
    lambda s: s.data.validation_fraction > 0 or _is_folder(s),
    "images for the validation",
)
VIEWS: Condition = (lambda s: s.data.resize > s.data.image_size, "data.resize above data.image_size")
FOLDER: Condition = (_is_folder, "a folder of images as data.dataset")

# Every field that is not here is read always; tests/unit/test_unread_fields.py lists those.
READ_WITH: Mapping[str, Condition] = {
    "optimizer.momentum": MOMENTUM,
    "loss.gamma": FOCAL,
    "loss.alpha": FOCAL,
    "schedule.factor": DROPS,
    "schedule.step_epochs": STEP,
    "schedule.patience_epochs": PLATEAU,
    "schedule.minimum_lr": LOWERS,
    "training.early_stopping.monitor": VALIDATION,
    "training.ten_crop": VIEWS,
    "model.activation": HIDDEN,
    "model.dense_units": FLATTEN,
    "model.dropout_place": DROPOUT,
    "model.penalize": PENALTY,
    "data.in_memory_mib": FOLDER,
}


def check_all_are_read(spec: Spec, given: Iterable[str]) -> None:
    """Refuse fields that were given, by their dotted paths, and that nothing would read.

    Raises:
        SpecError: it names the field, and what would read it.
    """
    for path in map(_as_given, given):
        if words := explain_unread(spec, path):
            raise SpecError(f"{path} would have no effect: it is read only with {words}. Leave it out")


def explain_unread(spec: Spec, path: str) -> str:
    """With what a field would be read that a spec does not read; empty of one that it reads."""
    is_read, words = READ_WITH.get(_as_given(path), (None, ""))
    return "" if is_read is None or is_read(spec) else words


def _as_given(path: str) -> str:
    """The path of an architecture's own option as people give it."""
    return path.replace("model.options.", "model.")
