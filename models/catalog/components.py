"""Pieces that are chosen by name: initializers, activations, dropout, norms, pools, heads."""

from collections.abc import Mapping

from models.catalog.entries import Argument, Entry

GLOROT = "Glorot and Bengio, Understanding the difficulty of training deep feedforward networks, AISTATS 2010"
HE = "He et al., Delving deep into rectifiers, ICCV 2015"
LECUN = "LeCun et al., Gradient-based learning applied to document recognition, Proc. IEEE 1998"
SAXE = "Saxe et al., Exact solutions to the nonlinear dynamics of learning in deep linear networks, ICLR 2014"
SRIVASTAVA = "Srivastava et al., Dropout, JMLR 2014"
KRIZHEVSKY = "Krizhevsky, Sutskever and Hinton, ImageNet classification with deep CNNs, NIPS 2012"
TOMPSON = "Tompson et al., Efficient object localization using convolutional networks, CVPR 2015"
CAFFE = "Jia et al., Caffe, 2014: its LRN layer, after Krizhevsky's cuda-convnet, 2012"
TEXTBOOK = "Goodfellow, Bengio and Courville, Deep Learning, 2016"


def _by_name(*entries: Entry) -> Mapping[str, Entry]:
    return {entry.name: entry for entry in entries}


INITIALIZERS = _by_name(
    Entry(name="zeros", summary="all zero: every hidden unit stays equal, learning fails", source=TEXTBOOK),
    Entry(
        name="normal",
        summary="normal with mean 0",
        source=TEXTBOOK,
        argument=Argument(name="standard deviation", default=0.01, minimum=0.0),
    ),
    Entry(
        name="uniform",
        summary="uniform on [-a, a)",
        source=TEXTBOOK,
        argument=Argument(name="half width", default=0.05, minimum=0.0),
    ),
    Entry(
        name="orthogonal",
        summary="orthonormal rows or columns of a Gaussian matrix; other first weights than before 0.2",
        source=SAXE,
    ),
    Entry(name="glorot_uniform", summary="uniform, variance 2 / (fan in + fan out)", source=GLOROT),
    Entry(name="glorot_normal", summary="truncated normal, variance 2 / (fan in + fan out)", source=GLOROT),
    Entry(name="he_uniform", summary="uniform, variance 2 / fan in", source=HE),
    Entry(name="he_normal", summary="truncated normal, variance 2 / fan in", source=HE),
    Entry(
        name="kaiming_fan_out",
        summary="normal, variance 2 / fan out: keeps the gradient's scale on the way back",
        source=HE,
    ),
    Entry(name="lecun_normal", summary="truncated normal, variance 1 / fan in", source=LECUN),
    Entry(name="paper", summary="what the network's own paper used", source="each network's own paper"),
)
ACTIVATIONS = _by_name(
    Entry(name="relu", summary="max(0, x): derivative 1 where active", source="Nair and Hinton, ICML 2010"),
    Entry(name="tanh", summary="zero-centred, saturates", source=LECUN),
    Entry(name="sigmoid", summary="1 / (1 + exp(-x)): derivative at most 1/4", source=TEXTBOOK),
    Entry(name="elu", summary="exponential below zero", source="Clevert et al., ICLR 2016"),
    Entry(name="linear", summary="none: depth then adds nothing, all layers are one matrix", source=TEXTBOOK),
)
DROPOUTS = _by_name(
    Entry(name="none", summary="no dropout", source=TEXTBOOK),
    Entry(
        name="standard",
        summary="drops single elements before the dense layers",
        source=SRIVASTAVA,
        argument=Argument(name="rate", default=0.5, minimum=0.0, below=1.0),
    ),
    Entry(
        name="spatial",
        summary="drops whole channels of feature maps",
        source=TOMPSON,
        argument=Argument(name="rate", default=0.2, minimum=0.0, below=1.0),
    ),
)
NORMS = _by_name(
    Entry(name="none", summary="no normalization", source=TEXTBOOK),
    Entry(
        name="lrn",
        summary="local response normalization of neighbouring channels, where the network has it",
        source=KRIZHEVSKY,
        argument=Argument(name="factor of the sum of squares", default=1e-4, minimum=0.0),
    ),
    Entry(
        name="lrn_mean",
        summary="lrn with alpha as Caffe, PyTorch and ONNX take it: lrn_mean:5e-4 is lrn:1e-4",
        source=CAFFE,
        argument=Argument(name="factor of the mean of squares", default=1e-4, minimum=0.0),
    ),
    Entry(
        name="lrn_within",
        summary="local response normalization within each map, over 3x3 places",
        source=CAFFE,
        argument=Argument(name="factor of the mean of squares", default=5e-5, minimum=0.0),
    ),
    Entry(
        name="batch",
        summary="batch normalization before the activation, statistics over all replicas",
        source="Ioffe and Szegedy, Batch normalization, ICML 2015",
    ),
)
POOLS = _by_name(
    Entry(
        name="max", summary="largest value of each window; max:3/2 takes 3x3 windows 2 apart", source=LECUN
    ),
    Entry(name="average", summary="mean of each window; average:2/2 takes 2x2 windows 2 apart", source=LECUN),
    Entry(name="none", summary="of networks without feature maps", source=TEXTBOOK),
)
HEADS = _by_name(
    Entry(
        name="flatten", summary="the feature maps as one row, then the network's dense layers", source=LECUN
    ),
    Entry(
        name="gap",
        summary="the mean of each map in place of all hidden dense layers: far fewer parameters",
        source="Lin, Chen and Yan, Network in network, ICLR 2014",
    ),
)
AUGMENTATIONS = _by_name(
    Entry(name="none", summary="every image as it is, cropped at the centre", source=KRIZHEVSKY),
    Entry(
        name="crop",
        summary="a random place of the image, after reflecting this number of pixels at each border",
        source=KRIZHEVSKY,
        argument=Argument(name="padding in pixels", default=4.0, minimum=0.0, below=64.0),
    ),
    Entry(name="mirror", summary="left and right exchanged in every other image", source=KRIZHEVSKY),
    Entry(
        name="pca",
        summary="a shift of colour along the principal directions of the training pixels",
        source=KRIZHEVSKY,
        argument=Argument(name="standard deviation", default=0.1, minimum=0.0, below=10.0),
    ),
)
