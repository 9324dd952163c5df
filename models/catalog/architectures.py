"""The networks that are known by name, with their own options and defaults."""

from collections.abc import Mapping

from models.catalog.components import KRIZHEVSKY, LECUN, TEXTBOOK
from models.catalog.entries import Architecture, Option

FLAT = {"pool": "none"}
ARCHITECTURES: Mapping[str, Architecture] = {
    network.name: network
    for network in (
        Architecture(
            name="softmax",
            summary="linear scores W x + b of the flattened image, softmax",
            source=TEXTBOOK,
            function="models.architectures.softmax:softmax",
            image_size=32,
            has_feature_maps=False,
            has_hidden_layers=False,
            defaults=FLAT,
        ),
        Architecture(
            name="mlp",
            summary="dense layers with an activation after each",
            source=TEXTBOOK,
            function="models.architectures.mlp:mlp",
            image_size=32,
            has_feature_maps=False,
            defaults=FLAT,
            options=(
                Option(
                    name="hidden_units",
                    summary="units of each hidden layer",
                    default=128,
                    minimum=1,
                    maximum=10**8,
                ),
                Option(name="hidden_layers", summary="number of hidden layers", default=2, minimum=1),
            ),
        ),
        Architecture(
            name="lenet5",
            summary="conv 6@5x5, pool 2, conv 16@5x5, pool 2, dense 120, 84",
            source=LECUN,
            function="models.architectures.lenet5:lenet5",
            image_size=32,
            has_paper_init=True,
            defaults={"pool": "max:2/2"},
        ),
        Architecture(
            name="convnet4",
            summary="conv 32@5x5, 32@5x5, 64@5x5, overlapping pools, one dense layer: for CIFAR-10",
            source=KRIZHEVSKY,
            function="models.architectures.convnet4:convnet4",
            image_size=32,
            has_paper_init=True,
            augment="crop:4,mirror",
            defaults={"pool": "max:3/2", "norm": "lrn"},
        ),
        Architecture(
            name="nin",
            summary="three convolutions, each with 1x1 convolutions behind it, class maps, no dense layer",
            source="Lin, Chen and Yan, Network in network, ICLR 2014",
            function="models.architectures.nin:nin",
            image_size=32,
            has_paper_init=True,
            augment="crop:4,mirror",
            defaults={
                "init": "he_normal",
                "dropout": "standard:0.5",
                "dropout_place": "pool",
                "pool": "max:3/2",
                "head": "gap",
            },
        ),
        Architecture(
            name="alexnet",
            summary="five convolutions in two towers, three dense layers, LRN, overlapping pools",
            source=KRIZHEVSKY,
            function="models.architectures.alexnet:alexnet",
            image_size=227,
            has_paper_init=True,
            augment="crop:0,mirror",
            defaults={"pool": "max:3/2", "norm": "lrn", "dropout": "standard:0.5"},
            options=(
                Option(
                    name="towers",
                    summary="2: two towers that meet in conv3 and the dense layers; 1: one",
                    default=2,
                    choices=(1, 2),
                ),
                Option(
                    name="width",
                    summary="factor of all filters and units, as in 0.5 for half of the paper's",
                    default=1.0,
                    choices=(0.125, 0.25, 0.5, 1.0),
                ),
                Option(
                    name="form",
                    summary="imagenet: conv1 11x11, stride 4; cifar: 5x5, stride 1; auto: by image size",
                    default="auto",
                    choices=("auto", "imagenet", "cifar"),
                ),
                Option(
                    name="padding",
                    summary="zeros around the image before conv1: 2 makes 55x55 maps of 224 pixels",
                    default=0,
                    minimum=0,
                ),
            ),
        ),
        Architecture(
            name="vgg",
            summary="stages of small convolutions with a pool after each, two hidden dense layers",
            source="Simonyan and Zisserman, Very deep convolutional networks, ICLR 2015",
            function="models.architectures.vgg:vgg",
            image_size=32,
            has_paper_init=True,
            defaults={"pool": "max:2/2"},
            options=(
                Option(
                    name="stages",
                    summary="convolutions x filters of each stage; VGG-16 is 2x64,2x128,3x256,3x512,3x512",
                    default="2x32,2x64,2x128",
                ),
                Option(
                    name="kernel",
                    summary="side of the filters: 5 puts one 5x5 for two 3x3, 7 one 7x7 for three",
                    default=3,
                    choices=(3, 5, 7),
                ),
                Option(
                    name="dense_units",
                    summary="units of the hidden dense layers",
                    default=256,
                    minimum=1,
                    maximum=10**8,
                ),
            ),
        ),
    )
}
