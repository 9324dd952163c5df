"""How each network shrinks an image, step by step: tells before anything is built what is too small.

Imports neither NumPy nor Keras. A test holds these steps against the networks themselves.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from models.catalog.entries import CatalogError, OptionValue

SMALL_FORM_BELOW = 96  # pixels: below, AlexNet's own first layer leaves nothing to pool
LARGEST_TRIED = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """A step over the image: `same` pads so that only the stride shrinks it."""

    name: str
    size: int
    stride: int = 1
    padding: int = 0
    same: bool = False

    def output_side(self, side: int) -> int:
        """Return the side after this step, 0 or less where the window does not fit."""
        if self.same:
            return -(-side // self.stride)
        return (side + 2 * self.padding - self.size) // self.stride + 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """So many convolutions of so many filters."""

    convolutions: int
    filters: int


def parse_stages(text: str, *, kernel: int) -> tuple[Stage, ...]:
    """Read `2x64,3x128`, counted in 3x3 convolutions; larger kernels take the place of several.

    Raises:
        CatalogError: not of that form, or a stage that cannot be put together from such kernels.
    """
    replaces = (kernel - 1) // 2
    stages = []
    for part in text.split(","):
        count, _, filters = part.strip().partition("x")
        if not (count.isdecimal() and filters.isdecimal() and int(count) and int(filters)):
            raise CatalogError(
                "model.stages of vgg must be CONVOLUTIONSxFILTERS, joined by commas, as in 2x64,2x128. "
                f"Received: {text!r}"
            )
        if int(count) % replaces:
            raise CatalogError(
                f"model.kernel {kernel} of vgg puts one convolution in place of {replaces}: each stage must "
                f"have a multiple of {replaces}. Received: model.stages {text!r}"
            )
        stages.append(Stage(convolutions=int(count) // replaces, filters=int(filters)))
    return tuple(stages)


def is_small_form(options: Mapping[str, OptionValue], *, image_size: int) -> bool:
    """Tell whether AlexNet takes its form for small images."""
    form = options["form"]
    return form == "cifar" or (form == "auto" and image_size < SMALL_FORM_BELOW)


def list_steps(
    architecture: str, options: Mapping[str, OptionValue], *, image_size: int, pool: tuple[int, int]
) -> list[Window]:
    """List the steps that shrink the image; `pool` is size and stride of the pooling windows."""
    pool_size, pool_stride = pool

    def pooling(number: int, *, same: bool = False) -> Window:
        return Window(name=f"pool{number}", size=pool_size, stride=pool_stride, same=same)

    if architecture == "lenet5":
        return [Window(name="conv1", size=5), pooling(1), Window(name="conv2", size=5), pooling(2)]
    if architecture == "convnet4":
        return [pooling(number, same=True) for number in (1, 2, 3)]
    if architecture == "alexnet":
        padding = int(options["padding"])
        first = Window(name="conv1", size=11, stride=4, padding=padding)
        if is_small_form(options, image_size=image_size):
            first = Window(name="conv1", size=5, padding=2 + padding)
        return [first, pooling(1), pooling(2), pooling(5)]
    if architecture == "vgg":
        stages = parse_stages(str(options["stages"]), kernel=int(options["kernel"]))
        return [pooling(number) for number in range(1, len(stages) + 1)]
    return []


def check_image_size(
    architecture: str, options: Mapping[str, OptionValue], *, image_size: int, pool: tuple[int, int]
) -> None:
    """Check that every window fits into what is left of the image.

    Raises:
        CatalogError: one does not; the message names the layer and the smallest image that would do.
    """
    layer = _first_that_does_not_fit(architecture, options, image_size=image_size, pool=pool)
    if layer is None:
        return
    fits = (
        side
        for side in range(image_size, LARGEST_TRIED)
        if _first_that_does_not_fit(architecture, options, image_size=side, pool=pool) is None
    )
    raise CatalogError(
        f"{architecture} needs images of at least {next(fits, LARGEST_TRIED)} pixels a side, or nothing is "
        f"left at {layer}. Received: {image_size}"
    )


def _first_that_does_not_fit(
    architecture: str, options: Mapping[str, OptionValue], *, image_size: int, pool: tuple[int, int]
) -> str | None:
    side = image_size
    for step in list_steps(architecture, options, image_size=image_size, pool=pool):
        side = step.output_side(side)
        if side < 1:
            return step.name
    return None
