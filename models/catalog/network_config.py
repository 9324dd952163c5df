"""What somebody chose about a network, parsed and checked once. Imports neither NumPy nor Keras."""

import math
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
from models.catalog.response_norm import ResponseNorm, find_response_norm

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
    """A network by its name and everything about it that can be chosen, parsed and checked when it is made.

    The texts are as people wrote them: a spec's `model` section is this class, and its digest is taken of
    the texts. What they mean is parsed once, into the `parsed_` fields, which no caller gives. The
    `description` is what docs/spec.md and `--help` say of a field.

    Raises:
        CatalogError: an unknown name, a bad value, or a combination that cannot be built with any images;
            `models.catalog.costs.check_network` checks their size.
    """

    architecture: str = field(metadata={"description": "network, by its name in the catalog"})
    init: str = field(
        default="glorot_uniform",
        metadata={"description": "initializer of the kernels, as in orthogonal or normal:0.01"},
    )
    activation: str = field(default="relu", metadata={"description": "activation after each hidden layer"})
    dropout: str = field(
        default="none",
        metadata={"description": "kind and rate of dropout: none, standard:RATE or spatial:RATE"},
    )
    dropout_place: str = field(
        default="dense",
        metadata={
            "description": "where dropout stands: before dense layers, after each pool, or all of these"
        },
    )
    norm: str = field(
        default="none",
        metadata={
            "description": "normalization: none, batch, or lrn, lrn_mean or lrn_within with their alpha, "
            "as in lrn:0.0001"
        },
    )
    pool: str = field(
        default="max:2/2",
        metadata={
            "description": "pooling: max or average, and SIZE/STRIDE if not the network's own, as in max:3/2"
        },
    )
    head: str = field(
        default="flatten", metadata={"description": "what follows the feature maps: flatten or gap"}
    )
    l1: float = field(default=0.0, metadata={"description": "strength of the L1 penalty"})
    l2: float = field(default=0.0, metadata={"description": "strength of the L2 penalty"})
    penalize: str = field(
        default="kernels", metadata={"description": "what the penalties are on: kernels, or all weights"}
    )
    options: Mapping[str, OptionValue] = field(
        default_factory=dict,
        metadata={"description": "the architecture's own options; `model.NAME` sets one"},
    )

    parsed_init: Choice = field(init=False, repr=False, compare=False)
    parsed_dropout: Choice = field(init=False, repr=False, compare=False)
    # None without local response normalization.
    parsed_lrn: ResponseNorm | None = field(init=False, repr=False, compare=False)
    parsed_pool: Pool = field(init=False, repr=False, compare=False)
    # Every option of the architecture: those not given with their defaults.
    parsed_options: Mapping[str, OptionValue] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        network = get_architecture(self.architecture)
        parse_choice(self.activation, kind="activation", entries=lookup.ACTIVATIONS)
        norm = parse_choice(self.norm, kind="norm", entries=lookup.NORMS)
        self._parse("lrn", find_response_norm(norm))
        parse_choice(self.head, kind="head", entries=lookup.HEADS)
        self._parse("init", parse_choice(self.init, kind="initializer", entries=lookup.INITIALIZERS))
        _check_values(self, network)
        self._parse("dropout", parse_choice(self.dropout, kind="dropout", entries=lookup.DROPOUTS))
        self._parse("pool", parse_pool(self.pool))
        _check_maps(self, network)
        self._parse("options", _resolve_options(network, self.options))

    def _parse(self, name: str, value: object) -> None:
        object.__setattr__(self, f"parsed_{name}", value)  # frozen for everybody else


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


def _check_values(config: NetworkConfig, network: Architecture) -> None:
    if config.parsed_init.name == "paper" and not network.has_paper_init:
        raise CatalogError(f"init paper: {network.name} has no paper that says how it was initialized")
    for name, value, allowed in (
        ("dropout_place", config.dropout_place, PLACES),
        ("penalize", config.penalize, PENALIZED),
    ):
        if value not in allowed:
            raise CatalogError(f"{name} must be one of {', '.join(allowed)}. Received: {value!r}")
    for name, strength in (("l1", config.l1), ("l2", config.l2)):
        if not 0 <= strength < math.inf:
            raise CatalogError(f"{name} must be a finite number of at least 0. Received: {strength:g}")


def _check_maps(config: NetworkConfig, network: Architecture) -> None:
    """Refuse what needs feature maps where there are none."""
    dropout, pool = config.parsed_dropout, config.parsed_pool
    if network.has_feature_maps:
        if pool.kind == "none":
            raise CatalogError(f"{network.name} cannot be built without pooling: use max or average")
        if dropout.name == "spatial" and config.dropout_place != "pool":
            raise CatalogError(
                "spatial dropout drops channels, and dense layers have no channels: "
                f"model.dropout_place must be pool. Received: {config.dropout_place!r}"
            )
        return
    if dropout.name == "spatial":
        instead = Choice(name="standard", argument=dropout.argument).text
        raise CatalogError(f"spatial dropout needs feature maps; {network.name} has none. Use {instead}")
    for name, value, allowed in (
        ("norm", config.norm, ("none", "batch")),
        ("pool", pool.kind, ("none",)),
        ("head", config.head, ("flatten",)),
        ("dropout_place", config.dropout_place, ("dense",)),
    ):
        if value not in allowed:
            raise CatalogError(
                f"{name} {value} needs feature maps; {network.name} has none. Use {' or '.join(allowed)}"
            )
    if config.norm == "batch" and not network.has_hidden_layers:
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
