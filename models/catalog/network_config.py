"""What somebody chose about a network, checked piece by piece. Imports neither NumPy nor Keras."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from models.catalog import lookup
from models.catalog.entries import Option
from models.catalog.lookup import (
    Architecture,
    CatalogError,
    Choice,
    OptionValue,
    get_architecture,
    parse_choice,
)

PLACES = ("dense", "pool", "all")
PENALIZED = ("kernels", "all")
MOST_POOL_PIXELS = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """Pooling windows of `size` x `size`, `stride` apart; overlapping where size exceeds stride."""

    kind: str
    size: int
    stride: int


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkConfig:
    """A network by its name and everything about it that can be chosen, as people write it."""

    architecture: str
    init: str = "glorot_uniform"
    activation: str = "relu"
    dropout: str = "none"
    dropout_place: str = "dense"
    norm: str = "none"
    pool: str = "max:2/2"
    head: str = "flatten"
    l1: float = 0.0
    l2: float = 0.0
    penalize: str = "kernels"
    options: Mapping[str, OptionValue] = field(default_factory=dict)

    @property
    def parsed_dropout(self) -> Choice:
        return parse_choice(self.dropout, kind="dropout", entries=lookup.DROPOUTS)

    @property
    def parsed_init(self) -> Choice:
        return parse_choice(self.init, kind="initializer", entries=lookup.INITIALIZERS)

    @property
    def parsed_pool(self) -> Pool:
        return parse_pool(self.pool)


def network_defaults(network: Architecture, *, dropout: str | None = None) -> dict[str, str]:
    """Return a network's own values for the fields that all networks have, given the dropout if chosen."""
    defaults = {"dropout_place": "dense", **network.defaults}
    kind = (dropout or defaults.get("dropout", "none")).partition(":")[0]
    # Whole channels can be dropped in one place only, whatever the network declares.
    return {**defaults, "dropout_place": "pool"} if kind == "spatial" else defaults


def resolve_pool(text: str, network: Architecture) -> str:
    """Give a pooling without sizes those of the network."""
    sizes = network.defaults.get("pool", "none").partition(":")[2]
    return f"{text}:{sizes}" if sizes and text in ("max", "average") else text


def parse_pool(text: str) -> Pool:
    """Read `kind:SIZE/STRIDE`.

    Raises:
        CatalogError: not of that form, or sizes that make no sense.
    """
    kind, _, sizes = text.partition(":")
    if kind not in lookup.POOLS:
        raise lookup.unknown_name("pool", kind, lookup.POOLS)
    if kind == "none" and not sizes:
        return Pool(kind=kind, size=1, stride=1)
    size, _, stride = sizes.partition("/")
    if not (size.isdecimal() and stride.isdecimal()) or kind == "none":
        raise CatalogError(f"pool must be KIND:SIZE/STRIDE, as in max:3/2 or average:2/2. Received: {text!r}")
    if not 1 <= int(stride) <= int(size) <= MOST_POOL_PIXELS or int(size) == 1:
        raise CatalogError(
            f"pool needs a size from 2 to {MOST_POOL_PIXELS} and a stride from 1 to its size: a larger one "
            f"would leave pixels out. Received: {text!r}"
        )
    return Pool(kind=kind, size=int(size), stride=int(stride))


def check_choice(choice: NetworkConfig) -> NetworkConfig:
    """Check all that can be told without images: `models.catalog.costs.check_network` checks their size too.

    Returns:
        the choice, with every option of the architecture: those not given with their defaults.

    Raises:
        CatalogError: an unknown name, a bad value, or a combination that cannot be built.
    """
    network = get_architecture(choice.architecture)
    parse_choice(choice.activation, kind="activation", entries=lookup.ACTIVATIONS)
    parse_choice(choice.norm, kind="norm", entries=lookup.NORMS)
    parse_choice(choice.head, kind="head", entries=lookup.HEADS)
    if choice.parsed_init.name == "paper" and not network.has_paper_init:
        raise CatalogError(f"init paper: {network.name} has no paper that says how it was initialized")
    for name, value, allowed in (
        ("dropout_place", choice.dropout_place, PLACES),
        ("penalize", choice.penalize, PENALIZED),
    ):
        if value not in allowed:
            raise CatalogError(f"{name} must be one of {', '.join(allowed)}. Received: {value!r}")
    _check_maps(choice, network)
    options = _resolve_options(network, choice.options)
    fields = {name: getattr(choice, name) for name in choice.__dataclass_fields__}
    return NetworkConfig(**{**fields, "options": options})


def _check_maps(choice: NetworkConfig, network: Architecture) -> None:
    """Refuse what needs feature maps where there are none."""
    dropout, pool = choice.parsed_dropout, choice.parsed_pool
    if network.has_feature_maps:
        if pool.kind == "none":
            raise CatalogError(f"{network.name} cannot be built without pooling: use max or average")
        if dropout.name == "spatial" and choice.dropout_place != "pool":
            raise CatalogError(
                "spatial dropout drops channels, which dense layers have not: "
                f"model.dropout_place must be pool. Received: {choice.dropout_place!r}"
            )
        return
    if dropout.name == "spatial":
        instead = Choice(name="standard", argument=dropout.argument).text
        raise CatalogError(f"spatial dropout needs feature maps; {network.name} has none. Use {instead}")
    for name, value, allowed in (
        ("norm", choice.norm, ("none", "batch")),
        ("pool", pool.kind, ("none",)),
        ("head", choice.head, ("flatten",)),
        ("dropout_place", choice.dropout_place, ("dense",)),
    ):
        if value not in allowed:
            raise CatalogError(
                f"{name} {value} needs feature maps; {network.name} has none. Use {' or '.join(allowed)}"
            )
    if choice.norm == "batch" and not network.has_hidden_layers:
        raise CatalogError(f"{network.name} has no hidden layer to normalize. Use norm none")


def _resolve_options(network: Architecture, options: Mapping[str, OptionValue]) -> dict[str, OptionValue]:
    known: dict[str, Option] = {option.name: option for option in network.options}
    for name in options:
        if name not in known:
            raise lookup.unknown_name(f"option of {network.name}", name, known)
    return {
        name: option.check(options.get(name, option.default), architecture=network.name)
        for name, option in known.items()
    }
