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

from models.datasets.files.decode import Pixels, Square, read_square
from models.datasets.files.depth import COLOUR, Depth, WhiteLevels, get_white_levels, tell_depths
from models.errors import DatasetError

SAY_EVERY = 500
AHEAD = 256


FORMAT = b"3"  # of what is remembered of a survey: 1 knew no white levels, 2 no note


@dataclass(frozen=True, slots=True, kw_only=True)
class Survey:
    """What reading every file once found: `broken` files with the reason, and the images if kept.

    `white_levels` say what is white in files of more than 8 bits, `note` in words what was done to them.
    """

    broken: dict[Path, str]
    images: Pixels | None
    white_levels: WhiteLevels
    note: str


class Decoder:
    """Brings image files to squares of `side` pixels with 1 or 3 channels.

    Pillow decodes outside of Python's lock, so that threads use all cores. Files of more than 8 bits are
    scaled by `white_levels`; a survey finds those of other kinds of numbers.
    """

    def __init__(
        self, *, side: int, channels: int, threads: int, white_levels: WhiteLevels | None = None
    ) -> None:
        self._white_levels = white_levels or {}
        self._side = side
        self._channels = channels
        self._pool = ThreadPoolExecutor(max_workers=threads, thread_name_prefix="decoder")

    def decode(self, path: Path) -> Pixels:
        """Read one file as (S, S, C).

        Raises:
            DatasetError: the file cannot be read.
        """
        return self._read(path).pixels

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
        """Read every file once; `keep` the images (N, S, S, C) of those that can be read.

        Those of more than 8 bits are read once more, when it is known what is white in them.

        Raises:
            DatasetError: what is white in them cannot be known.
        """
        broken: dict[Path, str] = {}
        deep: dict[int, Path] = {}
        depths: list[Depth] = []
        shape = (len(paths), self._side, self._side, self._channels)
        images = np.empty(shape, np.uint8) if keep else None
        read = 0
        for number, (path, found) in enumerate(self._try_all(paths), start=1):
            if isinstance(found, str):
                broken[path] = found
            else:
                if images is not None:
                    images[read] = found.pixels
                if found.depth:
                    depths.append(found.depth)
                    if found.depth.kind != COLOUR:
                        deep[read] = path
                read += 1
            if number % SAY_EVERY == 0 or number == len(paths):
                say(f"reading images: {number:,} of {len(paths):,}")
        unknown = [depth for depth in depths if depth.kind not in self._white_levels]
        white_levels = self.use_white_levels(get_white_levels(unknown))
        if images is not None:
            for number, image in zip(deep, self.decode_ahead([*deep.values()], ahead=AHEAD), strict=True):
                images[number] = image
        return Survey(
            broken=broken,
            images=None if images is None else images[:read],
            white_levels=white_levels,
            note=tell_depths(depths, white_levels),
        )

    def use_white_levels(self, found: WhiteLevels) -> WhiteLevels:
        """Also scale by these levels from now on; return all in use. Of each kind, the first one stays."""
        self._white_levels = {**found, **self._white_levels}
        return self._white_levels

    def _read(self, path: Path) -> Square:
        return read_square(path, side=self._side, channels=self._channels, white_levels=self._white_levels)

    def _try_all(self, paths: Sequence[Path]) -> Iterator[tuple[Path, Square | str]]:
        def attempt(path: Path) -> Square | str:
            try:
                return self._read(path)
            except DatasetError as error:
                return str(error)

        for first in range(0, len(paths), AHEAD):
            some = paths[first : first + AHEAD]
            yield from zip(some, self._pool.map(attempt, some), strict=True)


def recall_survey(
    decoder: Decoder, paths: Sequence[Path], *, folder: Path, say: Callable[[str], None]
) -> Survey:
    """Survey files without keeping images; what `folder` remembers of unchanged files is not read again."""
    digest = hashlib.sha256(FORMAT)
    for path in paths:
        digest.update(os.fsencode(path) + b"\0" + _stamp(path) + b"\0")
    known = folder / f"{digest.hexdigest()}.json"
    if known.is_file():
        kept = json.loads(known.read_text())
        broken = {Path(path): reason for path, reason in kept["broken"].items()}
        return Survey(
            broken=broken,
            images=None,
            white_levels=decoder.use_white_levels(kept["white_levels"]),
            note=kept["note"],
        )
    survey = decoder.survey(paths, keep=False, say=say)
    folder.mkdir(parents=True, exist_ok=True)
    temporary = known.with_suffix(f".{os.getpid()}")
    broken_by_name = {str(path): reason for path, reason in survey.broken.items()}
    found = {"broken": broken_by_name, "white_levels": dict(survey.white_levels), "note": survey.note}
    temporary.write_text(json.dumps(found))
    temporary.rename(known)
    return survey


def _stamp(path: Path) -> bytes:
    """Something that changes when a file does; if the file cannot be reached, the survey will say so."""
    try:
        about = path.stat()
    except OSError:
        return b"gone"
    return f"{about.st_size}\0{about.st_mtime_ns}".encode()
