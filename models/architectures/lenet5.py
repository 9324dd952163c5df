"""Builds a network like LeNet-5, for digits, with the layers counted by those that have weights.

Shapes: B batch, H W space, C channels, N features.

Source: LeCun et al., Gradient-based learning applied to document recognition, Proc. IEEE 1998. As usual
today, and unlike the paper: maximum instead of trainable average pooling, every map of CONV2 sees all
maps before it, and softmax instead of radial basis functions. All paddings are 0.
Parameters at 32x32x3 and 10 classes: 456 + 2,416 + 48,120 + 10,164 + 850 = 62,006.
"""

from models.catalog.lookup import Choice
from models.catalog.network_builder import NetworkBuilder, PaperInitialization, Tensor

# Appendix A: evenly from -2.4 / fan in to 2.4 / fan in. Section II.B: pixels of mean 0 and variance 1.
PAPER = PaperInitialization(kernel=Choice(name="fan_in_uniform", argument=2.4), normalize="standardize")
# Of a network with default options, for 32x32x3 images and 10 classes.
PARAMETERS = 62_006


def lenet5(x_BHWC: Tensor, net: NetworkBuilder[Tensor]) -> Tensor:
    """Return the 84 features x_BN before the logits; the comments give shapes for images of 32x32."""
    x_BHWC = net.conv(x_BHWC, filters=6, size=5, name="conv1", lrn=True)  # 28x28x6
    x_BHWC = net.pool(x_BHWC, name="pool1")  # 14x14x6
    x_BHWC = net.conv(x_BHWC, filters=16, size=5, name="conv2", lrn=True)  # 10x10x16
    x_BHWC = net.pool(x_BHWC, name="pool2")  # 5x5x16
    return net.head(x_BHWC, units={"fc3": 120, "fc4": 84})  # of 400 features
