import os
import struct
import subprocess
import sys
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image
from PIL import __version__ as PILLOW

from models.datasets.files.decode import read_image, read_square, resize_and_crop
from models.datasets.files.decoder import Decoder, Survey, recall_survey
from models.errors import DatasetError

RAMP = np.linspace(0, 255, 40 * 30).reshape(40, 30).astype(np.uint8)
COLOURS = np.stack([RAMP, RAMP[::-1], RAMP[:, ::-1]], axis=-1)


def save(folder: Path, image: Image.Image, *, name: str = "image.png", **options: Any) -> Path:
    path = folder / name
    image.save(path, **options)
    return path


def test_a_colour_image_is_read_as_it_is(tmp_path: Path) -> None:
    path = save(tmp_path, Image.fromarray(COLOURS))
    np.testing.assert_array_equal(read_image(path, channels=3), COLOURS)


def test_a_gray_image_becomes_three_equal_channels_or_one(tmp_path: Path) -> None:
    path = save(tmp_path, Image.fromarray(RAMP))
    np.testing.assert_array_equal(read_image(path, channels=3), np.repeat(RAMP[..., None], 3, axis=2))
    np.testing.assert_array_equal(read_image(path, channels=1), RAMP[..., None])


def test_sixteen_bits_are_scaled_to_eight(tmp_path: Path) -> None:
    path = save(tmp_path, Image.fromarray(RAMP.astype(np.uint16) * 257))
    with Image.open(path) as image:
        assert image.mode.startswith("I")
    np.testing.assert_array_equal(read_image(path, channels=1)[..., 0], RAMP)


def deep(folder: Path, name: str, pixels: npt.NDArray[Any], *, suffix: str = "png") -> Path:
    return save(folder, Image.fromarray(pixels), name=f"{name}.{suffix}")


def ramp(top: float, dtype: str) -> npt.NDArray[Any]:
    return np.linspace(0, top, 64).astype(dtype)[None].repeat(64, 0)


def survey_deep(paths: list[Path], *, keep: bool = True) -> tuple[Survey, Decoder]:
    decoder = Decoder(side=64, channels=1, threads=2)
    return decoder.survey(paths, keep=keep, say=lambda _: None), decoder


@pytest.mark.parametrize(
    ("tops", "dtype", "suffix", "white_levels"),
    [
        ((255, 256), "u2", "png", {"integer": 1023}),
        ((255, 4095), "u2", "png", {"integer": 4095}),
        ((255, 65535), "u2", "png", {"integer": 65535}),
        ((10, 255), "u2", "png", {"integer": 255}),
        ((70_000,), "i4", "tif", {"integer": 65535}),
        ((0.5, 1.0001), "f4", "tif", {"float": 1}),
        ((0.5, 200), "f4", "tif", {"float": 255}),
        ((np.inf, 1), "f4", "tif", {"float": 1}),
    ],
)
def test_deep_files_of_a_dataset_have_one_scale(
    tmp_path: Path, tops: tuple[float, ...], dtype: str, suffix: str, white_levels: dict[str, float]
) -> None:
    finite = [1.0 if np.isinf(top) else top for top in tops]
    pixels = [ramp(top, dtype) for top in finite]
    if np.isinf(tops[0]):
        pixels[0][0, 0], pixels[0][0, 1] = np.inf, np.nan
    paths = [deep(tmp_path, str(n), each, suffix=suffix) for n, each in enumerate(pixels)]
    plain = save(tmp_path, Image.fromarray(RAMP), name="plain.png")
    survey, decoder = survey_deep([*paths, plain])
    assert survey.white_levels == white_levels
    assert survey.images is not None
    (white,) = white_levels.values()
    for path, image, top in zip(paths, survey.images, finite, strict=False):
        assert abs(float(image[-1, -1, 0]) - min(255.0, top / white * 255)) <= 0.5
        np.testing.assert_array_equal(decoder.decode(path), image)  # as it is streamed
        np.testing.assert_array_equal(
            read_square(path, side=64, channels=1, white_levels=white_levels).pixels, image
        )
    np.testing.assert_array_equal(survey.images[-1], decoder.decode(plain))


@pytest.mark.parametrize(
    ("top", "dtype", "suffix", "peak"),
    [
        (255, "u2", "png", 255),
        (256, "u2", "png", 64),
        (4095, "u2", "png", 255),
        (1.0001, "f4", "tif", 255),
        (0.5, "f4", "tif", 128),
    ],
)
def test_without_a_survey_a_deep_file_is_scaled_by_the_depth_into_which_it_fits(
    tmp_path: Path, top: float, dtype: str, suffix: str, peak: int
) -> None:
    path = deep(tmp_path, "a", ramp(top, dtype), suffix=suffix)
    assert read_image(path, channels=1).max() == peak
    assert read_square(path, side=64, channels=1, white_levels={"other": 7}).pixels.max() == peak
    white = {"integer": 4095.0, "float": 4095.0}
    assert read_image(path, channels=1, white_levels=white).max() == round(top / 4095 * 255)


def test_white_levels_that_are_given_stay_and_a_survey_finds_the_others(tmp_path: Path) -> None:
    paths = [deep(tmp_path, str(n), ramp(top, "u2")) for n, top in enumerate((255, 4095))]
    for given, expected in (
        ({}, {"integer": 4095}),
        ({"float": 1.0}, {"float": 1, "integer": 4095}),
        ({"integer": 65535.0}, {"integer": 65535}),
    ):
        decoder = Decoder(side=64, channels=1, threads=1, white_levels=given)
        assert decoder.survey(paths, keep=False, say=lambda _: None).white_levels == expected
        white = expected["integer"]
        assert [decoder.decode(path).max() for path in paths] == [
            round(top / white * 255) for top in (255, 4095)
        ]


@pytest.mark.parametrize("tops", [(1.0, 3.0), (127.0,)])
def test_floats_of_which_nobody_knows_what_is_white_are_refused(
    tmp_path: Path, tops: tuple[float, ...]
) -> None:
    paths = [deep(tmp_path, str(n), ramp(top, "f4"), suffix="tif") for n, top in enumerate(tops)]
    with pytest.raises(DatasetError, match="neither about 1 nor of 8 bits or more"):
        survey_deep(paths)
    given = Decoder(side=64, channels=1, threads=1, white_levels={"float": 3.0})
    assert given.survey(paths, keep=False, say=lambda _: None).white_levels == {"float": 3}


def test_what_is_done_to_deep_files_is_said_and_remembered(tmp_path: Path) -> None:
    header, end = b"P6 4 4 255\n", struct.pack(">I", 0)
    (tmp_path / "plain.ppm").write_bytes(header + end * 12)
    paths = [
        tmp_path / "plain.ppm",
        deep(tmp_path, "a", ramp(4095, "u2")),
        deep(tmp_path, "b", ramp(3000, "i4") - 1024, suffix="tif"),
        deep(tmp_path, "c", ramp(1, "f4"), suffix="tif"),
        save_colours_of_16_bits(tmp_path / "d.png"),
    ]
    for _ in range(2):
        decoder = Decoder(side=8, channels=3, threads=1)
        survey = recall_survey(decoder, paths, folder=tmp_path / "surveys", say=lambda _: None)
        assert survey.note == (
            "white is 4,095 in 2 files of integers of more than 8 bits; "
            "white is 1 in 1 file of floating-point numbers of more than 8 bits; "
            "numbers below 0 in 1 file are read as 0; of 16 bits a colour in 1 file the upper 8 are read"
        )
    assert not survey_deep(paths[:1])[0].note


def save_colours_of_16_bits(path: Path) -> Path:
    """A PNG file that Pillow reads and cannot write."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = (b"\0" + struct.pack(">24H", *range(24))) * 8
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", struct.pack(">IIBBBBB", 8, 8, 16, 2, 0, 0, 0))
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )
    return path


def test_a_survey_that_is_remembered_knows_the_scale(tmp_path: Path) -> None:
    paths = [deep(tmp_path, str(n), ramp(top, "u2")) for n, top in enumerate((255, 4095))]
    for _ in range(2):
        decoder = Decoder(side=64, channels=1, threads=1)
        survey = recall_survey(decoder, paths, folder=tmp_path / "surveys", say=lambda _: None)
        assert survey.white_levels == {"integer": 4095}
        assert [decoder.decode(path).max() for path in paths] == [16, 255]


def test_a_survey_remembers_files_of_any_name_and_names_those_that_are_gone(tmp_path: Path) -> None:
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.png"))
    path.write_bytes(b"junk")
    gone = tmp_path / "gone.png"
    for _ in range(2):
        decoder = Decoder(side=8, channels=1, threads=1)
        survey = recall_survey(decoder, [path, gone], folder=tmp_path / "surveys", say=lambda _: None)
        assert {*survey.broken} == {path, gone}


def test_transparency_is_laid_on_white(tmp_path: Path) -> None:
    pixels = np.dstack([COLOURS, np.full_like(RAMP, 255)])
    pixels[:10, :, 3] = 0
    read = read_image(save(tmp_path, Image.fromarray(pixels)), channels=3)
    assert (read[:10] == 255).all()
    np.testing.assert_array_equal(read[10:], COLOURS[10:])


@pytest.mark.parametrize("mode", ["P", "1", "CMYK", "YCbCr", "LA", "RGBA", "F", "I"])
@pytest.mark.parametrize("compression", [None, "tiff_lzw"])
def test_every_mode_is_brought_to_three_channels(tmp_path: Path, mode: str, compression: str | None) -> None:
    if mode == "YCbCr" and not compression and PILLOW < "13":
        pytest.skip("Pillow 12, the last for Python 3.10, cannot read what it wrote: its issue 9770")
    image = Image.fromarray(RAMP).convert(mode)
    path = save(tmp_path, image, name="image.tiff", compression=compression)
    read = read_image(path, channels=3)
    assert read.shape == (40, 30, 3)
    assert read.dtype == np.uint8
    assert abs(float(read.mean()) - 127) < 5


def test_exif_data_that_are_damaged_cost_no_image(tmp_path: Path) -> None:
    path = save(tmp_path, Image.fromarray(COLOURS))
    plain = path.read_bytes()
    chunk = b"eXIf" + b"no TIFF header at all"
    damaged = struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk))
    path.write_bytes(plain[:33] + damaged + plain[33:])  # behind the header
    np.testing.assert_array_equal(read_image(path, channels=3), COLOURS)
    assert read_square(path, side=8, channels=3).pixels.shape == (8, 8, 3)


@pytest.mark.parametrize("size", [(60_000, 1), (1, 60_000)])
def test_a_strip_is_cropped_before_it_is_resized(tmp_path: Path, size: tuple[int, int]) -> None:
    path = save(tmp_path, Image.linear_gradient("L").resize(size).convert("RGB"))
    program = (
        "import resource, sys; from pathlib import Path;"
        "from models.datasets.files.decode import read_square;"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss;"
        "read_square(Path(sys.argv[1]), side=256, channels=3);"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)"
    )
    done = subprocess.run([sys.executable, "-c", program, path], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 30_000  # KiB; resized whole, it took 12 GB


@pytest.mark.parametrize(("height", "width"), [(20, 80), (80, 20), (30, 41), (64, 64)])
def test_images_up_to_four_to_one_are_resized_as_a_whole(tmp_path: Path, height: int, width: int) -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (height, width, 3)).astype(np.uint8)
    path = save(tmp_path, Image.fromarray(pixels))
    np.testing.assert_array_equal(
        read_square(path, side=16, channels=3).pixels, resize_and_crop(pixels, side=16)
    )


def test_of_an_animation_the_first_frame_is_taken(tmp_path: Path) -> None:
    frames = [Image.fromarray(np.full((8, 8), value, np.uint8)) for value in (10, 200)]
    path = save(tmp_path, frames[0], name="a.gif", save_all=True, append_images=frames[1:])
    assert (read_image(path, channels=1) == 10).all()


def test_the_cameras_orientation_is_applied(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by a quarter
    path = save(tmp_path, Image.fromarray(COLOURS), exif=exif)
    np.testing.assert_array_equal(read_image(path, channels=3), np.rot90(COLOURS, -1))


@pytest.mark.parametrize("content", [b"", b"no image at all", b"\x89PNG\r\n\x1a\n" + b"\0" * 50])
def test_a_broken_file_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "broken.png"
    path.write_bytes(content)
    with pytest.raises(DatasetError, match=r"broken.png cannot be read as an image"):
        read_image(path, channels=3)
    with pytest.raises(DatasetError, match=r"broken.png cannot be read as an image"):
        read_square(path, side=8, channels=3)


def test_a_truncated_file_is_named(tmp_path: Path) -> None:
    path = save(tmp_path, Image.fromarray(COLOURS), name="a.jpg")
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(DatasetError, match=r"a.jpg cannot be read"):
        read_image(path, channels=3)


@pytest.mark.parametrize(("height", "width"), [(40, 30), (30, 40), (64, 64), (7, 100), (3, 5), (1, 1)])
def test_the_shorter_side_is_resized_and_the_centre_cropped(height: int, width: int) -> None:
    across = np.broadcast_to(np.linspace(0, 200, width), (height, width)).astype(np.uint8)
    cropped = resize_and_crop(across[..., None], side=16)
    assert cropped.shape == (16, 16, 1)
    if width > 1:
        assert abs(float(cropped.mean()) - 100) < 8  # the centre of a ramp


def test_images_come_in_order_and_not_all_at_once(tmp_path: Path) -> None:
    paths = [
        save(tmp_path, Image.fromarray(np.full((9, 9), n, np.uint8)), name=f"{n}.png") for n in range(50)
    ]
    decoder = Decoder(side=8, channels=1, threads=2)
    read: list[Path] = []
    inner = decoder.decode
    decoder.decode = lambda path: (read.append(path), inner(path))[1]  # type: ignore[method-assign,func-returns-value]
    images = decoder.decode_ahead(paths, ahead=5)
    for number in range(20):
        assert (next(images) == number).all()
        assert len(read) <= number + 1 + 5
    images.close()
    assert len(read) <= 26


def test_a_survey_names_broken_files_and_keeps_the_rest(tmp_path: Path) -> None:
    good = [save(tmp_path, Image.fromarray(RAMP), name=f"{n}.png") for n in range(3)]
    bad = tmp_path / "bad.png"
    bad.write_bytes(b"oops")
    said: list[str] = []
    survey = Decoder(side=8, channels=3, threads=2).survey(
        [good[0], bad, *good[1:]], keep=True, say=said.append
    )
    assert list(survey.broken) == [bad]
    assert survey.images is not None
    assert survey.images.shape == (3, 8, 8, 3)
    assert said == ["reading images: 4 of 4"]


def test_unchanged_files_are_surveyed_once(tmp_path: Path) -> None:
    paths = [save(tmp_path, Image.fromarray(RAMP), name=f"{n}.png") for n in range(3)]
    paths[1].write_bytes(b"oops")
    said: list[str] = []

    def survey() -> list[Path]:
        decoder = Decoder(side=8, channels=3, threads=1)
        return list(recall_survey(decoder, paths, folder=tmp_path / "surveys", say=said.append).broken)

    assert survey() == survey() == [paths[1]]
    assert len(said) == 1
    save(tmp_path, Image.fromarray(RAMP), name="1.png")
    assert survey() == []
    assert len(said) == 2
