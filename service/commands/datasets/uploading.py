"""Takes a dataset in pieces, so that an upload that broke off goes on: begin, write pieces, finish."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from cnnctl.files import file_digest
from cnnctl.views.datasets import DatasetView, UploadView
from service.commands.datasets.archive import check_npz, unpack
from service.commands.datasets.files import (
    check_disk,
    copy_file,
    delete,
    incoming_folder,
    make_incoming,
)
from service.commands.datasets.publishing import Draft, check_is_free, check_name, publish
from service.commands.datasets.registry import describe
from service.commands.people.permissions import check_scope
from service.domain.bounds import check_option
from service.domain.datasets import DIGEST, MOST_UPLOADS, UPLOAD_KEPT, Upload, UploadId
from service.domain.people import Actor
from service.domain.states import DatasetKind
from service.errors import DatasetRefused, NotAllowed, UploadConflict, UploadNotFound
from service.file_lock import try_lock
from service.settings import Settings
from service.store.datasets import uploads
from service.store.people import users
from service.store.transaction import Store, Transaction


def begin_upload(
    store: Store,
    settings: Settings,
    name: str,
    *,
    kind: DatasetKind,
    total_bytes: int,
    digest: str,
    actor: Actor,
    description: str = "",
) -> UploadView:
    """Begin an upload, or find the same one of the same person that was begun before.

    What is uploaded is one file: an .npz, or an uncompressed tar of a folder's content. `digest` is the
    SHA-256 of that file, in hex.

    Raises:
        DatasetRefused: the name or the digest is not written as it must be, or the file is too large.
        DatasetConflict: the name is taken.
        UploadConflict: the person has too many unfinished uploads.
        StorageFull: the disk has no room for it.
    """
    check_scope(actor, act="add a dataset")
    check_option("--describe", description)
    check_name(name, settings)
    if not DIGEST.fullmatch(digest):
        raise DatasetRefused(f"A digest has 64 hexadecimal digits in lower case. Received: {digest[:80]!r}")
    if not 0 < total_bytes <= settings.upload_limit_bytes:
        raise DatasetRefused(
            f"An upload may have at most {settings.upload_limit_bytes:,} bytes (CNNCTL_UPLOAD_LIMIT_GIB). "
            f"Received: {total_bytes:,}"
        )
    with store.transaction() as tx:
        users.lock_user(tx, actor.name)
        check_is_free(tx, name)
        uploads.remove_expired(tx, before=tx.now - UPLOAD_KEPT)
        mine = uploads.list_uploads(tx, owner=actor.name)
        wanted = (name, kind, total_bytes, digest)
        for one in mine:
            if (one.name, one.kind, one.total_bytes, one.digest) == wanted:
                uploads.touch_upload(tx, one.id)
                return _describe(one, settings)
        _check_count(mine)
        check_disk(settings, wanted_bytes=total_bytes)
        upload = uploads.add_upload(
            tx,
            owner=actor.name,
            name=name,
            kind=kind,
            description=description,
            total_bytes=total_bytes,
            digest=digest,
        )
    return _describe(upload, settings)


def upload_state(store: Store, settings: Settings, upload_id: UploadId, *, actor: Actor) -> UploadView:
    """How much of an upload is there.

    Raises:
        UploadNotFound: there is no such upload any more.
        NotAllowed: it is somebody else's.
    """
    with store.reading() as tx:
        return _describe(_get_upload(tx, upload_id, actor), settings)


def list_uploads(store: Store, settings: Settings, *, actor: Actor) -> Sequence[UploadView]:
    """A person's own uploads that are not finished, oldest first; others' are not shown."""
    with store.reading() as tx:
        mine = uploads.list_uploads(tx, owner=actor.name)
        return [_describe(one, settings) for one in mine if one.touched_at >= tx.now - UPLOAD_KEPT]


def write_piece(
    store: Store, settings: Settings, upload_id: UploadId, *, offset: int, data: bytes, actor: Actor
) -> UploadView:
    """Write a piece that begins at a byte of the file; what is there already of it may come again.

    Raises:
        UploadNotFound, NotAllowed: see `upload_state`.
        UploadConflict: bytes before it are missing, it goes beyond the end, or another is being written.
        StorageFull: the disk has no room for it.
    """
    with store.transaction() as tx:
        upload = _get_upload(tx, upload_id, actor)
        uploads.touch_upload(tx, upload_id)
    with _locked(upload, settings) as file:
        received = file.seek(0, os.SEEK_END)
        if not 0 <= offset <= received or offset + len(data) > upload.total_bytes:
            raise UploadConflict(
                f"Upload {upload_id} has {received:,} of {upload.total_bytes:,} bytes: the next piece begins "
                f"there. Received: {len(data):,} bytes for byte {offset:,}"
            )
        fresh = data[received - offset :]
        check_disk(settings, wanted_bytes=len(fresh))
        file.write(fresh)
        file.flush()
        os.fsync(file.fileno())  # what is said to be received stays
    return _describe(upload, settings)


def finish_upload(store: Store, settings: Settings, upload_id: UploadId, *, actor: Actor) -> DatasetView:
    """Check, unpack and publish what was uploaded; only the person who began it may.

    Raises:
        UploadNotFound, NotAllowed: see `upload_state`.
        UploadConflict: pieces are missing.
        DatasetRefused: its digest is another one, the archive is hostile, or nobody can train on the images;
            the upload is deleted.
        DatasetConflict: somebody else has taken the name; the upload stays for a day.
        StorageFull: the disk has no room for what the tar holds; the upload stays for a day.
    """
    with store.transaction() as tx:
        upload = _get_upload(tx, upload_id, actor)
        uploads.touch_upload(tx, upload_id)
    path = upload_path(upload.id, settings)
    with _locked(upload, settings) as file, incoming_folder(settings) as folder:
        received = file.seek(0, os.SEEK_END)
        if received < upload.total_bytes:
            raise UploadConflict(
                f"Upload {upload_id} is not complete: it has {received:,} of {upload.total_bytes:,} bytes"
            )
        try:
            _check_digest(path, upload)
            draft = _make_draft(upload, path, folder, settings)
            dataset = publish(store, settings, draft, shown="the upload", actor=actor, upload_id=upload.id)
        except DatasetRefused:
            remove_upload(store, settings, upload_id, actor=actor)
            raise
    delete(path)
    return describe(dataset)


def remove_upload(store: Store, settings: Settings, upload_id: UploadId, *, actor: Actor) -> None:
    """Forget an upload and delete what was received.

    Raises:
        UploadNotFound, NotAllowed: see `upload_state`.
    """
    with store.transaction() as tx:
        _get_upload(tx, upload_id, actor)
        uploads.remove_upload(tx, upload_id)
    delete(upload_path(upload_id, settings))


def upload_path(upload_id: UploadId, settings: Settings) -> Path:
    """The file of what was received."""
    return make_incoming(settings.datasets_dir) / f"upload-{upload_id}"


def _get_upload(tx: Transaction, upload_id: UploadId, actor: Actor) -> Upload:
    upload = uploads.find_upload(tx, upload_id)
    if upload is None or upload.touched_at < tx.now - UPLOAD_KEPT:
        raise UploadNotFound(
            f"There is no unfinished upload {upload_id}: it is finished or removed, or nobody has gone "
            f"on with it for {UPLOAD_KEPT.total_seconds() / 3600:g} hours"
        )
    check_scope(actor, act="go on with an upload")
    if upload.owner != actor.name:
        raise NotAllowed(f"Upload {upload_id} is {upload.owner}'s: only they may go on with it")
    return upload


def _check_count(mine: Sequence[Upload]) -> None:
    if len(mine) >= MOST_UPLOADS:
        numbers = ", ".join(str(upload.id) for upload in mine)
        raise UploadConflict(
            f"{mine[0].owner} has {len(mine)} unfinished uploads, and nobody may have more than "
            f"{MOST_UPLOADS}: {numbers}. Finish or remove one of them"
        )


@contextmanager
def _locked(upload: Upload, settings: Settings) -> Iterator[IO[bytes]]:
    """The file of an upload, which nobody else writes meanwhile."""
    with upload_path(upload.id, settings).open("a+b") as file:
        if not try_lock(file):
            raise UploadConflict(f"Another piece of upload {upload.id} is being written. Try again")
        yield file


def _check_digest(path: Path, upload: Upload) -> None:
    digest = file_digest(path)
    if digest != upload.digest:
        raise DatasetRefused(
            f"What was received of upload {upload.id} has the digest {digest} and not "
            f"{upload.digest}. It is deleted: upload it again"
        )


def _make_draft(upload: Upload, path: Path, folder: Path, settings: Settings) -> Draft:
    """What is published: a copy of the file or of what the tar holds. The upload stays until the commit."""
    check_disk(settings, wanted_bytes=upload.total_bytes)
    target = folder / "images"
    about: dict[str, Any] = {"name": upload.name, "kind": upload.kind, "description": upload.description}
    if upload.kind is DatasetKind.NPZ:
        check_npz(path, most_bytes=settings.upload_limit_bytes)
        digest, size = copy_file(path, target)
        return Draft(**about, path=target, digest=digest, files=1, bytes=size)
    content = unpack(path, target, most_bytes=upload.total_bytes)
    files = len(content.digests)
    return Draft(**about, path=target, digest=content.digest(), files=files, bytes=content.bytes)


def _describe(upload: Upload, settings: Settings) -> UploadView:
    path = upload_path(upload.id, settings)
    return UploadView(
        upload=upload.id,
        name=upload.name,
        kind=upload.kind.value,
        total_bytes=upload.total_bytes,
        received_bytes=path.stat().st_size if path.exists() else 0,
        digest=upload.digest,
        kept_until=upload.touched_at + UPLOAD_KEPT,
    )
