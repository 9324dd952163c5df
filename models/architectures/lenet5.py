"""Builds a network like LeNet-5, for digits, with the layers counted by those that have weights.

Shapes: B batch, H W space, C channels, N features.

Source: LeCun et al., Gradient-based learning applied to document recognition, Proc. IEEE 1998. As usual
today, and unlike the paper: maximum instead of trainable average pooling, every map of CONV2 sees all
maps before it, and softmax instead of radial basis functions. All paddings are 0.
Parameters at 32x32x3 and 10 classes: 456 + 2,416 + 48,120 + 10,164 + 850 = 62,006.
"""

import keras

from models.recipe import Recipe


def lenet5(x_BHWC: keras.KerasTensor, recipe: Recipe) -> keras.KerasTensor:
    """Return the 84 features x_BN before the logits; the comments give shapes for images of 32x32."""
    x_BHWC = recipe.conv(x_BHWC, filters=6, size=5, name="conv1")  # 28x28x6
    x_BHWC = recipe.max_pool(x_BHWC, size=2, stride=2, name="pool1")  # 14x14x6
    x_BHWC = recipe.conv(x_BHWC, filters=16, size=5, name="conv2")  # 10x10x16
    x_BHWC = recipe.max_pool(x_BHWC, size=2, stride=2, name="pool2")  # 5x5x16
    x_BN = recipe.flatten(x_BHWC)  # 400
    x_BN = recipe.dense(x_BN, units=120, name="fc3")
    return recipe.dense(x_BN, units=84, name="fc4")
