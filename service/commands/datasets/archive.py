"""Opens archives that a stranger has made, with bounds on all that counts: a tar, and the zip of an .npz."""

import errno
import os
import tarfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path, PurePosixPath
from typing import IO, cast
from zipfile import BadZipFile, ZipFile

from models.catalog.dataset_path import is_data
from service.commands.datasets.files import BLOCK_BYTES, Content, Progress, read_blocks, write_new
from service.domain.datasets import MOST_FILES
from service.errors import DatasetRefused

MOST_MEMBERS = 2 * MOST_FILES  # folders count, too
LONGEST_HEADER = BLOCK_BYTES
FILES = (tarfile.REGTYPE, tarfile.AREGTYPE)


def unpack(archive: Path, target: Path, *, most_bytes: int, report: Progress = lambda *_: None) -> Content:
    """Unpack an uncompressed tar into a new folder; hidden and system files are left out.

    Raises:
        DatasetRefused: it is compressed, damaged or too large, or has a member that is neither a file nor a
            folder below its own.
        OSError: the disk is full.
    """
    content = Content()
    target.mkdir()
    try:
        with archive.open("rb") as file, closing(_open(file)) as tar:
            for member in _list_members(tar):
                path = _check_path(member)
                if path is None or member.isdir():
                    continue  # a class without images is none
                _check_bounds(member, content, most_bytes=most_bytes)
                blocks = _read(tar, member, content, report=report, total=most_bytes)
                (target / path).parent.mkdir(parents=True, exist_ok=True)
                content.digests[os.fsencode(str(path))] = write_new(target / path, blocks)
            _check_end(file, tar)
    except (tarfile.TarError, EOFError, ValueError, FileExistsError, NotADirectoryError) as error:
        raise DatasetRefused(f"The tar cannot be unpacked: {_explain(error)}") from None
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            raise DatasetRefused("The tar has a path that is too long for this machine's disk") from None
        raise
    return content


def check_npz(path: Path, *, most_bytes: int) -> None:
    """Refuse an .npz file whose arrays, as it says itself, are larger: nobody reads more of one than that.

    Raises:
        DatasetRefused: they are, or it is no .npz file.
    """
    try:
        with path.open("rb") as file, ZipFile(cast("IO[bytes]", _Bounded(file))) as archive:
            unpacked = sum(member.file_size for member in archive.infolist())
    except (BadZipFile, ValueError, NotImplementedError) as error:
        raise DatasetRefused(f"It is no .npz file: {error}") from None
    if unpacked > most_bytes:
        raise DatasetRefused(f"Its arrays have {unpacked:,} bytes, and may have at most {most_bytes:,}")


def _open(file: IO[bytes]) -> tarfile.TarFile:
    return tarfile.open(fileobj=cast("IO[bytes]", _Bounded(file)), mode="r:")  # never decompresses


class _Bounded:
    """A file of which nobody reads much at once: a header says itself how long it is."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.seek, self.tell = file.seek, file.tell

    def read(self, size: int = -1) -> bytes:
        data = self._file.read(size) if 0 <= size <= LONGEST_HEADER else b""
        if size < 0:
            data = self._file.read(LONGEST_HEADER + 1)
        if max(size, len(data)) > LONGEST_HEADER:
            raise DatasetRefused(f"A header of the archive has more than {LONGEST_HEADER:,} bytes")
        return data


def _list_members(tar: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
    for _ in range(MOST_MEMBERS):
        member = tar.next()
        if member is None:
            return
        tar.members.clear()  # type: ignore[attr-defined]  # it would keep them all in memory
        yield member
    raise DatasetRefused(f"The tar has more than {MOST_MEMBERS:,} members, and may not have more")


def _check_path(member: tarfile.TarInfo) -> PurePosixPath | None:
    """Where a member goes, below the folder; None of what is no data."""
    path = PurePosixPath(member.name)
    if path.is_absolute() or ".." in path.parts or "\0" in member.name:
        raise DatasetRefused(f"The tar has a member outside of its folder: {member.name!r}")
    if not (member.isdir() or member.type in FILES):
        raise DatasetRefused(
            f"The tar may have files and folders only, as tar --dereference --hard-dereference makes it. "
            f"Received: a link, a sparse file or a device, {member.name!r}"
        )
    return path if path.parts and all(map(is_data, path.parts)) else None


def _check_bounds(member: tarfile.TarInfo, content: Content, *, most_bytes: int) -> None:
    if member.size < 0 or content.bytes + member.size > most_bytes or len(content.digests) >= MOST_FILES:
        raise DatasetRefused(
            f"The tar says that it holds more than {most_bytes:,} bytes or {MOST_FILES:,} files. "
            "No tar of its size holds as much, or a dataset may not"
        )


def _read(
    tar: tarfile.TarFile, member: tarfile.TarInfo, content: Content, *, report: Progress, total: int
) -> Iterator[bytes]:
    """Read one file."""
    end = content.bytes + member.size
    file = tar.extractfile(member)
    assert file is not None, "of a regular file"
    with file:
        yield from read_blocks(file, content, report=report, total=total)
    if content.bytes != end:
        raise tarfile.ReadError(f"{member.name!r} is cut off")


def _check_end(file: IO[bytes], tar: tarfile.TarFile) -> None:
    """A tar ends with zeros: tarfile takes a damaged header for the end."""
    file.seek(tar.offset)
    block = file.read(tarfile.BLOCKSIZE)
    if len(block) < tarfile.BLOCKSIZE or any(block):
        raise tarfile.ReadError(f"it is cut off or damaged at byte {tar.offset:,}")


def _explain(error: Exception) -> str:
    if isinstance(error, (FileExistsError, NotADirectoryError)):
        return f"two members have the same path, {Path(str(error.filename)).name!r}"
    return str(error) or "it is cut off"
