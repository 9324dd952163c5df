"""What a network's description may ask for, and in which order the layers of each step come.

An architecture is a function that asks a builder for one step after the other. The builder of
`models.keras_builder` makes Keras layers, that of `models.catalog.cost_sheet` counts what they cost; both
see the same steps, so that neither can forget what the other has. Imports neither NumPy nor Keras.

Shapes: B batch, H W space, C channels, N features, K classes.
"""

import importlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar

from models.catalog.lookup import Choice, get_architecture
from models.catalog.network_config import NetworkConfig

LOGITS = "logits"
CLASS_MAPS = "logits_maps"  # layers are sorted by name, and these come last


class HasShape(Protocol):
    """A tensor, or what stands for one."""

    @property
    def shape(self) -> tuple[int | None, ...]: ...


Tensor = TypeVar("Tensor", bound=HasShape)


@dataclass(frozen=True, slots=True, kw_only=True)
class PaperInitialization:
    """How a paper initialized its network: kernels by layer or else `kernel`; biases by layer or else 0.

    `normalize` is what it did to pixels, as `data.normalize` says it: initial weights are made for pixels of
    one size, and a network does not learn from those of another.
    """

    kernel: Choice
    kernels: Mapping[str, Choice] = field(default_factory=dict)
    biases: Mapping[str, float] = field(default_factory=dict)
    normalize: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkBuilder(ABC, Generic[Tensor]):
    """The steps of a network: where each is normalized, activated and dropped, as `config` asks for."""

    config: NetworkConfig

    def option(self, name: str) -> int:
        """Return a whole-number option of the architecture."""
        return int(self.config.parsed_options[name])

    def conv(
        self,
        x_BHWC: Tensor,
        *,
        filters: int,
        size: int,
        name: str,
        stride: int = 1,
        padding: str = "valid",
        groups: int = 1,
        lrn: bool = False,
    ) -> Tensor:
        """Apply a convolution of size x size, then normalization and activation.

        `lrn` marks a place for local response normalization, which comes last, each group apart.
        """
        x_BHWC = self.add_conv(
            x_BHWC, filters=filters, size=size, name=name, stride=stride, padding=padding, groups=groups
        )
        x_BHWC = self._activate(x_BHWC, name=name)
        return self.lrn(x_BHWC, name=f"{name}_lrn", groups=groups) if lrn else x_BHWC

    def lrn(self, x_BHWC: Tensor, *, name: str, groups: int = 1) -> Tensor:
        """Apply local response normalization, where it was asked for."""
        return self.add_lrn(x_BHWC, name=name, groups=groups) if self.config.parsed_lrn else x_BHWC

    def pad(self, x_BHWC: Tensor, *, pixels: int, name: str) -> Tensor:
        """Put this number of zeros around the image."""
        return self.add_padding(x_BHWC, pixels=pixels, name=name) if pixels else x_BHWC

    def pool(self, x_BHWC: Tensor, *, name: str, padding: str = "valid", kind: str | None = None) -> Tensor:
        """Take maximum or mean of each window; dropout, where it has its place here, follows.

        `kind` is for a pool that is always of one kind, whatever was chosen.
        """
        x_BHWC = self.add_pool(x_BHWC, name=name, padding=padding, kind=kind or self.config.parsed_pool.kind)
        if self.config.dropout_place == "dense":
            return x_BHWC
        return self._drop(x_BHWC, name=f"{name}_dropout")

    def flatten(self, x_BHWC: Tensor) -> Tensor:
        """Turn feature maps into one row of features per image."""
        return self.add_flatten(x_BHWC, name="flatten")

    def head(self, x_BHWC: Tensor, *, units: Mapping[str, int], drops_first: bool = True) -> Tensor:
        """Go from feature maps to the features before the logits.

        Either through hidden dense layers with these units, or, for the head `gap`, by the mean of each map.
        Standard dropout comes before each dense layer, before the first only if it `drops_first`.
        """
        if self.config.head == "gap":
            return self.add_average(x_BHWC, name="gap")
        x_BN = self.flatten(x_BHWC)
        for number, (name, count) in enumerate(units.items()):
            x_BN = self.dense(x_BN, units=count, name=name, drops=drops_first or number > 0)
        return x_BN

    def dense(self, x_BN: Tensor, *, units: int, name: str, drops: bool = True) -> Tensor:
        """Apply a hidden dense layer, then normalization and activation; standard dropout comes before it."""
        if drops:
            x_BN = self._drop_before(x_BN, name=name)
        return self._activate(self.add_dense(x_BN, units=units, name=name), name=name)

    def logits(self, x: Tensor, *, num_classes: int) -> Tensor:
        """Go from features to one score a class; standard dropout comes before, no norm or activation after.

        A dense layer makes the scores of features x_BN. Of feature maps x_BHWC a 1x1 convolution makes one
        map a class, whose mean is the score.

        Source: Lin, Chen and Yan, Network in network, ICLR 2014, section 3.2 (maps).
        """
        x = self._drop_before(x, name=LOGITS)
        if len(x.shape) == 2:
            return self.add_dense(x, units=num_classes, name=LOGITS)
        maps_BHWK = self.add_conv(
            x, filters=num_classes, size=1, name=CLASS_MAPS, stride=1, padding="valid", groups=1
        )
        return self.add_average(maps_BHWK, name=LOGITS)

    def uses_bias(self, name: str) -> bool:
        """Tell whether a layer has biases: the shift of a normalization takes their place.

        Source: Ioffe and Szegedy, Batch normalization, ICML 2015, section 3.2.
        """
        return self.config.norm != "batch" or name in (LOGITS, CLASS_MAPS)

    @abstractmethod
    def add_conv(
        self, x_BHWC: Tensor, *, filters: int, size: int, name: str, stride: int, padding: str, groups: int
    ) -> Tensor: ...

    @abstractmethod
    def add_dense(self, x_BN: Tensor, *, units: int, name: str) -> Tensor: ...

    @abstractmethod
    def add_batch_norm(self, x: Tensor, *, name: str) -> Tensor: ...

    @abstractmethod
    def add_activation(self, x: Tensor, *, name: str) -> Tensor: ...

    @abstractmethod
    def add_lrn(self, x_BHWC: Tensor, *, name: str, groups: int) -> Tensor: ...

    @abstractmethod
    def add_padding(self, x_BHWC: Tensor, *, pixels: int, name: str) -> Tensor: ...

    @abstractmethod
    def add_pool(self, x_BHWC: Tensor, *, name: str, padding: str, kind: str) -> Tensor: ...

    @abstractmethod
    def add_dropout(self, x: Tensor, *, name: str) -> Tensor: ...

    @abstractmethod
    def add_flatten(self, x_BHWC: Tensor, *, name: str) -> Tensor: ...

    @abstractmethod
    def add_average(self, x_BHWC: Tensor, *, name: str) -> Tensor: ...

    def _activate(self, x: Tensor, *, name: str) -> Tensor:
        if self.config.norm == "batch":
            x = self.add_batch_norm(x, name=f"{name}_norm")
        return self.add_activation(x, name=f"{name}_{self.config.activation}")

    def _drop_before(self, x: Tensor, *, name: str) -> Tensor:
        return x if self.config.dropout_place == "pool" else self._drop(x, name=f"{name}_dropout")

    def _drop(self, x: Tensor, *, name: str) -> Tensor:
        return x if self.config.parsed_dropout.argument is None else self.add_dropout(x, name=name)


# Any: the same function takes Keras tensors with a KerasBuilder, or shapes with a CostBuilder.
Features = Callable[[Any, NetworkBuilder[Any]], Any]


def find_features(architecture: str) -> tuple[Features, PaperInitialization | None]:
    """Return the function that describes a network, and how its paper initialized it, where it says so."""
    module_name, _, function = get_architecture(architecture).function.partition(":")
    module = importlib.import_module(module_name)
    return getattr(module, function), getattr(module, "PAPER", None)
