"""Uploads a dataset in pieces: an .npz as it is, a folder as a tar that is the same however often it is made.

The tar is written nowhere: it is made once for its digest, and once more to be sent.
"""

import hashlib
import os
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path

from cnnctl.connection import Connection, read_view
from cnnctl.errors import CnnctlError, NotFound
from cnnctl.views.codec import to_json
from cnnctl.views.datasets import DatasetPage, DatasetView, UploadView
from cnnctl.views.requests import UploadRequest

PIECE_BYTES = 4 * 1024 * 1024
BLOCK_BYTES = 1024 * 1024
FINISH_SECONDS = 3600.0  # to unpack and check a large one
Report = Callable[[int, int], object]


def upload_dataset(
    api: Connection, name: str, path: Path, *, description: str, report: Report
) -> DatasetView:
    """Upload a folder or an .npz file, going on where an earlier try ended.

    `report` is called with how many bytes are there, and with all.

    Raises:
        CnnctlError: what the service answers, or a file cannot be sent.
    """
    is_folder = path.is_dir()
    if not is_folder and not path.is_file():
        raise NotFound(f"There is no folder or file {path} on this machine")
    digest, total = _measure(path)
    request = UploadRequest(
        name=name,
        kind="folder" if is_folder else "npz",
        total_bytes=total,
        digest=digest,
        description=description,
    )
    upload = read_view(UploadView, api.act("POST", "uploads", body=to_json(request)))
    _send(api, upload, path, report)
    return _finish(api, upload)


def _send(api: Connection, upload: UploadView, path: Path, report: Report) -> None:
    """Send what the service does not have yet."""
    at, start = 0, upload.received_bytes
    for piece in _join(_read(path)):
        if at + len(piece) > start:
            api.put("uploads", upload.upload, "pieces", data=piece, offset=at)
        at += len(piece)
        report(max(at, start), upload.total_bytes)


def _finish(api: Connection, upload: UploadView) -> DatasetView:
    """Have it published; if the answer is lost, look whether it was."""
    try:
        answer = api.act("POST", "uploads", upload.upload, "finish", seconds=FINISH_SECONDS)
        return read_view(DatasetView, answer)
    except NotFound:
        page = read_view(DatasetPage, api.get("datasets", upload.name))
        return page.dataset


def _measure(path: Path) -> tuple[str, int]:
    digest, size = hashlib.sha256(), 0
    for block in _read(path):
        digest.update(block)
        size += len(block)
    return digest.hexdigest(), size


def _join(blocks: Iterator[bytes]) -> Iterator[bytes]:
    """The same bytes in pieces as they are sent."""
    piece = bytearray()
    for block in blocks:
        piece += block
        while len(piece) >= PIECE_BYTES:
            yield bytes(piece[:PIECE_BYTES])
            del piece[:PIECE_BYTES]
    if piece:
        yield bytes(piece)


def _read(path: Path) -> Iterator[bytes]:
    """The bytes to upload: those of the file, or of a tar of the folder's content."""
    if path.is_dir():
        yield from _tar(path)
        return
    with path.open("rb") as file:
        while block := file.read(BLOCK_BYTES):
            yield block


def _tar(folder: Path) -> Iterator[bytes]:
    """A tar of the files below a folder, in the order of their names, with nothing that changes with time."""
    for path in sorted(_list_files(folder)):
        info = tarfile.TarInfo(os.fsdecode(os.fsencode(path.relative_to(folder))))
        with path.open("rb") as file:
            info.size = os.fstat(file.fileno()).st_size
            yield info.tobuf(tarfile.GNU_FORMAT, "utf-8", "surrogateescape")
            left = info.size
            while left and (block := file.read(min(BLOCK_BYTES, left))):
                left -= len(block)
                yield block
        if left:
            raise CnnctlError(f"{path} became shorter while it was read. Try again")
        yield bytes(-info.size % tarfile.BLOCKSIZE)
    yield bytes(2 * tarfile.BLOCKSIZE)


def _list_files(folder: Path) -> Iterator[Path]:
    for path in folder.rglob("*"):
        if path.is_symlink():
            raise CnnctlError(f"{path} is a link, and a dataset has none. First: cp -rL {folder} COPY")
        if path.is_file():
            yield path
