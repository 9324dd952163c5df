"""Builds a multilayer perceptron: dense layers and activations, without which depth would add nothing.

Shapes: B batch, H W space, C channels, N features.

Source: Goodfellow, Bengio and Courville, Deep Learning, 2016, chapter 6.
Parameters at 32x32x3, 10 classes and the default two layers of 128 units: 411,146.
"""

from models.catalog.network_builder import NetworkBuilder, Tensor

# Of a network with default options, for 32x32x3 images and 10 classes.
PARAMETERS = 411_146


def mlp(x_BHWC: Tensor, net: NetworkBuilder[Tensor]) -> Tensor:
    """Return the features x_BN of the last hidden layer."""
    x_BN = net.flatten(x_BHWC)
    for number in range(1, net.option("hidden_layers") + 1):
        x_BN = net.dense(x_BN, units=net.option("hidden_units"), name=f"hidden{number}")
    return x_BN
