"""A dataset that comes in pieces: in order, again after a break, whole or not at all."""

import hashlib
import io
import os
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from cnnctl.views.datasets import UploadView
from service.commands.datasets.adding import add_dataset
from service.commands.datasets.files import check_disk
from service.commands.datasets.registry import list_dataset_views
from service.commands.datasets.uploading import (
    begin_upload,
    finish_upload,
    remove_upload,
    upload_path,
    upload_state,
    write_piece,
)
from service.commands.jobs.submit import submit
from service.commands.ops.garbage import Policy, list_garbage, remove
from service.domain.datasets import INCOMING, MOST_UPLOADS, UploadId
from service.domain.people import Actor
from service.domain.states import DatasetKind
from service.errors import (
    CnnctlError,
    DatasetConflict,
    DatasetRefused,
    NotAllowed,
    StorageFull,
    UploadConflict,
    UploadNotFound,
)
from service.settings import Settings, load_settings
from service.store.transaction import Store
from tests.conftest import ADA, Clock
from tests.images import write_folder, write_npz

BOB, ROOT = Actor(name="bob"), Actor(name="root", operator=True)
DAY = 24 * 3600
OLD = Policy(older_than_days=30, orphans=False)


@pytest.fixture
def tar(tmp_path: Path) -> bytes:
    """A tar of a folder of three classes."""
    folder, data = write_folder(tmp_path / "originals"), io.BytesIO()
    with tarfile.open(fileobj=data, mode="w:") as archive:
        archive.add(folder, arcname=".")
    return data.getvalue()


@pytest.fixture
def begin(store: Store, settings: Settings) -> Callable[..., UploadId]:
    """Begin an upload of these bytes; its number."""

    def run(data: bytes, *, name: str = "pets", digest: str = "", actor: Actor = ADA) -> UploadId:
        digest = digest or hashlib.sha256(data).hexdigest()
        kind = DatasetKind.FOLDER
        view = begin_upload(
            store, settings, name, kind=kind, total_bytes=len(data), digest=digest, actor=actor
        )
        return UploadId(view.upload)

    return run


@pytest.fixture
def write(store: Store, settings: Settings) -> Callable[..., UploadView]:
    def run(number: UploadId, offset: int, data: bytes, *, actor: Actor = ADA) -> UploadView:
        return write_piece(store, settings, number, offset=offset, data=data, actor=actor)

    return run


def list_left(settings: Settings) -> list[str]:
    """The names of all that lies in the folder of the datasets, and in what is incoming there."""
    return sorted(path.name for path in [*settings.datasets_dir.iterdir()] if path.name != INCOMING) + sorted(
        path.name for path in (settings.datasets_dir / INCOMING).iterdir()
    )


def test_a_folder_that_comes_in_pieces_is_the_one_that_is_added_here(
    store: Store,
    settings: Settings,
    tar: bytes,
    tmp_path: Path,
    begin: Callable[..., UploadId],
    write: Callable[..., UploadView],
) -> None:
    number, half = begin(tar), len(tar) // 2
    assert write(number, 0, tar[:half]).received_bytes == half
    assert write(number, half, tar[half:]).received_bytes == len(tar)
    view = finish_upload(store, settings, number, actor=ADA)
    assert (view.name, view.owner, view.files) == ("pets", "ada", 121)
    assert list_left(settings) == [view.version]
    assert submit(store, settings, "lenet5", {"data.dataset": "pets"}, owner=BOB)
    same = add_dataset(store, settings, "same", tmp_path / "originals", actor=BOB)
    assert (same.digest, same.bytes, same.found) == (view.digest, view.bytes, view.found)
    with pytest.raises(UploadNotFound):
        finish_upload(store, settings, number, actor=ADA)


def test_an_npz_file_comes_in_pieces(store: Store, settings: Settings, tmp_path: Path) -> None:
    data = write_npz(tmp_path / "cells.npz").read_bytes()
    digest = hashlib.sha256(data).hexdigest()
    view = begin_upload(
        store, settings, "cells", kind=DatasetKind.NPZ, total_bytes=len(data), digest=digest, actor=ADA
    )
    number = UploadId(view.upload)
    for at in range(0, len(data), 1000):
        write_piece(store, settings, number, offset=at, data=data[at : at + 1000], actor=ADA)
    found = finish_upload(store, settings, number, actor=ADA)
    assert (found.digest, found.kind) == (digest, "npz")
    file = settings.datasets_dir / found.version
    assert file.read_bytes() == data
    assert file.stat().st_mode & 0o222 == 0
    assert list_left(settings) == [found.version]


# Ends without a word, as at a power cut, where the finished upload is in its place and nothing is committed.
CRASH = """
import os, sys
from service.commands.datasets import publishing, uploading
from service.domain.people import Actor
from service.settings import load_settings
from service.store.transaction import open_store

url, home, number = sys.argv[1:]
real = publishing._put_in_place
publishing._put_in_place = lambda *given: (real(*given), os._exit(9))
store, settings = open_store(url), load_settings({"CNNCTL_HOME": home})
uploading.UPLOAD_KEPT *= 10_000  # the clock of the tests stands still
uploading.finish_upload(store, settings, int(number), actor=Actor(name="ada"))
"""


@pytest.mark.parametrize("kind", DatasetKind)
def test_a_crash_while_an_upload_is_finished_loses_none_of_it(
    store_url: str, store: Store, settings: Settings, tmp_path: Path, tar: bytes, kind: DatasetKind
) -> None:
    data = tar if kind is DatasetKind.FOLDER else write_npz(tmp_path / "cells.npz").read_bytes()
    digest = hashlib.sha256(data).hexdigest()
    view = begin_upload(store, settings, "p", kind=kind, total_bytes=len(data), digest=digest, actor=ADA)
    number = UploadId(view.upload)
    write_piece(store, settings, number, offset=0, data=data, actor=ADA)
    words = [store_url, str(settings.home_dir), str(number)]
    done = subprocess.run([sys.executable, "-c", CRASH, *words], capture_output=True, check=False)
    assert done.returncode == 9, done.stderr
    assert list_dataset_views(store) == []
    found = finish_upload(store, settings, number, actor=ADA)
    assert list_dataset_views(store) == [found]


def test_an_upload_that_broke_off_goes_on_where_it_was(
    store: Store,
    settings: Settings,
    tar: bytes,
    begin: Callable[..., UploadId],
    write: Callable[..., UploadView],
) -> None:
    number = begin(tar)
    write(number, 0, tar[:5000])
    with upload_path(number, settings).open("ab") as file:
        file.write(tar[5000:5100])  # a piece whose process was killed before its end
    assert begin(tar) == number
    state = upload_state(store, settings, number, actor=ADA)
    assert state.received_bytes == 5100
    write(number, state.received_bytes, tar[5100:6000])
    assert write(number, 0, tar[:5000]).received_bytes == 6000  # it had come before
    assert write(number, 4000, tar[4000:7000]).received_bytes == 7000
    write(number, 7000, tar[7000:])
    assert finish_upload(store, settings, number, actor=ADA).files == 121


@pytest.mark.parametrize(("offset", "size"), [(1, 10), (50, 10), (-1, 10), (0, 10**6)])
def test_a_piece_that_leaves_a_hole_or_goes_beyond_the_end_is_refused(
    begin: Callable[..., UploadId], write: Callable[..., UploadView], offset: int, size: int
) -> None:
    number = begin(bytes(100))
    with pytest.raises(UploadConflict, match="has 0 of 100 bytes: the next piece begins there"):
        write(number, offset, bytes(size))


def test_an_upload_is_finished_only_when_all_is_there(
    store: Store,
    settings: Settings,
    tar: bytes,
    begin: Callable[..., UploadId],
    write: Callable[..., UploadView],
) -> None:
    number = begin(tar)
    write(number, 0, tar[:-1])
    with pytest.raises(UploadConflict, match=f"has {len(tar) - 1:,} of {len(tar):,} bytes"):
        finish_upload(store, settings, number, actor=ADA)
    write(number, len(tar) - 1, tar[-1:])
    finish_upload(store, settings, number, actor=ADA)


def test_another_digest_is_refused_and_nothing_is_kept(
    store: Store,
    settings: Settings,
    tar: bytes,
    begin: Callable[..., UploadId],
    write: Callable[..., UploadView],
) -> None:
    number = begin(tar)
    write(number, 0, tar[:-1] + b"x")
    with pytest.raises(DatasetRefused, match="upload it again"):
        finish_upload(store, settings, number, actor=ADA)
    with pytest.raises(UploadNotFound):
        upload_state(store, settings, number, actor=ADA)
    assert list_left(settings) == []
    assert list_dataset_views(store) == []


def test_a_hostile_tar_is_refused_and_loses_nothing(
    store: Store,
    settings: Settings,
    tmp_path: Path,
    begin: Callable[..., UploadId],
    write: Callable[..., UploadView],
) -> None:
    kept = add_dataset(store, settings, "kept", write_folder(tmp_path / "kept"), actor=BOB)
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w:") as archive:
        archive.addfile(tarfile.TarInfo(f"../../{kept.version}/class0/evil.png"))
    number = begin(data.getvalue())
    write(number, 0, data.getvalue())
    with pytest.raises(DatasetRefused, match="outside of its folder"):
        finish_upload(store, settings, number, actor=ADA)
    assert list_dataset_views(store) == [kept]
    assert list_left(settings) == [kept.version]
    assert not [*settings.datasets_dir.rglob("evil.png")]


def test_an_npz_file_that_unpacks_to_too_much_is_refused(store: Store, tmp_path: Path) -> None:
    settings = load_settings({"CNNCTL_HOME": str(tmp_path), "CNNCTL_UPLOAD_LIMIT_GIB": "0.001"})
    np.savez_compressed(tmp_path / "bomb.npz", x_train=np.zeros((20_000, 8, 8), np.uint8))
    data = (tmp_path / "bomb.npz").read_bytes()
    digest = hashlib.sha256(data).hexdigest()
    view = begin_upload(
        store, settings, "bomb", kind=DatasetKind.NPZ, total_bytes=len(data), digest=digest, actor=ADA
    )
    number = UploadId(view.upload)
    write_piece(store, settings, number, offset=0, data=data, actor=ADA)
    with pytest.raises(DatasetRefused, match="may have at most 1,073,742"):
        finish_upload(store, settings, number, actor=ADA)
    assert list_left(settings) == []


def test_a_tar_of_no_dataset_is_refused_in_words_without_our_folders(
    store: Store, settings: Settings, begin: Callable[..., UploadId], write: Callable[..., UploadView]
) -> None:
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w:") as archive:
        archive.addfile(tarfile.TarInfo("notes.txt"))
    number = begin(data.getvalue())
    write(number, 0, data.getvalue())
    with pytest.raises(DatasetRefused, match="the upload cannot become a dataset") as caught:
        finish_upload(store, settings, number, actor=ADA)
    assert str(settings.datasets_dir) not in str(caught.value)
    assert list_left(settings) == []


def test_a_name_that_is_taken_meanwhile_is_a_conflict_and_the_upload_stays(
    store: Store,
    settings: Settings,
    tmp_path: Path,
    tar: bytes,
    begin: Callable[..., UploadId],
    write: Callable[..., UploadView],
) -> None:
    number = begin(tar)
    write(number, 0, tar)
    add_dataset(store, settings, "pets", tmp_path / "originals", actor=BOB)
    with pytest.raises(DatasetConflict, match="bob added it"):
        finish_upload(store, settings, number, actor=ADA)
    assert upload_state(store, settings, number, actor=ADA).received_bytes == len(tar)
    with pytest.raises(DatasetConflict, match="bob added it"):
        begin(tar + b"x")


def test_only_who_began_an_upload_goes_on_with_it(
    store: Store, settings: Settings, begin: Callable[..., UploadId], write: Callable[..., UploadView]
) -> None:
    number = begin(bytes(100))
    for actor in (BOB, ROOT):
        with pytest.raises(NotAllowed, match="ada's"):
            write(number, 0, bytes(10), actor=actor)
        with pytest.raises(NotAllowed):
            finish_upload(store, settings, number, actor=actor)
        with pytest.raises(NotAllowed):
            remove_upload(store, settings, number, actor=actor)
    assert begin(bytes(100), actor=BOB) != number


@pytest.mark.parametrize("number", [0, -1, 7, 2**31, 2**70])
def test_an_upload_that_is_not_there_is_not_found(store: Store, settings: Settings, number: int) -> None:
    with pytest.raises(UploadNotFound):
        upload_state(store, settings, UploadId(number), actor=ADA)


def test_a_person_has_few_unfinished_uploads(
    store: Store, settings: Settings, begin: Callable[..., UploadId]
) -> None:
    first, *_ = [begin(bytes(100 + number)) for number in range(MOST_UPLOADS)]
    with pytest.raises(UploadConflict, match=f"ada has {MOST_UPLOADS} unfinished uploads"):
        begin(bytes(200))
    assert begin(bytes(200), actor=BOB)
    remove_upload(store, settings, first, actor=ADA)
    assert begin(bytes(200))


@pytest.mark.parametrize(
    ("setting", "total", "error", "words"),
    [
        ({"CNNCTL_UPLOAD_LIMIT_GIB": "0.001"}, 1_073_743, DatasetRefused, "CNNCTL_UPLOAD_LIMIT_GIB"),
        ({"CNNCTL_DISK_RESERVE": "100"}, 1000, StorageFull, "CNNCTL_DISK_RESERVE"),
        ({"CNNCTL_UPLOAD_LIMIT_GIB": "16384", "CNNCTL_DISK_RESERVE": "0"}, 1 << 43, StorageFull, "no room"),
        ({}, 0, DatasetRefused, "at most"),
        ({}, -1, DatasetRefused, "at most"),
    ],
)
def test_what_is_too_large_is_refused_before_its_first_byte(
    store: Store, tmp_path: Path, setting: dict[str, str], total: int, error: type[CnnctlError], words: str
) -> None:
    settings = load_settings({"CNNCTL_HOME": str(tmp_path), **setting})
    with pytest.raises(error, match=words):
        begin_upload(
            store, settings, "pets", kind=DatasetKind.NPZ, total_bytes=total, digest="0" * 64, actor=ADA
        )


def test_a_disk_that_fills_meanwhile_stops_a_piece_and_loses_none(
    store: Store,
    settings: Settings,
    tmp_path: Path,
    begin: Callable[..., UploadId],
    write: Callable[..., UploadView],
) -> None:
    number = begin(bytes(100))
    write(number, 0, bytes(10))
    full = load_settings({"CNNCTL_HOME": str(tmp_path), "CNNCTL_DISK_RESERVE": "100"})
    with pytest.raises(StorageFull):
        write_piece(store, full, number, offset=10, data=bytes(10), actor=ADA)
    assert write(number, 10, bytes(10)).received_bytes == 20


@pytest.mark.parametrize("digest", ["", "0" * 63, "G" * 64, "A" * 64])
def test_a_digest_that_is_none_is_refused(store: Store, settings: Settings, digest: str) -> None:
    with pytest.raises(DatasetRefused, match="64 hexadecimal"):
        begin_upload(store, settings, "p", kind=DatasetKind.NPZ, total_bytes=1, digest=digest, actor=ADA)


def test_an_upload_that_is_being_written_is_not_written_by_another(
    settings: Settings,
    begin: Callable[..., UploadId],
    write: Callable[..., UploadView],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    number = begin(bytes(100))

    def meanwhile(settings: Settings, *, wanted_bytes: int) -> None:
        with pytest.raises(UploadConflict, match="Try again"):
            write(number, 0, bytes(10))
        check_disk(settings, wanted_bytes=wanted_bytes)

    monkeypatch.setattr("service.commands.datasets.uploading.check_disk", meanwhile)
    assert write(number, 0, bytes(20)).received_bytes == 20


def test_an_upload_with_which_nobody_goes_on_for_a_day_is_collected(
    store: Store,
    settings: Settings,
    clock: Clock,
    begin: Callable[..., UploadId],
    write: Callable[..., UploadView],
) -> None:
    old, new = begin(bytes(100)), begin(bytes(200))
    for number in (old, new):
        write(number, 0, bytes(10))
        stamp = clock.now.timestamp()
        os.utime(upload_path(number, settings), (stamp, stamp))
    clock.advance(0.75 * DAY)
    write(new, 10, bytes(10))
    stamp = clock.now.timestamp()
    os.utime(upload_path(new, settings), (stamp, stamp))
    clock.advance(0.5 * DAY)
    (found,) = list_garbage(store, settings, OLD)
    assert found.path == upload_path(old, settings)
    assert remove(store, found, OLD) == ""
    assert list_left(settings) == [f"upload-{new}"]
    with pytest.raises(UploadNotFound):
        upload_state(store, settings, old, actor=ADA)
    assert upload_state(store, settings, new, actor=ADA).received_bytes == 20
    assert list_garbage(store, settings, OLD) == []


def test_an_upload_that_goes_on_between_list_and_removal_stays(
    store: Store,
    settings: Settings,
    clock: Clock,
    begin: Callable[..., UploadId],
    write: Callable[..., UploadView],
) -> None:
    data = bytes(100)
    number = begin(data)
    write(number, 0, data[:10])
    stamp = clock.now.timestamp()
    os.utime(upload_path(number, settings), (stamp, stamp))
    clock.advance(2 * DAY)
    (found,) = list_garbage(store, settings, OLD)
    clock.advance(-2 * DAY)
    assert remove(store, found, OLD) == "it is needed again"
    assert write(number, 10, data[10:]).received_bytes == 100
