"""Makes the feed of one epoch: the order of the images, and how each is varied.

Both are functions of seed, epoch and the image's number, so a resume needs no stored state of them.
"""

from models.augmentation import draw_colour_shifts, draw_views
from models.datasets.order import epoch_permutation
from service.domain.spec import Spec
from workers.train.data.batches import DeviceFeed, Feed, FileFeed, Variation
from workers.train.data.images import DeviceSplit, RunImages


def make_feed(spec: Spec, images: RunImages, *, epoch: int, first: int) -> Feed:
    """Make the feed of an epoch whose next batch is `first`."""
    order_N = epoch_permutation(images.train.count, seed=spec.training.seed, epoch=epoch)
    variation = _vary(spec, images, epoch=epoch)
    if isinstance(images.train, DeviceSplit):
        return DeviceFeed(images.train.rows, order_N, variation)
    return FileFeed(images.train, order_N, variation, batch_size=spec.training.batch_size, first=first)


def _vary(spec: Spec, images: RunImages, *, epoch: int) -> Variation:
    chosen = spec.data.parsed_augment
    room = spec.data.resize - spec.data.image_size
    drawn = {"num_images": images.train.count, "seed": spec.training.seed, "epoch": epoch}
    moves = chosen.mirror or chosen.crop_padding is not None or room > 0
    axes, deviation = images.statistics.colour_axes, chosen.colour_deviation
    return Variation(
        views=draw_views(chosen, room=room, **drawn) if moves else None,
        shifts=draw_colour_shifts(axes, deviation=deviation, **drawn) if axes else None,
    )
