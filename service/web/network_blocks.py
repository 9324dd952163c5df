"""Groups the layers of a network into what a drawing of it shows: blocks, and stages of one spatial size.

An activation belongs to the block before it. Layers whose names share what stands before a slash, as in
`inception_3a/`, are one block, and so are many equal ones in a row.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from cnnctl.views.networks import LayerView, NetworkView

MOST_EQUAL = 4  # more in a row are one block

# Class in Keras → class of the drawing, and the word under the block.
KINDS: Mapping[str, tuple[str, str]] = {
    "Conv2D": ("conv", "convolution"),
    "TowerConv2D": ("conv", "tower conv."),
    "Dense": ("dense", "dense"),
    "MaxPooling2D": ("pool", "max pool"),
    "AveragePooling2D": ("pool", "average pool"),
    "GlobalAveragePooling2D": ("pool", "global average"),
    "BatchNormalization": ("norm", "batch norm"),
    "LocalResponseNormalization": ("norm", "local norm"),
    "Dropout": ("dropout", "dropout"),
    "SpatialDropout2D": ("dropout", "spatial drop."),
    "Flatten": ("flatten", "flatten"),
    "ZeroPadding2D": ("padding", "zero padding"),
    "Activation": ("activation", "activation"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """One or more layers, drawn as one; figures are for one image, of all of them together.

    `output_shape` and `receptive_field` are those of the last one.
    """

    name: str
    layers: tuple[str, ...]
    kind: str
    word: str
    output_shape: tuple[int, ...]
    parameters: int = 0
    macs: int = 0
    receptive_field: int | None = None
    repeats: int = 1

    @property
    def sides(self) -> tuple[int, ...]:
        """Height and width; empty where there is no space left."""
        return self.output_shape[:2] if len(self.output_shape) == 3 else ()

    @property
    def channels(self) -> int:
        return self.output_shape[-1]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """Blocks of one spatial size, and the pool that ends it; `sides` are empty where no space is left."""

    sides: tuple[int, ...]
    blocks: tuple[Block, ...]


def list_stages(view: NetworkView) -> Sequence[Stage]:
    """The image and all layers of a network, in order."""
    stages: list[Stage] = []
    is_open = False
    for block in _list_blocks(view):
        if is_open and (block.sides == stages[-1].sides or (block.kind == "pool" and stages[-1].sides)):
            stages[-1] = replace(stages[-1], blocks=(*stages[-1].blocks, block))
        else:
            stages.append(Stage(sides=block.sides, blocks=(block,)))
        is_open = block.kind not in ("pool", "image")
    return stages


def _list_blocks(view: NetworkView) -> Iterator[Block]:
    shape = tuple(view.input_shape)
    yield Block(name="image", layers=(), kind="image", word="input", output_shape=shape, receptive_field=1)
    single = [_join(list(layers)) for _, layers in groupby(_split(view.layers), key=lambda pair: pair[0])]
    yield from _fold(single)


def _split(layers: Iterable[LayerView]) -> Iterator[tuple[str, LayerView]]:
    """Each layer with the name of its block."""
    last = ""
    for layer in layers:
        prefix, slash, _ = layer.name.rpartition("/")
        if slash:
            last = f"{prefix}/"
        elif layer.kind != "Activation" or not last:
            last = layer.name
        yield last, layer


def _join(pairs: Sequence[tuple[str, LayerView]]) -> Block:
    name, last = pairs[0][0], pairs[-1][1]
    layers = [layer for _, layer in pairs]
    kind, word = KINDS.get(layers[0].kind, ("other", layers[0].kind))
    if name.endswith("/"):
        name, kind, word = name[:-1], "group", f"{len(layers)} layers"
    return Block(
        name=name,
        layers=tuple(layer.name for layer in layers),
        kind=kind,
        word=word,
        output_shape=tuple(last.output_shape),
        parameters=sum(layer.parameters for layer in layers),
        macs=sum(layer.macs for layer in layers),
        receptive_field=last.receptive_field,
    )


def _fold(blocks: Iterable[Block]) -> Iterator[Block]:
    """The same, with one block in the place of many equal ones in a row."""
    for _, run in groupby(blocks, key=lambda one: (one.kind, one.word, one.output_shape, one.parameters)):
        equal = list(run)
        if len(equal) <= MOST_EQUAL:
            yield from equal
            continue
        yield replace(
            equal[-1],
            name=f"{equal[0].name} to {equal[-1].name}",
            layers=tuple(name for block in equal for name in block.layers),
            parameters=sum(block.parameters for block in equal),
            macs=sum(block.macs for block in equal),
            repeats=len(equal),
        )


def format_shape(shape: Iterable[int]) -> str:
    """Sides and channels as text: 27×27×256."""
    return "×".join(map(str, shape))
