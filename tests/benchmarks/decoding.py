"""A folder of JPEG photographs: the pipeline against the bare decoder, on as many threads."""

import os
import tempfile
import tracemalloc
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image

from models.datasets.files.decode import read_square
from models.datasets.files.decoder import Decoder
from tests.benchmarks.figures import Figure, median_seconds
from workers.train.data.batches import FileFeed, Variation
from workers.train.data.images import FileSplit

PHOTOS, SIDE, BATCH = 256, 256, 32


def figures() -> Iterator[Figure]:
    with tempfile.TemporaryDirectory() as folder:
        paths = _write_photos(Path(folder))
        threads = os.cpu_count() or 1
        pool = ThreadPoolExecutor(threads)
        split = FileSplit(
            files=paths,
            labels=np.zeros(PHOTOS, np.int32),
            decoder=Decoder(side=SIDE, channels=3, threads=threads),
        )

        def bare() -> None:
            for _ in pool.map(lambda path: read_square(path, side=SIDE, channels=3), paths):
                pass

        seconds = median_seconds({"bare": bare, "fed": lambda: _feed(split, PHOTOS)}, rounds=5)
        yield Figure(
            name="jpeg_227px_feed_over_bare_decoder",
            ratio=seconds["bare"] / seconds["fed"],
            unit="times",
            goal="at least 0.9",
        )
        few, many = (_peak_mib(split, count) for count in (PHOTOS // 4, PHOTOS))
        yield Figure(
            name="jpeg_memory_of_four_times_the_files",
            ratio=many / few,
            unit="times",
            goal="about 1: it does not grow with the folder",
        )


def _write_photos(folder: Path) -> list[Path]:
    """Write smooth random images of 300 x 400 pixels: their files are as large as those of photographs."""
    random = np.random.default_rng(0)
    paths = [folder / f"{number}.jpg" for number in range(PHOTOS)]
    for path in paths:
        rough = Image.fromarray(random.integers(0, 256, (75, 100, 3)).astype(np.uint8))
        rough.resize((400, 300), Image.Resampling.BICUBIC).save(path, quality=85)
    return paths


def _feed(split: FileSplit, count: int) -> None:
    order = np.arange(count, dtype=np.int32)
    feed = FileFeed(split, order, Variation(), batch_size=BATCH, first=0)
    for step in range(count // BATCH):
        feed.take(step, steps=1)
    feed.close()


def _peak_mib(split: FileSplit, count: int) -> float:
    tracemalloc.start()
    _feed(split, count)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak / 2**20
