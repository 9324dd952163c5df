"""The spec of a job: what to train, fully resolved and validated, frozen. A rerun needs only it.

Each field carries the sentence that the reference prints (docs/spec.md).
"""

import hashlib
import json
import math
from collections.abc import Iterator, Mapping
from functools import cache, cached_property
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError, model_validator

from models.catalog import lookup
from models.catalog.augmentation_config import Augmentation, check_augmentation, parse_augmentation
from models.catalog.class_shares import parse_class_shares
from models.catalog.costs import check_network
from models.catalog.dataset_path import find_dataset_path
from models.catalog.network_config import NetworkConfig
from service.domain.spec_sections import Section, explain, find_section, list_fields
from service.domain.stored_spec import ADDED, SCHEMA_VERSION, Tree, load_spec_tree
from service.errors import NewerSpec

SHORTEST_TIME_LIMIT_MINUTES = 1.0
NOT_TRAINED = ("checkpoint", "resources")

PositiveInt = Annotated[int, Field(ge=1)]
NonNegative = Annotated[float, Field(ge=0)]
Fraction = Annotated[float, Field(gt=0, lt=1)]


class DataSpec(Section):
    dataset: str = Field(
        description="dataset, by its name in the catalog or among those that the lab has added, or by its "
        "path: folder:PATH or npz:PATH; the default depends on the network"
    )
    image_size: PositiveInt = Field(description="side in pixels of what the network sees")
    resize: PositiveInt = Field(
        description="side in pixels to which images are resized, before a view of image_size is cut out"
    )
    augment: str = Field(
        "none",
        description="how training images are varied: none, or crop:PADDING, mirror and pca:SIGMA joined by "
        "commas",
    )
    normalize: Literal["standardize", "mean"] = Field(
        "standardize",
        description="what is done to pixels, channel by channel: subtract the training images' mean and "
        "divide by their standard deviation, or subtract the mean only",
    )
    in_memory_mib: Annotated[int, Field(ge=0)] = Field(
        1024, description="MiB; folders whose decoded images take more are decoded anew in each epoch"
    )
    validation_fraction: Annotated[float, Field(ge=0, le=0.5)] = Field(
        0.1, description="share of the training images held out, class by class, for val_* metrics"
    )
    train_fraction: Annotated[float, Field(gt=0, le=1)] = Field(
        1.0,
        description="share of the training images that is used, class by class; the seed chooses, a smaller "
        "share is a part of a larger one, and validation, test and the pixels' statistics stay as they are",
    )
    keep: str = Field(
        "all",
        description="share of the training images that single classes keep, by their numbers, as in "
        "0:0.1,3:0.5: classes of unequal size; all: every class keeps all",
    )

    @cached_property
    def parsed_augment(self) -> Augmentation:
        return parse_augmentation(self.augment)

    @cached_property
    def parsed_keep(self) -> Mapping[int, float]:
        return parse_class_shares(self.keep)

    def limit_used(self, train_images: int) -> int:
        """How many training images are used at most, of those that are not held out."""
        return max(1, math.floor(train_images * self.train_fraction + 1e-9))


class LossSpec(Section):
    name: Literal["cross_entropy", "focal"] = Field(
        "cross_entropy", description="loss on the training images"
    )
    gamma: NonNegative = Field(
        2.0, description="how much the focal loss reduces the weight of well-classified images"
    )
    alpha: Annotated[float, Field(gt=0)] = Field(0.25, description="factor of the focal loss")
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = Field(
        0.0, description="share of each target that is spread evenly over all classes"
    )
    class_weights: Literal["none", "balanced"] = Field(
        "none", description="factor of an image's loss; balanced is inverse to how often its class occurs"
    )


class OptimizerSpec(Section):
    name: Literal["sgd", "alexnet", "adam", "adamw"] = Field(
        "sgd", description="update rule; alexnet is sgd with the weight decay inside the velocity"
    )
    lr: Annotated[float, Field(gt=0)] = Field(description="learning rate at the start")
    momentum: Annotated[float, Field(ge=0, lt=1)] = Field(0.9, description="momentum, of sgd and alexnet")
    weight_decay: NonNegative = Field(
        0.0, description="weight decay per step, decoupled from the gradient except in alexnet"
    )
    max_norm: NonNegative = Field(
        0.0, description="largest norm of the weights into each unit, kept after every step; 0: any"
    )


class ScheduleSpec(Section):
    name: Literal["constant", "step", "cosine", "plateau"] = Field(
        "cosine", description="how the learning rate changes, epoch by epoch"
    )
    factor: Fraction = Field(0.1, description="what step and plateau multiply the learning rate by")
    step_epochs: PositiveInt = Field(10, description="epochs between two drops of step")
    patience_epochs: PositiveInt = Field(
        5, description="epochs without a better val_loss before plateau drops"
    )
    minimum_lr: NonNegative = Field(0.0, description="learning rate below which cosine and plateau never go")


class EarlyStoppingSpec(Section):
    patience_epochs: Annotated[int, Field(ge=0)] = Field(
        0, description="number of epochs without a better value after which training stops; 0: never"
    )
    monitor: Literal["val_loss", "val_accuracy"] = Field("val_loss", description="metric that must improve")
    minimum_change: NonNegative = Field(0.0, description="smallest change that counts as better")


class TrainingSpec(Section):
    batch_size: PositiveInt = Field(32, description="images per step, over all replicas together")
    epochs: PositiveInt = Field(10, description="passes over the training images")
    seed: Annotated[int, Field(ge=0, lt=2**31)] = Field(
        0, description="seed of initialization, data order and dropout"
    )
    precision: Literal["float32", "mixed_bfloat16"] = Field("float32", description="arithmetic of the layers")
    deterministic: bool = Field(True, description="use deterministic kernels, so that a rerun is bit-exact")
    diagnostics: bool = Field(
        False, description="record gradients, activations and weights of each layer, each epoch"
    )
    ten_crop: bool = Field(
        False,
        description="score the test images also by the mean over ten views: corners and centre, mirrored too",
    )
    early_stopping: EarlyStoppingSpec = Field(
        default_factory=EarlyStoppingSpec, description="when to stop early"
    )


class CheckpointSpec(Section):
    every_epochs: PositiveInt = Field(1, description="epochs between two checkpoints")
    every_steps: PositiveInt | None = Field(
        None, description="steps between two checkpoints, in addition; none by default"
    )
    every_minutes: Annotated[float, Field(gt=0)] | None = Field(
        5.0,
        description="minutes of training between two checkpoints, in addition: the most a crash can cost",
    )
    keep: PositiveInt = Field(2, description="newest checkpoints to keep, besides the best one")


class ResourcesSpec(Section):
    gpus: PositiveInt = Field(1, description="GPUs on one host, all or nothing")
    time_limit_minutes: Annotated[float, Field(ge=SHORTEST_TIME_LIMIT_MINUTES)] | None = Field(
        None, description="minutes of training, over all attempts, after which the job fails; none by default"
    )


class Spec(Section):
    """A frozen tree of sections; see `resolve_spec` for how one is made."""

    schema_version: Annotated[int, Field(ge=SCHEMA_VERSION, le=SCHEMA_VERSION)] = Field(
        SCHEMA_VERSION, description="version of this tree's shape"
    )
    model: NetworkConfig = Field(description="the network")
    data: DataSpec = Field(description="the images")
    loss: LossSpec = Field(default_factory=LossSpec, description="the function that training minimizes")
    optimizer: OptimizerSpec = Field(description="the update rule")
    schedule: ScheduleSpec = Field(default_factory=ScheduleSpec, description="the learning rate over time")
    training: TrainingSpec = Field(default_factory=TrainingSpec, description="how long and how to train")
    checkpoint: CheckpointSpec = Field(default_factory=CheckpointSpec, description="what to keep on disk")
    resources: ResourcesSpec = Field(default_factory=ResourcesSpec, description="what to run on")

    @model_validator(mode="after")
    def check_together(self) -> "Spec":
        """Check fields against each other; a ValueError becomes part of pydantic's report."""
        self._check_catalog()
        self._check_views()
        self._check_batch()
        needs_validation = self.schedule.name == "plateau" or self.training.early_stopping.patience_epochs > 0
        if needs_validation and self.data.validation_fraction == 0:
            raise ValueError(
                "schedule plateau and early stopping need validation images. "
                "Received: data.validation_fraction 0"
            )
        return self

    def _check_catalog(self) -> None:
        if find_dataset_path(self.data.dataset) is None:
            self._check_keep(lookup.get_dataset(self.data.dataset))
        check_network(self.model, image_size=self.data.image_size)

    def _check_keep(self, dataset: lookup.Dataset) -> None:
        if unknown := [label for label in self.data.parsed_keep if label >= dataset.num_classes]:
            raise ValueError(
                f"data.keep names class {unknown[0]}; those of {dataset.name} are 0 to "
                f"{dataset.num_classes - 1}. Received: {self.data.keep!r}"
            )

    def _check_views(self) -> None:
        check_augmentation(self.data.parsed_augment, resize=self.data.resize, image_size=self.data.image_size)

    def _check_batch(self) -> None:
        batch, gpus = self.training.batch_size, self.resources.gpus
        if batch % gpus:
            raise ValueError(
                f"training.batch_size {batch} cannot be shared equally by {gpus} GPUs. "
                f"Nearest: {max(1, round(batch / gpus)) * gpus}"
            )
        if find_dataset_path(self.data.dataset) is not None:
            return  # only a host that has the images can count them
        fraction = self.data.validation_fraction
        total = lookup.get_dataset(self.data.dataset).train_images
        images = self.data.limit_used(total - (max(1, round(fraction * total)) if fraction else 0))
        if batch > images:
            raise ValueError(
                f"training.batch_size must be at most the {images} training images of {self.data.dataset}. "
                f"Received: {batch}"
            )

    def to_json(self) -> str:
        """Canonical JSON: sorted keys, no spaces, so that equal specs have equal digests.

        What was added later is left out where it changes nothing: then the digest is that of before.
        """
        tree = self.model_dump(mode="json")
        for path, value in ADDED.items():
            section, _, name = path.partition(".")
            if tree[section][name] == value:
                del tree[section][name]
        return json.dumps(tree, sort_keys=True, separators=(",", ":"))


def digest_training(text: str) -> str:
    """SHA-256, in hex, of what a stored spec trains: of all sections but `checkpoint` and `resources`.

    What is stored is what counts: a field that a newer cnnctl has added changes no digest of an older spec.
    """
    trained = {name: part for name, part in json.loads(text).items() if name not in NOT_TRAINED}
    return hashlib.sha256(json.dumps(trained, sort_keys=True).encode()).hexdigest()


def read_spec(text: str) -> Spec:
    """Read a stored spec, also one of an older version.

    Raises:
        NewerSpec: it has fields or values that this cnnctl does not know; the message names them.
    """
    if unknown := explain_unknown(text):
        raise NewerSpec(unknown)
    try:
        return Spec.model_validate_json(json.dumps(load_spec_tree(text)))
    except ValidationError as error:  # it was valid when it was stored, so a newer cnnctl stored this value
        raise NewerSpec(explain(error.errors()[0])) from error


def explain_unknown(text: str) -> str:
    """The version or the fields of a stored spec that only a newer cnnctl knows; empty if there are none."""
    tree = load_spec_tree(text)
    version = tree.get("schema_version", SCHEMA_VERSION)
    if version > SCHEMA_VERSION:
        return f"schema_version {version}"
    return ", ".join(_list_unknown(tree, Spec))


def _list_unknown(tree: Tree, section: type[Any], prefix: str = "") -> Iterator[str]:
    known = _list_sections(section)  # type: ignore[arg-type]  # mypy takes no class for hashable
    for name, value in tree.items():
        if name not in known:
            yield f"{prefix}{name}"
        elif (inner := known[name]) is not None and isinstance(value, dict):
            yield from _list_unknown(value, inner, f"{prefix}{name}.")


@cache  # the scheduler asks for each job
def _list_sections(section: type[Any]) -> Mapping[str, type[Any] | None]:
    """Every field of a section with the section that it holds, if any."""
    return {name: find_section(field) for name, field in list_fields(section).items()}
