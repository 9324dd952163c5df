"""Builds stages of small convolutions, each ended by a pool, and two hidden dense layers.

Shapes: B batch, H W space, C channels, N features.

Source: Simonyan and Zisserman, Very deep convolutional networks for large-scale image recognition, ICLR
2015. Two 3x3 convolutions see what one 5x5 sees, with 18 in place of 25 weights; three see 7x7, with 27 in
place of 49: the option `kernel` puts the larger ones in their place.
Parameters at 32x32x3 and 10 classes with the default stages: 879,914. VGG-16 (stages
2x64,2x128,3x256,3x512,3x512, dense_units 4096) at 224x224x3 and 1,000 classes: 138,357,544.
"""

from models.catalog.lookup import Choice
from models.catalog.network_builder import Blueprint, PaperInitialization, Tensor
from models.catalog.spatial_steps import parse_stages

# Section 3.1, for those layers that were not taken from a shallower network. It prints 10^-2 as the variance;
# a deviation of 0.1 would make activations grow fivefold a layer, so the deviation is taken to be meant.
PAPER = PaperInitialization(kernel=Choice(name="normal", argument=0.01))


def vgg(x_BHWC: Tensor, recipe: Blueprint[Tensor]) -> Tensor:
    """Return the features x_BN before the logits."""
    kernel, units = recipe.option("kernel"), recipe.option("dense_units")
    stages = parse_stages(str(recipe.choice.options["stages"]), kernel=kernel)
    for number, stage in enumerate(stages, start=1):
        for position in range(1, stage.convolutions + 1):
            x_BHWC = recipe.conv(
                x_BHWC,
                filters=stage.filters,
                size=kernel,
                padding="same",
                name=f"conv{number}_{position}",
                lrn=position == stage.convolutions,
            )
        x_BHWC = recipe.pool(x_BHWC, name=f"pool{number}")
    return recipe.head(x_BHWC, units={"fc1": units, "fc2": units})
