"""What an entry of the catalog says of itself. Strings and numbers only: no Keras, no NumPy."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field


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
    maximum: float = math.inf

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
        if isinstance(value, (int, float)) and value > self.maximum:
            raise CatalogError(f"{owner} must be at most {self.maximum:g}. Received: {value!r}")
        assert isinstance(value, (bool, int, float, str))
        return value


@dataclass(frozen=True, slots=True, kw_only=True)
class Architecture:
    """A network: `image_size` is the side of the square image it was made for, in pixels.

    `has_feature_maps` is false where nothing but dense layers follows the image: no channels to drop or to
    normalize, nothing to pool. `has_hidden_layers` is false where the output layer sees the pixels.
    `defaults` are its own values of the fields that all networks have. `has_paper_init` says that its paper
    states how it was initialized.
    """

    name: str
    summary: str
    source: str
    function: str
    image_size: int
    has_feature_maps: bool = True
    has_hidden_layers: bool = True
    has_paper_init: bool = False
    default_dataset: str = "digits"
    augment: str = "none"  # of photographs, where nothing else is asked for
    defaults: Mapping[str, str] = field(default_factory=dict)
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
    # MD5 of the published files in IDX form, unpacked: training images, labels, test images, labels.
    idx_md5: tuple[str, ...] = ()
