"""Copies a folder of images or an .npz file, and digests what it copies.

The digest of a file is its SHA-256. That of a folder is the SHA-256 of a line `DIGEST  PATH` for each file,
ended by NUL, in the order of the paths' bytes: what `sha256sum -z` prints.
"""

import hashlib
import os
import shutil
import stat
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import mkdtemp
from typing import IO

from models.catalog.dataset_path import is_data
from service.disk_reserve import NoSpace, check_free_space
from service.domain.datasets import INCOMING, MOST_FILES
from service.errors import DatasetRefused, StorageFull
from service.settings import Settings

BLOCK_BYTES = 1 << 20
READ_ONLY = 0o444  # and less, by the umask

Progress = Callable[[int, int], object]
"""Called with the bytes that are done, and with all."""


@dataclass(slots=True, kw_only=True)
class Content:
    """What was written of a dataset: its files by path relative to it, each with its digest."""

    digests: dict[bytes, str] = field(default_factory=dict)
    bytes: int = 0

    def digest(self) -> str:
        """The digest of a folder with these files."""
        digest = hashlib.sha256()
        for path in sorted(self.digests):
            digest.update(self.digests[path].encode() + b"  " + path + b"\0")
        return digest.hexdigest()


@contextmanager
def incoming_folder(settings: Settings) -> Iterator[Path]:
    """A new folder on the disk of the datasets; at the end it goes, with what was not moved out of it."""
    incoming = make_incoming(settings.datasets_dir)
    folder = Path(mkdtemp(prefix="copy-", dir=incoming))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def make_incoming(datasets_dir: Path) -> Path:
    """The folder of what is copied, uploaded or deleted: on the datasets' disk, so that renames work."""
    incoming = datasets_dir / INCOMING
    incoming.mkdir(parents=True, exist_ok=True)
    return incoming


def check_disk(settings: Settings, *, wanted_bytes: int) -> None:
    """Refuse what would use the reserve of the datasets' disk.

    Raises:
        StorageFull: it would.
    """
    try:
        check_free_space(
            settings.datasets_dir, reserve_percent=settings.disk_reserve_percent, wanted_bytes=wanted_bytes
        )
        free = shutil.disk_usage(make_incoming(settings.datasets_dir)).free
    except NoSpace as error:
        raise StorageFull(f"There is no room for {wanted_bytes:,} bytes: {error}") from None
    if free < wanted_bytes:
        raise StorageFull(
            f"There is no room for {wanted_bytes:,} bytes: {settings.datasets_dir} has {free:,} free"
        )


def list_files(root: Path) -> Sequence[tuple[Path, int]]:
    """The files below a folder with their sizes, but for hidden ones and those of systems.

    Raises:
        DatasetRefused: a symbolic link or a device is among them, or there are too many.
        OSError: a folder cannot be read.
    """
    found: list[tuple[Path, int]] = []
    waiting = [root]
    while waiting:
        with os.scandir(waiting.pop()) as entries:
            for entry in entries:
                if not is_data(entry.name):
                    continue
                about = entry.stat(follow_symlinks=False)
                if stat.S_ISDIR(about.st_mode):
                    waiting.append(Path(entry.path))
                elif stat.S_ISREG(about.st_mode):
                    found.append((Path(entry.path), about.st_size))
                else:
                    raise DatasetRefused(
                        f"{entry.path} is a link or a device, and only files can be frozen. Copy the folder "
                        "with cp -rL first, which follows links, and add the copy"
                    )
        if len(found) > MOST_FILES:
            raise DatasetRefused(
                f"{root} has more than {MOST_FILES:,} files, and a dataset may not have more"
            )
    return found


def copy_folder(
    source: Path, target: Path, *, files: Sequence[tuple[Path, int]], report: Progress
) -> Content:
    """Copy these files of a folder to a new one.

    Raises:
        OSError: one cannot be read, or the disk is full.
    """
    content, total = Content(), sum(size for _, size in files)
    for path, _ in files:
        relative = path.relative_to(source)
        (target / relative).parent.mkdir(parents=True, exist_ok=True)
        with open_source(path) as file:
            digest = write_new(target / relative, read_blocks(file, content, report=report, total=total))
        content.digests[os.fsencode(relative)] = digest
    return content


def copy_file(source: Path, target: Path, *, report: Progress = lambda *_: None) -> tuple[str, int]:
    """Copy a file to a new one; its digest and its size."""
    content = Content()
    with open_source(source) as file:
        total = os.fstat(file.fileno()).st_size
        digest = write_new(target, read_blocks(file, content, report=report, total=total))
    return digest, content.bytes


def open_source(path: Path) -> IO[bytes]:
    """Open a file, and never what a link names that has taken its place."""
    return open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NOFOLLOW))


def read_blocks(file: IO[bytes], content: Content, *, report: Progress, total: int) -> Iterator[bytes]:
    """Read a file to its end, and count its bytes."""
    while block := file.read(BLOCK_BYTES):
        yield block
        content.bytes += len(block)
        report(content.bytes, total)


def write_new(path: Path, blocks: Iterator[bytes]) -> str:
    """Write a file that is not there yet, and that nobody changes any more; its digest.

    Raises:
        FileExistsError: it is there.
    """
    digest = hashlib.sha256()
    with open(path, "xb", opener=lambda name, flags: os.open(name, flags, READ_ONLY)) as file:
        for block in blocks:
            digest.update(block)
            file.write(block)
    return digest.hexdigest()


def delete(path: Path) -> None:
    """Delete a file, or a folder with all that is in it; nothing happens where there is none.

    Raises:
        OSError: something of it cannot be deleted.
    """
    with suppress(FileNotFoundError):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
