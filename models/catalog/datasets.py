"""The datasets that are known by name."""

from collections.abc import Mapping

from models.catalog.components import LECUN
from models.catalog.entries import Dataset

DATASETS: Mapping[str, Dataset] = {
    dataset.name: dataset
    for dataset in (
        Dataset(
            name="digits",
            summary="handwritten digits of 8x8 pixels",
            source="UCI Optical Recognition of Handwritten Digits, test part, as bundled with scikit-learn",
            licence="CC BY 4.0",
            function="models.datasets.digits:load",
            num_classes=10,
            image_shape=(8, 8, 1),
            train_images=1437,
            test_images=360,
            offline=True,
        ),
        Dataset(
            name="mnist",
            summary="handwritten digits of 28x28 pixels",
            source=LECUN,
            licence="CC BY-SA 3.0",
            function="models.datasets.mnist:load",
            num_classes=10,
            image_shape=(28, 28, 1),
            train_images=60000,
            test_images=10000,
            offline=False,
        ),
        Dataset(
            name="fashion_mnist",
            summary="articles of clothing of 28x28 pixels",
            source="Xiao, Rasul and Vollgraf, Fashion-MNIST, 2017",
            licence="MIT",
            function="models.datasets.fashion_mnist:load",
            num_classes=10,
            image_shape=(28, 28, 1),
            train_images=60000,
            test_images=10000,
            offline=False,
            idx_md5=(
                "f4a8712d7a061bf5bd6d2ca38dc4d50a",
                "9018921c3c673c538a1fc5bad174d6f9",
                "8181f5470baa50b63fa0f6fddb340f0a",
                "15d484375f8d13e6eb1aabb0c3f46965",
            ),
        ),
        Dataset(
            name="cifar10",
            summary="colour photographs of 32x32 pixels",
            source="Krizhevsky, Learning multiple layers of features from tiny images, 2009",
            licence="none declared by the source",
            function="models.datasets.cifar10:load",
            num_classes=10,
            image_shape=(32, 32, 3),
            train_images=50000,
            test_images=10000,
            offline=False,
            photographs=True,
        ),
        Dataset(
            name="synthetic",
            summary="noisy class patterns drawn from a fixed seed, for trying things out",
            source="made by this project",
            licence="MIT",
            function="models.datasets.synthetic:load",
            num_classes=10,
            image_shape=(32, 32, 3),
            train_images=2048,
            test_images=512,
            offline=True,
        ),
    )
}
