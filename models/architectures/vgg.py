"""Builds stages of small convolutions, each ended by a pool, and two hidden dense layers.

Shapes: B batch, H W space, C channels, N features.

Source: Simonyan and Zisserman, Very deep convolutional networks for large-scale image recognition, ICLR
2015. Two 3x3 convolutions see what one 5x5 sees, with 18 in place of 25 weights; three see 7x7, with 27 in
place of 49: the option `kernel` puts the larger ones in their place.
Parameters at 32x32x3 and 10 classes with the default stages: 879,914. VGG-16 (stages
2x64,2x128,3x256,3x512,3x512, dense_units 4096) at 224x224x3 and 1,000 classes: 138,357,544.
"""

from dataclasses import dataclass

from models.catalog.lookup import CatalogError, Choice
from models.catalog.network_builder import NetworkBuilder, PaperInitialization, Tensor

# Section 3.1, for those layers that were not taken from a shallower network. It prints 10^-2 as the variance;
# a deviation of 0.1 would make activations grow fivefold a layer, so the deviation is taken to be meant.
# Section 2.1: the mean is subtracted from each pixel.
PAPER = PaperInitialization(kernel=Choice(name="normal", argument=0.01), normalize="mean")
# Of a network with default options, for 32x32x3 images and 10 classes.
PARAMETERS = 879_914

MOST_CONVOLUTIONS = 200
MOST_FILTERS = 65_536


def vgg(x_BHWC: Tensor, net: NetworkBuilder[Tensor]) -> Tensor:
    """Return the features x_BN before the logits."""
    kernel, units = net.option("kernel"), net.option("dense_units")
    stages = _parse_stages(str(net.config.parsed_options["stages"]), kernel=kernel)
    for number, stage in enumerate(stages, start=1):
        for position in range(1, stage.convolutions + 1):
            x_BHWC = net.conv(
                x_BHWC,
                filters=stage.filters,
                size=kernel,
                padding="same",
                name=f"conv{number}_{position}",
                lrn=position == stage.convolutions,
            )
        x_BHWC = net.pool(x_BHWC, name=f"pool{number}")
    return net.head(x_BHWC, units={"fc1": units, "fc2": units})


@dataclass(frozen=True, slots=True, kw_only=True)
class _Stage:
    """The numbers of convolutions and of filters."""

    convolutions: int
    filters: int


def _parse_stages(text: str, *, kernel: int) -> tuple[_Stage, ...]:
    """Read `2x64,3x128`, counted in 3x3 convolutions; larger kernels take the place of several.

    Raises:
        CatalogError: not of that form, or a stage that cannot be put together from such kernels.
    """
    replaces = (kernel - 1) // 2
    stages = []
    for part in text.split(","):
        count, _, filters = part.strip().partition("x")
        if not (count.isdecimal() and filters.isdecimal() and int(count) and int(filters)):
            raise CatalogError(
                "model.stages of vgg must be CONVOLUTIONSxFILTERS, joined by commas, as in 2x64,2x128. "
                f"Received: {text!r}"
            )
        if int(count) % replaces:
            raise CatalogError(
                f"model.kernel {kernel} of vgg puts one convolution in place of {replaces}: each stage must "
                f"have a multiple of {replaces}. Received: model.stages {text!r}"
            )
        stages.append(_Stage(convolutions=int(count) // replaces, filters=int(filters)))
    if sum(stage.convolutions for stage in stages) > MOST_CONVOLUTIONS:
        raise CatalogError(f"model.stages of vgg may have at most {MOST_CONVOLUTIONS} convolutions in all")
    if max(stage.filters for stage in stages) > MOST_FILTERS:
        raise CatalogError(f"model.stages of vgg may have at most {MOST_FILTERS:,} filters each")
    return tuple(stages)
