"""A tar that a stranger has made writes nothing outside of its folder, and no more than it may."""

import hashlib
import io
import tarfile
from collections.abc import Callable
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile

import pytest

from service.commands.datasets import archive
from service.commands.datasets.archive import check_npz, unpack
from service.commands.datasets.files import Content, copy_folder, list_files
from service.errors import DatasetRefused

MANY = 1 << 20


def make_tar(path: Path, *members: tarfile.TarInfo | tuple[str, bytes], mode: str = "w:") -> Path:
    """A tar of files, by path and content, and of members as they are."""
    with tarfile.open(path, mode) as tar:  # type: ignore[call-overload]
        for member in members:
            if isinstance(member, tarfile.TarInfo):
                tar.addfile(member)
                continue
            info = tarfile.TarInfo(member[0])
            info.size = len(member[1])
            tar.addfile(info, io.BytesIO(member[1]))
    return path


def special(name: str, kind: bytes, *, link: str = "", size: int = 0) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.size = kind, link, size
    return info


@pytest.fixture
def refuse(tmp_path: Path) -> Callable[..., str]:
    """Unpack what must be refused; the words. Nothing is outside of its folder then."""

    def run(path: Path, *, most_bytes: int = MANY) -> str:
        before = {one.name for one in tmp_path.iterdir()}
        with pytest.raises(DatasetRefused) as caught:
            unpack(path, tmp_path / "out", most_bytes=most_bytes)
        assert {one.name for one in tmp_path.iterdir()} - before == {"out"}
        return str(caught.value)

    return run


def test_a_tar_is_unpacked_to_the_content_that_a_copy_of_the_folder_has(tmp_path: Path) -> None:
    source = tmp_path / "source"
    for name in ("a/1.png", "a/deep/2.png", "b/" + "long" * 60 + ".png", "b/umläut.png", ".hidden/3.png"):
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_bytes(name.encode() * 1000)
    with tarfile.open(tmp_path / "x.tar", "w:") as tar:
        tar.add(source, arcname=".")
    unpacked = unpack(tmp_path / "x.tar", tmp_path / "out", most_bytes=10 * MANY)
    (tmp_path / "copy").mkdir()
    files = list_files(source)
    copied = copy_folder(source, tmp_path / "copy", files=files, report=lambda *_: None)
    assert unpacked.digest() == copied.digest()
    assert unpacked.bytes == copied.bytes == sum(size for _, size in files)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a", "b"]
    assert (tmp_path / "out" / "a" / "1.png").stat().st_mode & 0o222 == 0


@pytest.mark.parametrize("name", ["/etc/passwd", "../outside", "a/../../outside", "..", "a/.."])
def test_a_path_outside_of_its_folder_is_refused(
    tmp_path: Path, refuse: Callable[..., str], name: str
) -> None:
    assert "outside of its folder" in refuse(make_tar(tmp_path / "x.tar", ("a/1", b"x"), (name, b"x")))


@pytest.mark.parametrize(
    "member",
    [
        special("a/link", tarfile.SYMTYPE, link="/etc"),
        special("a/hard", tarfile.LNKTYPE, link="a/1"),
        special("a/device", tarfile.CHRTYPE),
        special("a/disk", tarfile.BLKTYPE),
        special("a/pipe", tarfile.FIFOTYPE),
        special("a/odd", b"Z"),
        special("a/sparse", tarfile.GNUTYPE_SPARSE),
    ],
    ids=lambda member: member.name,
)
def test_what_is_neither_file_nor_folder_is_refused(
    tmp_path: Path, refuse: Callable[..., str], member: tarfile.TarInfo
) -> None:
    words = refuse(make_tar(tmp_path / "x.tar", ("a/1", b"x"), member))
    assert "files and folders only" in words or "cannot be unpacked" in words


def test_a_sparse_file_of_another_kind_is_no_bomb(tmp_path: Path, refuse: Callable[..., str]) -> None:
    info = special("a/1", tarfile.REGTYPE, size=4)
    info.pax_headers = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.realsize": str(1 << 40)}
    with tarfile.open(tmp_path / "x.tar", "w:", format=tarfile.PAX_FORMAT) as tar:
        tar.addfile(info, io.BytesIO(b"0\n0\n"))
    assert refuse(tmp_path / "x.tar")


def test_two_members_of_one_path_are_refused(tmp_path: Path, refuse: Callable[..., str]) -> None:
    assert "same path, '1'" in refuse(make_tar(tmp_path / "x.tar", ("a/1", b"x"), ("./a//1", b"y")))


def test_a_file_where_a_folder_is_needed_is_refused(tmp_path: Path, refuse: Callable[..., str]) -> None:
    assert "cannot be unpacked" in refuse(make_tar(tmp_path / "x.tar", ("a", b"x"), ("a/1", b"y")))
    (tmp_path / "out" / "a").chmod(0o600)
    (tmp_path / "out").rename(tmp_path / "first")
    assert "cannot be unpacked" in refuse(make_tar(tmp_path / "y.tar", ("a/1", b"x"), ("a", b"y")))


@pytest.mark.parametrize("name", ["a/" + "x" * 300, "a/" * 3000 + "x"], ids=["wide", "deep"])
def test_a_path_that_no_disk_takes_is_refused(tmp_path: Path, refuse: Callable[..., str], name: str) -> None:
    assert "too long" in refuse(make_tar(tmp_path / "x.tar", (name, b"x")))


@pytest.mark.parametrize("mode", ["w:gz", "w:xz", "w:bz2"])
def test_a_compressed_tar_is_refused_and_never_decompressed(
    tmp_path: Path, refuse: Callable[..., str], mode: str
) -> None:
    assert "cannot be unpacked" in refuse(make_tar(tmp_path / "x.tar", ("a/1", bytes(MANY)), mode=mode))


def test_a_member_that_says_it_is_larger_than_all_is_refused(
    tmp_path: Path, refuse: Callable[..., str]
) -> None:
    path = make_tar(tmp_path / "x.tar", ("a/1", b"x" * 100))
    data = bytearray(path.read_bytes())
    data[124:136] = b"77777777777\0"  # 8 GiB
    data[148:156] = b" " * 8
    data[148:156] = f"{sum(data[:512]):06o}\0 ".encode()
    path.write_bytes(data)
    assert "more than 1,048,576 bytes" in refuse(path)
    assert [*(tmp_path / "out").iterdir()] == []


@pytest.mark.parametrize("size", ["-512", str(1 << 60)])
def test_a_size_that_a_pax_header_says_is_no_more_trusted(
    tmp_path: Path, refuse: Callable[..., str], size: str
) -> None:
    info = special("a/1", tarfile.REGTYPE)
    info.pax_headers = {"size": size}
    with tarfile.open(tmp_path / "x.tar", "w:", format=tarfile.PAX_FORMAT) as tar:
        tar.addfile(info)
    assert refuse(tmp_path / "x.tar")


@pytest.mark.parametrize("kind", [tarfile.GNUTYPE_LONGNAME, tarfile.XHDTYPE, tarfile.XGLTYPE])
def test_a_header_that_would_fill_the_memory_is_refused(
    tmp_path: Path, refuse: Callable[..., str], kind: bytes
) -> None:
    path = make_tar(tmp_path / "x.tar", special("x", kind, size=1 << 32))
    with path.open("r+b") as file:
        file.truncate(1 << 33)  # with holes: it takes no room
    assert "A header of the archive has more than" in refuse(path)


def test_too_many_members_and_files_are_refused(
    tmp_path: Path, refuse: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = make_tar(tmp_path / "x.tar", *((f"a/{number}", b"x") for number in range(5)))
    monkeypatch.setattr(archive, "MOST_MEMBERS", 4)
    assert "more than 4 members" in refuse(path)
    (tmp_path / "out").rename(tmp_path / "first")
    monkeypatch.setattr(archive, "MOST_MEMBERS", 10)
    monkeypatch.setattr(archive, "MOST_FILES", 3)
    assert "or 3 files" in refuse(path)


@pytest.mark.parametrize("at", [0, 100, 512, 700, 1536, 1536 + 100])
def test_a_tar_that_is_cut_off_is_refused(tmp_path: Path, refuse: Callable[..., str], at: int) -> None:
    path = make_tar(tmp_path / "x.tar", ("a/1", b"x" * 600), ("a/2", b"y" * 600))
    path.write_bytes(path.read_bytes()[:at])
    assert "cannot be unpacked" in refuse(path)


def test_a_tar_that_is_damaged_in_the_middle_is_refused(tmp_path: Path, refuse: Callable[..., str]) -> None:
    path = make_tar(tmp_path / "x.tar", ("a/1", b"x" * 600), ("a/2", b"y" * 600))
    data = bytearray(path.read_bytes())
    data[1536 + 150] ^= 0xFF  # the checksum of the second header
    path.write_bytes(data)
    assert "cut off or damaged at byte 1,536" in refuse(path)


def make_zip(path: Path, **arrays: bytes) -> Path:
    with ZipFile(path, "w", ZIP_DEFLATED) as archive:
        for name, data in arrays.items():
            archive.writestr(name, data)
    return path


def test_an_npz_file_whose_arrays_are_too_large_is_refused(tmp_path: Path) -> None:
    path = make_zip(tmp_path / "x.npz", x_train=bytes(MANY), x_test=b"x")
    assert path.stat().st_size < MANY / 100
    check_npz(path, most_bytes=MANY + 1)
    with pytest.raises(DatasetRefused, match="arrays have 1,048,577 bytes"):
        check_npz(path, most_bytes=MANY)


def test_an_npz_file_whose_directory_would_fill_the_memory_is_refused(tmp_path: Path) -> None:
    path = make_zip(tmp_path / "x.npz", **{"x" * 60_000 + str(number): b"" for number in range(20)})
    with pytest.raises(DatasetRefused, match="A header of the archive has more than"):
        check_npz(path, most_bytes=MANY)


@pytest.mark.parametrize("data", [b"", b"not a zip", bytes(MANY)])
def test_a_file_that_is_no_zip_is_refused(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "x.npz").write_bytes(data)
    with pytest.raises(DatasetRefused, match=r"no \.npz file"):
        check_npz(tmp_path / "x.npz", most_bytes=MANY)


def test_the_digest_of_a_folder_depends_on_paths_and_contents_alone() -> None:
    one, two = hashlib.sha256(b"1").hexdigest(), hashlib.sha256(b"2").hexdigest()
    first = Content(digests={b"a": one, b"b": two}).digest()
    assert Content(digests={b"b": two, b"a": one}).digest() == first
    assert Content(digests={b"a": two, b"b": one}).digest() != first
    assert Content(digests={b"a": one, b"c": two}).digest() != first
