"""Builds AlexNet: five convolutions in two towers, three dense layers.

Shapes: B batch, H W space, C channels, N features.

Source: Krizhevsky, Sutskever and Hinton, ImageNet classification with deep convolutional neural networks,
NIPS 2012, figure 2 and section 3. The towers meet in conv3 and in the dense layers; each normalizes its own
maps. The paper's figure says 224 pixels, its arithmetic needs 227. Dropout follows the two hidden dense
layers. Parameters at 227x227x3 and 1,000 classes: 60,965,224 with two towers, 62,378,344 with one; half as
wide, one tower and 10 classes: 14,601,930.

For images below 96 pixels, or as asked for, conv1 is 5x5 with stride 1 and padding 2, which is our own:
32 pixels become 15 after pool1, 7 after pool2 and 3 after pool5. Parameters at 32x32x3 and 10 classes:
28,569,994.
"""

from models.catalog.lookup import Choice
from models.catalog.network_builder import NetworkBuilder, PaperInitialization, Tensor

SMALL_FORM_BELOW = 96  # pixels: below, the paper's own first layer leaves nothing to pool

# Section 5: N(0, 0.01), and biases of 1 where ReLUs should begin with positive inputs.
PAPER = PaperInitialization(
    kernel=Choice(name="normal", argument=0.01),
    biases=dict.fromkeys(("conv2", "conv4", "conv5", "fc6", "fc7"), 1.0),
    normalize="mean",  # section 2
)
# Of a network with default options, for 227x227x3 images and 10 classes.
PARAMETERS = 56_909_194


def alexnet(x_BHWC: Tensor, net: NetworkBuilder[Tensor]) -> Tensor:
    """Return the features x_BN before the logits; the comments give shapes for images of 227x227."""
    towers = net.option("towers")

    def conv(x_BHWC: Tensor, name: str, filters: int, size: int, groups: int = 1) -> Tensor:
        filters = _scale(filters, net)
        return net.conv(x_BHWC, filters=filters, size=size, padding="same", groups=groups, name=name)

    x_BHWC = _conv1(x_BHWC, net)  # 55x55x96
    x_BHWC = net.lrn(x_BHWC, name="conv1_lrn", groups=towers)
    x_BHWC = net.pool(x_BHWC, name="pool1")  # 27x27x96
    x_BHWC = conv(x_BHWC, "conv2", 256, 5, groups=towers)
    x_BHWC = net.lrn(x_BHWC, name="conv2_lrn", groups=towers)
    x_BHWC = net.pool(x_BHWC, name="pool2")  # 13x13x256
    x_BHWC = conv(x_BHWC, "conv3", 384, 3)  # sees both towers
    x_BHWC = conv(x_BHWC, "conv4", 384, 3, groups=towers)
    x_BHWC = conv(x_BHWC, "conv5", 256, 3, groups=towers)
    x_BHWC = net.pool(x_BHWC, name="pool5")  # 6x6x256
    units = {name: _scale(4096, net) for name in ("fc6", "fc7")}
    return net.head(x_BHWC, units=units, drops_first=False)


def _conv1(x_BHWC: Tensor, net: NetworkBuilder[Tensor]) -> Tensor:
    small = _is_small_form(x_BHWC, net)
    x_BHWC = net.pad(x_BHWC, pixels=net.option("padding"), name="padding")
    size, stride, mode = (5, 1, "same") if small else (11, 4, "valid")
    return net.conv(x_BHWC, filters=_scale(96, net), size=size, stride=stride, padding=mode, name="conv1")


def _is_small_form(x_BHWC: Tensor, net: NetworkBuilder[Tensor]) -> bool:
    form, sides = net.config.parsed_options["form"], [side for side in x_BHWC.shape[1:3] if side is not None]
    return form == "cifar" or (form == "auto" and min(sides) < SMALL_FORM_BELOW)


def _scale(count: int, net: NetworkBuilder[Tensor]) -> int:
    return round(count * float(net.config.parsed_options["width"]))
