"""Networks: what can be named in a submission, what each costs, and what a trained one sees in images."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated


@dataclass(frozen=True, slots=True, kw_only=True)
class SpecField:
    """A field that `--set` takes."""

    name: Annotated[str, "its path, as in `optimizer.lr`"]
    summary: Annotated[str, "what it is"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogEntry:
    """Something that can be named in a submission."""

    name: Annotated[str, "how it is named there"]
    summary: Annotated[str, "what it is"]
    source: Annotated[str, "the paper it is from, or who made it"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerView:
    """One layer of a network; all figures are for one image."""

    name: Annotated[str, "its name"]
    kind: Annotated[str, "its class in Keras, as in `Conv2D`"]
    output_shape: Annotated[Sequence[int], "without the batch"]
    activations: Annotated[int, "numbers that come out"]
    parameters: Annotated[int, "its weights"]
    macs: Annotated[int, "multiply-adds"]
    receptive_field: Annotated[
        int | None, "side, in pixels, of what one output sees; `null` where there is no space left"
    ]
    stride: Annotated[int | None, "pixels between two neighbouring outputs; `null` as above"]
    dense_parameters: Annotated[
        int | None, "what a dense layer of the same input and output would need; `null` without such weights"
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkView:
    """What a network costs, layer by layer."""

    architecture: Annotated[str, "its name"]
    input_shape: Annotated[Sequence[int], "height, width and channels of an image"]
    layers: Annotated[Sequence[LayerView], "in their order"]
    total_parameters: Annotated[int, "weights of all layers"]
    total_macs: Annotated[int, "multiply-adds of all layers"]
    training_bytes: Annotated[
        int, "about what a step takes on one device, with float32 and momentum, see memory.md"
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class LikelyClass:
    """A class that an image may be of."""

    class_: Annotated[str, "its name"]
    probability: Annotated[float | None, "how likely; `null` where the network's answer is not finite"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PredictionView:
    """What a network sees in an image."""

    image: Annotated[str, "its file, as it was typed"]
    classes: Annotated[Sequence[LikelyClass], "the likeliest first"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassScore:
    """How good a network is on the images of one class."""

    class_: Annotated[str, "its name"]
    images: Annotated[int, "test images of it"]
    accuracy: Annotated[float | None, "share of them that is right; `null` where there are none"]


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationView:
    """How good a network is on test images."""

    dataset: Annotated[str, "whose test images"]
    ten_crop: Annotated[bool, "whether ten views of each image were averaged"]
    images: Annotated[int, "how many"]
    loss: Annotated[float | None, "cross-entropy; `null` where a score is not finite"]
    accuracy: Annotated[float, "share that is right"]
    top1_error: Annotated[float, "share that is wrong"]
    top5_error: Annotated[
        float | None, "share whose class is not among the five likeliest; `null` of five classes or fewer"
    ]
    classes: Annotated[Sequence[ClassScore], "each class on its own"]
    note: Annotated[
        str,
        "names image files that cannot be read, and counts images whose scores are not finite: these count "
        "as wrong",
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class BoxView:
    """An object in an image."""

    top: Annotated[float, "its upper edge, in pixels of the image, also where a small one is drawn larger"]
    left: Annotated[float, "its left edge"]
    bottom: Annotated[float, "its lower edge"]
    right: Annotated[float, "its right edge"]
    class_name: Annotated[str, "what it is"]
    score: Annotated[float, "how sure that is, from 0 to 1"]


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectionView:
    """What a network finds in a larger image."""

    image: Annotated[str, "its file, as it was typed"]
    drawn: Annotated[str, "the PNG with the boxes, as in `street-boxes.png`"]
    boxes: Annotated[Sequence[BoxView], "the surest first"]
