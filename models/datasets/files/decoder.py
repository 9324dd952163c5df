"""Decodes image files in threads, a bounded number ahead of whoever takes them.

Shapes: N images, S side, C channels.
"""

import hashlib
import itertools
import json
import os
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from models.datasets.files.decode import Pixels, read_square
from models.errors import DatasetError

SAY_EVERY = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Survey:
    """What reading every file once found: `broken` files with the reason, and the images if kept."""

    broken: dict[Path, str]
    images: Pixels | None


class Decoder:
    """Brings image files to squares of `side` pixels with 1 or 3 channels.

    Pillow decodes outside of Python's lock, so that threads use all cores.
    """

    def __init__(self, *, side: int, channels: int, threads: int) -> None:
        self._side = side
        self._channels = channels
        self._pool = ThreadPoolExecutor(max_workers=threads, thread_name_prefix="decoder")

    def decode(self, path: Path) -> Pixels:
        """Read one file as (S, S, C).

        Raises:
            DatasetError: the file cannot be read.
        """
        return read_square(path, side=self._side, channels=self._channels)

    def decode_ahead(self, paths: Sequence[Path], *, ahead: int) -> Generator[Pixels, None, None]:
        """Yield the images in order; at most `ahead` of them wait decoded, however many there are.

        Raises:
            DatasetError: a file cannot be read, when its turn comes.
        """
        rest = iter(paths)
        waiting: deque[Future[Pixels]] = deque(
            self._pool.submit(self.decode, path) for path in itertools.islice(rest, ahead)
        )
        try:
            while waiting:
                image = waiting.popleft().result()
                waiting.extend(self._pool.submit(self.decode, path) for path in itertools.islice(rest, 1))
                yield image
        finally:
            for future in waiting:
                future.cancel()

    def survey(self, paths: Sequence[Path], *, keep: bool, say: Callable[[str], None]) -> Survey:
        """Read every file once; `keep` the images (N, S, S, C) of those that can be read."""
        broken: dict[Path, str] = {}
        shape = (len(paths), self._side, self._side, self._channels)
        images = np.empty(shape, np.uint8) if keep else None
        read = 0
        for number, (path, found) in enumerate(self._try_all(paths), start=1):
            if isinstance(found, str):
                broken[path] = found
            else:
                if images is not None:
                    images[read] = found
                read += 1
            if number % SAY_EVERY == 0 or number == len(paths):
                say(f"reading images: {number:,} of {len(paths):,}")
        return Survey(broken=broken, images=None if images is None else images[:read])

    def _try_all(self, paths: Sequence[Path]) -> Iterator[tuple[Path, Pixels | str]]:
        def attempt(path: Path) -> Pixels | str:
            try:
                return self.decode(path)
            except DatasetError as error:
                return str(error)

        ahead = 256
        for first in range(0, len(paths), ahead):
            some = paths[first : first + ahead]
            yield from zip(some, self._pool.map(attempt, some), strict=True)


def recall_survey(
    decoder: Decoder, paths: Sequence[Path], *, folder: Path, say: Callable[[str], None]
) -> Survey:
    """Survey files without keeping images; what `folder` remembers of unchanged files is not read again."""
    digest = hashlib.sha256()
    for path in paths:
        about = path.stat()
        digest.update(f"{path}\0{about.st_size}\0{about.st_mtime_ns}\0".encode())
    known = folder / f"{digest.hexdigest()}.json"
    if known.is_file():
        broken = json.loads(known.read_text())
        return Survey(broken={Path(path): reason for path, reason in broken.items()}, images=None)
    survey = decoder.survey(paths, keep=False, say=say)
    folder.mkdir(parents=True, exist_ok=True)
    temporary = known.with_suffix(f".{os.getpid()}")
    temporary.write_text(json.dumps({str(path): reason for path, reason in survey.broken.items()}))
    temporary.rename(known)
    return survey
