"""Reads how training images are varied, as in `crop:4,mirror,pca:0.1`. Imports neither NumPy nor Keras."""

from dataclasses import dataclass

from models.catalog.lookup import AUGMENTATIONS, CatalogError, parse_choice

NONE = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class Augmentation:
    """How training images are varied; `crop_padding` is None where they are cropped at the centre."""

    crop_padding: int | None = None
    mirror: bool = False
    colour_deviation: float = 0.0

    @property
    def is_none(self) -> bool:
        return self == Augmentation()


def parse_augmentation(text: str) -> Augmentation:
    """Read names joined by commas, each at most once.

    Raises:
        CatalogError: an unknown name, a bad number, one name twice, or `none` beside others.
    """
    choices = [
        parse_choice(part.strip(), kind="augmentation", entries=AUGMENTATIONS) for part in text.split(",")
    ]
    given = {choice.name: choice.argument for choice in choices}
    if len(given) < len(choices) or (NONE in given and len(given) > 1):
        raise CatalogError(
            f"augmentations are joined by commas, each once, as in crop:4,mirror. Received: {text!r}"
        )
    padding = given.get("crop")
    if padding is not None and padding != int(padding):
        raise CatalogError(f"augmentation crop: the padding must be whole pixels. Received: {padding:g}")
    return Augmentation(
        crop_padding=None if padding is None else int(padding),
        mirror="mirror" in given,
        colour_deviation=given.get("pca") or 0.0,
    )


def check_augmentation(augmentation: Augmentation, *, resize: int, image_size: int) -> None:
    """Check that a crop can be taken from images of a size (pixels a side).

    Raises:
        CatalogError: the image is smaller than the crop, or there is nothing to choose or to reflect.
    """
    if image_size > resize:
        raise CatalogError(
            "data.image_size is cut out of data.resize, so cannot be larger. "
            f"Received: {image_size} of {resize}"
        )
    padding = augmentation.crop_padding
    if padding == 0 and resize == image_size:
        raise CatalogError(
            f"augmentation crop:0 has one place only where data.resize equals data.image_size ({resize}): "
            "use crop:4, or set data.resize larger"
        )
    if padding is not None and padding >= resize:
        raise CatalogError(
            f"augmentation crop: a border of {padding} pixels cannot be reflected in images of {resize}"
        )
