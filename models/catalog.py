"""Names every network, dataset and training option, with its default and its source.

The catalog is what the control plane knows of `models`: it holds strings and numbers only and imports
neither Keras nor TensorFlow, so that a spec is checked in milliseconds. A dotted `function` is resolved by
the code that runs it.
"""

import difflib
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass


class CatalogError(ValueError):
    """A name or value that the catalog does not allow; the message says what is allowed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Argument:
    """The number behind a colon, as in `normal:0.01`: its meaning and the range it may take."""

    name: str
    default: float
    minimum: float = -math.inf
    below: float = math.inf

    def check(self, value: float, *, owner: str) -> float:
        if not math.isfinite(value) or not self.minimum <= value < self.below:
            allowed = (
                f"a finite number of at least {self.minimum:g}"
                if math.isfinite(self.minimum)
                else "a finite number"
            )
            if math.isfinite(self.below):
                allowed += f" and below {self.below:g}"
            raise CatalogError(f"{owner}: {self.name} must be {allowed}. Received: {value:g}")
        return value


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A piece that is chosen by name: an initializer, an activation, a kind of dropout, …"""

    name: str
    summary: str
    source: str
    argument: Argument | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """An entry's name with its argument; `text` is the one way to write it."""

    name: str
    argument: float | None = None

    @property
    def text(self) -> str:
        return self.name if self.argument is None else f"{self.name}:{self.argument!r}"


OptionValue = bool | int | float | str


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """A setting that only some architectures have, such as the hidden units of `mlp`."""

    name: str
    summary: str
    default: OptionValue
    choices: tuple[OptionValue, ...] = ()
    minimum: float = -math.inf

    def check(self, value: object, *, architecture: str) -> OptionValue:
        wanted = type(self.default)
        if wanted is float and type(value) is int:
            value = float(value)
        owner = f"model.{self.name} of {architecture}"
        if type(value) is not wanted or (isinstance(value, float) and not math.isfinite(value)):
            raise CatalogError(f"{owner} must be of type {wanted.__name__}. Received: {value!r}")
        if self.choices and value not in self.choices:
            allowed = ", ".join(map(str, self.choices))
            raise CatalogError(f"{owner} must be one of {allowed}. Received: {value!r}")
        if isinstance(value, (int, float)) and value < self.minimum:
            raise CatalogError(f"{owner} must be at least {self.minimum:g}. Received: {value!r}")
        assert isinstance(value, (bool, int, float, str))
        return value


@dataclass(frozen=True, slots=True, kw_only=True)
class Architecture:
    """A network: `image_size` is the side of the square image it was made for, in pixels.

    `has_feature_maps` is false where nothing but dense layers follows the image, so that there are no
    channels for spatial dropout to drop.
    """

    name: str
    summary: str
    source: str
    function: str
    image_size: int
    minimum_image_size: int
    has_feature_maps: bool = True
    default_dataset: str = "digits"
    augment: str = "none"  # of photographs, where nothing else is asked for
    options: tuple[Option, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """Labelled images: `image_shape` is height, width, channels; `offline` needs no download."""

    name: str
    summary: str
    source: str
    licence: str
    function: str
    num_classes: int
    image_shape: tuple[int, int, int]
    train_images: int
    test_images: int
    offline: bool
    photographs: bool = False


GLOROT = "Glorot and Bengio, Understanding the difficulty of training deep feedforward networks, AISTATS 2010"
HE = "He et al., Delving deep into rectifiers, ICCV 2015"
LECUN = "LeCun et al., Gradient-based learning applied to document recognition, Proc. IEEE 1998"
SAXE = "Saxe et al., Exact solutions to the nonlinear dynamics of learning in deep linear networks, ICLR 2014"
SRIVASTAVA = "Srivastava et al., Dropout, JMLR 2014"
TOMPSON = "Tompson et al., Efficient object localization using convolutional networks, CVPR 2015"
TEXTBOOK = "Goodfellow, Bengio and Courville, Deep Learning, 2016"


def _by_name(*entries: Entry) -> Mapping[str, Entry]:
    return {entry.name: entry for entry in entries}


INITIALIZERS = _by_name(
    Entry(name="zeros", summary="all zero: every hidden unit stays equal, learning fails", source=TEXTBOOK),
    Entry(
        name="normal",
        summary="normal with mean 0",
        source=TEXTBOOK,
        argument=Argument(name="standard deviation", default=0.01, minimum=0.0),
    ),
    Entry(
        name="uniform",
        summary="uniform on [-a, a)",
        source=TEXTBOOK,
        argument=Argument(name="half width", default=0.05, minimum=0.0),
    ),
    Entry(
        name="orthogonal",
        summary="orthonormal rows or columns from the SVD of a Gaussian matrix",
        source=SAXE,
    ),
    Entry(name="glorot_uniform", summary="uniform, variance 2 / (fan in + fan out)", source=GLOROT),
    Entry(name="glorot_normal", summary="truncated normal, variance 2 / (fan in + fan out)", source=GLOROT),
    Entry(name="he_uniform", summary="uniform, variance 2 / fan in", source=HE),
    Entry(name="he_normal", summary="truncated normal, variance 2 / fan in", source=HE),
)
ACTIVATIONS = _by_name(
    Entry(name="relu", summary="max(0, x): derivative 1 where active", source="Nair and Hinton, ICML 2010"),
    Entry(name="tanh", summary="zero-centred, saturates", source=LECUN),
    Entry(name="sigmoid", summary="1 / (1 + exp(-x)): derivative at most 1/4", source=TEXTBOOK),
    Entry(name="elu", summary="exponential below zero", source="Clevert et al., ICLR 2016"),
)
DROPOUTS = _by_name(
    Entry(name="none", summary="no dropout", source=TEXTBOOK),
    Entry(
        name="standard",
        summary="drops single elements before the dense layers",
        source=SRIVASTAVA,
        argument=Argument(name="rate", default=0.5, minimum=0.0, below=1.0),
    ),
    Entry(
        name="spatial",
        summary="drops whole channels of feature maps",
        source=TOMPSON,
        argument=Argument(name="rate", default=0.2, minimum=0.0, below=1.0),
    ),
)
NORMS = _by_name(
    Entry(name="none", summary="no normalization", source=TEXTBOOK),
    Entry(
        name="batch",
        summary="batch normalization before the activation, statistics over all replicas",
        source="Ioffe and Szegedy, Batch normalization, ICML 2015",
    ),
)

ARCHITECTURES: Mapping[str, Architecture] = {
    network.name: network
    for network in (
        Architecture(
            name="softmax",
            summary="linear scores W x + b of the flattened image, softmax",
            source=TEXTBOOK,
            function="models.architectures.softmax:softmax",
            image_size=32,
            minimum_image_size=1,
            has_feature_maps=False,
        ),
        Architecture(
            name="mlp",
            summary="dense layers with an activation after each",
            source=TEXTBOOK,
            function="models.architectures.mlp:mlp",
            image_size=32,
            minimum_image_size=1,
            has_feature_maps=False,
            options=(
                Option(name="hidden_units", summary="units of each hidden layer", default=128, minimum=1),
                Option(name="hidden_layers", summary="number of hidden layers", default=2, minimum=1),
            ),
        ),
        Architecture(
            name="lenet5",
            summary="conv 6@5x5, pool 2, conv 16@5x5, pool 2, dense 120, 84",
            source=LECUN,
            function="models.architectures.lenet5:lenet5",
            image_size=32,
            minimum_image_size=16,
        ),
    )
}

DATASETS: Mapping[str, Dataset] = {
    dataset.name: dataset
    for dataset in (
        Dataset(
            name="digits",
            summary="handwritten digits of 8x8 pixels",
            source="UCI Optical Recognition of Handwritten Digits, test part, as bundled with scikit-learn",
            licence="CC BY 4.0",
            function="models.datasets.digits:load",
            num_classes=10,
            image_shape=(8, 8, 1),
            train_images=1437,
            test_images=360,
            offline=True,
        ),
        Dataset(
            name="mnist",
            summary="handwritten digits of 28x28 pixels",
            source=LECUN,
            licence="CC BY-SA 3.0",
            function="models.datasets.mnist:load",
            num_classes=10,
            image_shape=(28, 28, 1),
            train_images=60000,
            test_images=10000,
            offline=False,
        ),
        Dataset(
            name="fashion_mnist",
            summary="articles of clothing of 28x28 pixels",
            source="Xiao, Rasul and Vollgraf, Fashion-MNIST, 2017",
            licence="MIT",
            function="models.datasets.fashion_mnist:load",
            num_classes=10,
            image_shape=(28, 28, 1),
            train_images=60000,
            test_images=10000,
            offline=False,
        ),
        Dataset(
            name="cifar10",
            summary="colour photographs of 32x32 pixels",
            source="Krizhevsky, Learning multiple layers of features from tiny images, 2009",
            licence="none declared by the source",
            function="models.datasets.cifar10:load",
            num_classes=10,
            image_shape=(32, 32, 3),
            train_images=50000,
            test_images=10000,
            offline=False,
            photographs=True,
        ),
        Dataset(
            name="synthetic",
            summary="noisy class patterns drawn from a fixed seed, for trying things out",
            source="made by this project",
            licence="MIT",
            function="models.datasets.synthetic:load",
            num_classes=10,
            image_shape=(32, 32, 3),
            train_images=2048,
            test_images=512,
            offline=True,
        ),
    )
}

SECTIONS: Mapping[str, Mapping[str, Architecture | Dataset | Entry]] = {
    "architectures": ARCHITECTURES,
    "datasets": DATASETS,
    "initializers": INITIALIZERS,
    "activations": ACTIVATIONS,
    "dropouts": DROPOUTS,
    "norms": NORMS,
}


def unknown_name(kind: str, name: str, known: Iterable[str]) -> CatalogError:
    """Say that a name is unknown, with the nearest known one and the full list."""
    known = list(known)
    nearest = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    hint = f" Did you mean {nearest[0]}?" if nearest else ""
    return CatalogError(f"Unknown {kind} {name!r}.{hint} Known: {', '.join(known) or 'none'}")


def find_architecture(name: str) -> Architecture:
    if name not in ARCHITECTURES:
        raise unknown_name("architecture", name, ARCHITECTURES)
    return ARCHITECTURES[name]


def find_dataset(name: str) -> Dataset:
    if name not in DATASETS:
        raise unknown_name("dataset", name, DATASETS)
    return DATASETS[name]


def parse_choice(text: str, *, kind: str, entries: Mapping[str, Entry]) -> Choice:
    """Read `name` or `name:number` against the entries of one kind.

    Raises:
        CatalogError: the name is unknown, takes no argument, or its argument is out of range.
    """
    name, colon, number = text.partition(":")
    if name not in entries:
        raise unknown_name(kind, name, entries)
    argument = entries[name].argument
    if argument is None:
        if colon:
            raise CatalogError(f"{kind} {name} takes no argument. Received: {text!r}")
        return Choice(name=name)
    if not colon:
        return Choice(name=name, argument=argument.default)
    try:
        value = float(number)
    except ValueError:
        raise CatalogError(f"{kind} {name}: {argument.name} must be a number. Received: {number!r}") from None
    return Choice(name=name, argument=argument.check(value, owner=f"{kind} {name}"))


def check_network(
    architecture: str, *, image_size: int, dropout: Choice, options: Mapping[str, object]
) -> dict[str, OptionValue]:
    """Check whether an architecture goes with images of a size (shorter side, pixels), dropout and options.

    Returns:
        every option of the architecture, those not given with their defaults.

    Raises:
        CatalogError: an unknown architecture or option, a bad value, or a combination that cannot be built.
    """
    network = find_architecture(architecture)
    if image_size < network.minimum_image_size:
        raise CatalogError(
            f"{architecture} needs images of at least {network.minimum_image_size} pixels a side. "
            f"Received: {image_size}. It was made for {network.image_size}"
        )
    if dropout.name == "spatial" and not network.has_feature_maps:
        instead = Choice(name="standard", argument=dropout.argument).text
        raise CatalogError(f"spatial dropout needs feature maps; {architecture} has none. Use {instead}")
    return _resolve_options(network, options=options)


def _resolve_options(network: Architecture, *, options: Mapping[str, object]) -> dict[str, OptionValue]:
    known = {option.name: option for option in network.options}
    for name in options:
        if name not in known:
            raise unknown_name(f"option of {network.name}", name, known)
    return {
        name: option.check(options.get(name, option.default), architecture=network.name)
        for name, option in known.items()
    }
