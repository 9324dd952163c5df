"""Builds a four-layer network for CIFAR-10: three convolutions with overlapping pools, one dense layer.

Shapes: B batch, H W space, C channels, N features.

Source: Krizhevsky, Sutskever and Hinton, ImageNet classification with deep convolutional neural networks,
NIPS 2012, sections 3.1 (ReLU against tanh) and 3.3 (with and without LRN), which name the size only. The
layers are those of the authors' program for CIFAR-10 (cuda-convnet, layers-18pct): three times 5x5 filters
and 3x3 pools two apart, LRN after the first two pools. Unlike there, all pools are of one kind.
Parameters at 32x32x3 and 10 classes: 2,432 + 25,632 + 51,264 + 10,250 = 89,578.
"""

from models.catalog.lookup import Choice
from models.catalog.network_builder import NetworkBuilder, PaperInitialization, Tensor

# As in that program: a narrow normal for the first layer, which sees pixels up to 255.
PAPER = PaperInitialization(
    kernel=Choice(name="normal", argument=0.01),
    kernels={"conv1": Choice(name="normal", argument=0.0001)},
    normalize="mean",
)
# Of a network with default options, for 32x32x3 images and 10 classes.
PARAMETERS = 89_578


def convnet4(x_BHWC: Tensor, net: NetworkBuilder[Tensor]) -> Tensor:
    """Return the features x_BN before the logits; the comments give shapes for images of 32x32."""
    x_BHWC = net.conv(x_BHWC, filters=32, size=5, padding="same", name="conv1")  # 32x32x32
    x_BHWC = net.pool(x_BHWC, name="pool1", padding="same")  # 16x16x32
    x_BHWC = net.lrn(x_BHWC, name="pool1_lrn")
    x_BHWC = net.conv(x_BHWC, filters=32, size=5, padding="same", name="conv2")
    x_BHWC = net.pool(x_BHWC, name="pool2", padding="same")  # 8x8x32
    x_BHWC = net.lrn(x_BHWC, name="pool2_lrn")
    x_BHWC = net.conv(x_BHWC, filters=64, size=5, padding="same", name="conv3")  # 8x8x64
    x_BHWC = net.pool(x_BHWC, name="pool3", padding="same")  # 4x4x64
    return net.head(x_BHWC, units={})  # 1024
