"""Builds linear scores W x + b of the flattened image; softmax turns them into probabilities.

Shapes: B batch, H W space, C channels, N features.

Source: Goodfellow, Bengio and Courville, Deep Learning, 2016, section 6.2.2.3.
Parameters at 32x32x3 and 10 classes: 30,730.
"""

from models.catalog.network_builder import NetworkBuilder, Tensor

# Of a network with default options, for 32x32x3 images and 10 classes.
PARAMETERS = 30_730


def softmax(x_BHWC: Tensor, net: NetworkBuilder[Tensor]) -> Tensor:
    """Return the pixels as features x_BN: the logits are all there is."""
    return net.flatten(x_BHWC)
