from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import pytest

from models.augmentation import draw_colour_shifts, draw_views, principal_colours
from models.catalog.augmentation_config import Augmentation, check_augmentation, parse_augmentation
from models.catalog.lookup import CatalogError
from models.views import centre_view, cut_views, ten_views

CROP_AND_MIRROR = Augmentation(crop_padding=4, mirror=True)


def numbered(side: int, *, count: int = 2, channels: int = 3) -> npt.NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (count, side, side, channels)).astype(np.uint8)


def views(*rows: tuple[int, int, int]) -> npt.NDArray[np.int32]:
    return np.array(rows, dtype=np.int32)


def test_names_are_read_with_their_numbers() -> None:
    read = parse_augmentation("crop:0, mirror,pca:0.2")
    assert read == Augmentation(crop_padding=0, mirror=True, colour_deviation=0.2)
    assert parse_augmentation("none").is_none
    assert parse_augmentation("crop").crop_padding == 4


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("miror", "Did you mean mirror?"),
        ("mirror,mirror", "each once"),
        ("none,mirror", "each once"),
        ("crop:1.5", "whole pixels"),
        ("crop:-1", "at least 0"),
        ("", "Unknown augmentation"),
    ],
)
def test_an_augmentation_without_meaning_is_refused(text: str, message: str) -> None:
    with pytest.raises(CatalogError, match=message):
        parse_augmentation(text)


@pytest.mark.parametrize(
    ("text", "resize", "image_size", "message"),
    [
        ("mirror", 32, 40, "so cannot be larger. Received: 40 of 32"),
        ("crop:0", 32, 32, "one place only"),
        ("crop:8", 8, 8, "cannot be reflected"),
    ],
)
def test_a_crop_that_an_image_has_no_room_for_is_refused(
    text: str, resize: int, image_size: int, message: str
) -> None:
    with pytest.raises(CatalogError, match=message):
        check_augmentation(parse_augmentation(text), resize=resize, image_size=image_size)


def test_a_view_is_a_function_of_seed_epoch_and_number_alone() -> None:
    def draw(*, count: int = 100, seed: int = 1, epoch: int = 1) -> Any:
        return draw_views(CROP_AND_MIRROR, num_images=count, room=0, seed=seed, epoch=epoch)

    np.testing.assert_array_equal(draw(), draw())
    np.testing.assert_array_equal(draw()[:50], draw(count=50))
    assert (draw() != draw(epoch=2)).any()
    assert (draw() != draw(seed=2)).any()


def test_every_place_is_drawn_alike_and_half_the_images_are_mirrored() -> None:
    drawn = draw_views(CROP_AND_MIRROR, num_images=90_000, room=0, seed=0, epoch=1)
    for column in (0, 1):
        places, counts = np.unique(drawn[:, column], return_counts=True)
        assert places.tolist() == list(range(-4, 5))
        assert np.abs(counts - 10_000).max() < 500  # five standard deviations
    assert abs(drawn[:, 2].mean() - 0.5) < 0.01
    assert abs(np.corrcoef(drawn.T) - np.eye(3)).max() < 0.02


def test_without_augmentation_every_view_is_the_centre() -> None:
    drawn = draw_views(Augmentation(), num_images=3, room=29, seed=0, epoch=1)
    np.testing.assert_array_equal(drawn, np.repeat(centre_view(room=29), 3, axis=0))


def test_a_view_inside_the_image_is_a_slice_of_it_and_mirrored_its_flip() -> None:
    x = numbered(9)
    cut = keras.ops.convert_to_numpy(cut_views(x, views((2, 1, 0), (0, 3, 1)), side=6))
    assert cut.dtype == np.uint8
    np.testing.assert_array_equal(cut[0], x[0, 2:8, 1:7])
    np.testing.assert_array_equal(cut[1], x[1, 0:6, 3:9][:, ::-1])


def test_a_view_over_the_border_sees_the_image_reflected() -> None:
    x = numbered(8)
    padded = np.pad(x, [(0, 0), (4, 4), (4, 4), (0, 0)], mode="reflect")
    cut = keras.ops.convert_to_numpy(cut_views(x, views((-4, 3, 0), (4, -2, 1)), side=8))
    np.testing.assert_array_equal(cut[0], padded[0, 0:8, 7:15])
    np.testing.assert_array_equal(cut[1], padded[1, 8:16, 2:10][:, ::-1])


def test_ten_views_are_corners_and_centre_and_their_mirror_images() -> None:
    x = numbered(7, count=1, channels=1)
    cut = keras.ops.convert_to_numpy(cut_views(np.repeat(x, 10, axis=0), ten_views(room=2), side=5))[..., 0]
    image = x[0, ..., 0]
    expected = [image[t : t + 5, left : left + 5] for t, left in [(0, 0), (0, 2), (2, 0), (2, 2), (1, 1)]]
    for number, crop in enumerate(expected):
        np.testing.assert_array_equal(cut[number], crop)
        np.testing.assert_array_equal(cut[number + 5], crop[:, ::-1])


def test_principal_colours_are_the_axes_along_which_pixels_vary() -> None:
    random = np.random.default_rng(0)
    along = np.array([0.6, 0.8, 0.0])
    pixels = (
        128 + random.normal(scale=30, size=(20_000, 1)) * along + random.normal(scale=2, size=(20_000, 3))
    )
    axes = principal_colours(np.clip(np.rint(pixels), 0, 255).astype(np.uint8))
    np.testing.assert_allclose(axes.directions[:, -1], along, atol=0.01)
    np.testing.assert_allclose(axes.variances[-1] ** 0.5 * 255, 30, rtol=0.03)
    np.testing.assert_allclose(axes.directions.T @ axes.directions, np.eye(3), atol=1e-12)


def test_colour_shifts_have_the_papers_distribution() -> None:
    axes = principal_colours(numbered(60).reshape(-1, 3))
    shifts = draw_colour_shifts(axes, deviation=0.1, num_images=100_000, seed=0, epoch=1)
    in_axes = shifts @ axes.directions / 255
    np.testing.assert_allclose(in_axes.std(axis=0), 0.1 * axes.variances, rtol=0.02)
    np.testing.assert_allclose(in_axes.mean(axis=0), 0, atol=0.01 * axes.variances.max())
    first = draw_colour_shifts(axes, deviation=0.1, num_images=10, seed=0, epoch=1)
    np.testing.assert_allclose(first, shifts[:10], rtol=1e-6)
