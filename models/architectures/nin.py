"""Builds Network in Network for CIFAR-10: three small networks that slide over the image, no dense layer.

Shapes: B batch, H W space, C channels.

Source: Lin, Chen and Yan, Network in network, ICLR 2014, sections 3 and 4.1: after each convolution two of
1x1, which are dense layers at each place; dropout of 0.5 after the first two blocks; the last 1x1 convolution
has one map a class, whose means are the scores. The paper names no filters; these are those of the authors'
program for CIFAR-10 (Caffe's model zoo, cifar10_nin), whose second pool takes means whatever the first takes.
Unlike there, no ReLU follows the class maps: once it is 0 for all images, nothing is learned any more, and on
digits that happened in the first epoch. Local response normalization before the pools, where it is asked for,
is our own, as is `he_normal`: `glorot_uniform` halves the signal in most of the nine layers. The head
`flatten` puts one dense layer in place of the class maps (section 4.6 puts it behind them).
Parameters at 32x32x3 and 10 classes: 14,592 + 30,880 + 15,456 + 460,992 + 37,056 + 37,056 + 331,968 + 37,056
+ 1,930 = 966,986; with the head `flatten` 1,087,946.
"""

from models.catalog.lookup import Choice
from models.catalog.network_builder import NetworkBuilder, PaperInitialization, Tensor

# As in that program, whose pixels are whitened: of mean 0 and about one size.
PAPER = PaperInitialization(kernel=Choice(name="normal", argument=0.05), normalize="standardize")
# Of a network with default options, for 32x32x3 images and 10 classes.
PARAMETERS = 966_986


def nin(x_BHWC: Tensor, net: NetworkBuilder[Tensor]) -> Tensor:
    """Return the maps x_BHWC before the class maps, or x_BN; the comments give shapes for images of 32x32."""
    x_BHWC = _mlpconv(x_BHWC, net, number=1, size=5, filters=(192, 160, 96))  # 32x32x96
    x_BHWC = net.pool(x_BHWC, name="pool1", padding="same")  # 16x16x96
    x_BHWC = _mlpconv(x_BHWC, net, number=2, size=5, filters=(192, 192, 192))  # 16x16x192
    x_BHWC = net.pool(x_BHWC, name="pool2", padding="same", kind="average")  # 8x8x192
    x_BHWC = _mlpconv(x_BHWC, net, number=3, size=3, filters=(192, 192))  # 8x8x192
    return x_BHWC if net.config.head == "gap" else net.flatten(x_BHWC)


def _mlpconv(
    x_BHWC: Tensor, net: NetworkBuilder[Tensor], *, number: int, size: int, filters: tuple[int, ...]
) -> Tensor:
    """Apply a convolution of size x size, then one of 1x1 for each further number of filters."""
    for position, count in enumerate(filters, start=1):
        x_BHWC = net.conv(
            x_BHWC,
            filters=count,
            size=size if position == 1 else 1,
            padding="same",
            name=f"conv{number}_{position}",
            lrn=position == 3,
        )
    return x_BHWC
