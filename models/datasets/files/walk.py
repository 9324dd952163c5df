"""Lists the image files of a folder, and says which entries it leaves out and why.

Hidden and system folders are no data, at any depth. Symbolic links are followed as long as they stay below
the dataset's folder; nothing is said of what lies elsewhere, not even whether it is there.
"""

import os
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from pathlib import Path

from models.catalog.dataset_path import is_data, lies_in
from models.errors import DatasetError

SUFFIXES = frozenset(
    {
        *(".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".avif"),
        *(".ppm", ".pgm", ".pbm"),
    }
)
LEADS_AWAY = "is a link that leads out of the folder or nowhere"


class Walk:
    """Looks through a dataset's folder; `reasons` names what is left out, a sentence each.

    `other_suffixes` counts files that are no images, by their suffix; `followed` says whether a link was
    followed, so that one file may have been found twice.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.reasons: list[str] = []
        self.other_suffixes: Counter[str] = Counter()
        self.followed = False
        self._stays = below(root)

    def list_folders(self, folder: Path) -> Sequence[Path]:
        """The folders in a folder, by name; files that lie beside them are left out.

        Raises:
            DatasetError: one is a link that leads elsewhere: a class must not vanish.
            OSError: the folder cannot be read.
        """
        folders = []
        for name in sorted(filter(is_data, os.listdir(folder))):  # noqa: PTH208  # Path's own is no quicker
            path = folder / name
            if path.is_symlink() and not (self._stays(path) and path.exists()):
                raise DatasetError(
                    f"{path} {LEADS_AWAY}: it does not lie below {self.root} after symbolic links. Copy "
                    "there what it names, submit the folder that both are in, or remove the link"
                )
            if path.is_dir():
                folders.append(path)
                self.followed |= path.is_symlink()
            elif _is_image(name):
                self.leave_out(path, "lies in no class's folder")
            else:
                self.other_suffixes[path.suffix.lower()] += 1
        return folders

    def list_images(self, folder: Path) -> Sequence[Path]:
        """The image files below a class's folder, in the order of their names.

        Raises:
            OSError: the folder itself cannot be read.
        """
        os.listdir(folder)  # noqa: PTH208  # an unreadable class is an error, an unreadable corner is named
        seen: set[str] = set()
        images, links = self._list_below(folder, seen)
        linked: list[Path] = []
        while links:
            link = links.pop(0)
            if link.is_dir():
                if os.path.realpath(link) in seen:
                    self.leave_out(link, "is a link to a folder that is read already")
                    continue
                more, further = self._list_below(link, seen)
                linked += more
                links += further
            elif not _is_image(link.name):
                self.other_suffixes[link.suffix.lower()] += 1
            elif link.is_file():
                linked.append(link)
            else:
                self.leave_out(link, "is no file")
        return sorted([*images, *self._drop_known(images, linked)], key=lambda path: path.parts)

    def leave_out(self, path: Path, why: str) -> None:
        self.reasons.append(f"{os.path.relpath(path, self.root)} {why}")

    def _list_below(self, top: Path, seen: set[str]) -> tuple[list[Path], list[Path]]:
        """Image files, and links that stay below the root, without following one."""
        images: list[Path] = []
        links: list[Path] = []
        waiting = [top]
        while waiting:
            folder = waiting.pop()
            real = os.path.realpath(folder)
            if real in seen:
                continue
            seen.add(real)
            for entry in self._scan(folder):
                path = folder / entry.name
                if entry.is_symlink():
                    if self._stays(path) and path.exists():
                        links.append(path)
                    else:
                        self.leave_out(path, LEADS_AWAY)
                elif entry.is_dir():
                    waiting.append(path)
                elif not _is_image(entry.name):
                    self.other_suffixes[path.suffix.lower()] += 1
                elif entry.is_file():
                    images.append(path)
                else:
                    self.leave_out(path, "is no file")
        return images, links

    def _scan(self, folder: Path) -> Iterable["os.DirEntry[str]"]:
        try:
            with os.scandir(folder) as entries:
                return sorted((e for e in entries if is_data(e.name)), key=lambda entry: entry.name)
        except OSError as error:
            self.leave_out(folder, f"cannot be read: {error.strerror}")
            return []

    def _drop_known(self, images: Sequence[Path], linked: Sequence[Path]) -> Sequence[Path]:
        """Of the files found by links, those that were not found otherwise."""
        if not linked:
            return []
        self.followed = True
        known = {*map(real_place(), images)}
        kept = []
        for path in sorted(linked, key=lambda path: path.parts):
            real = os.path.realpath(path)
            if real in known:
                self.leave_out(path, "is a link to a file that is read already")
                continue
            known.add(real)
            kept.append(path)
        return kept


def below(root: Path) -> Callable[[Path], bool]:
    """Whether a path lies below a folder after symbolic links; quick for many files of few folders."""
    stays = cache(lambda folder: lies_in(folder, root))
    return lambda path: lies_in(path, root) if os.path.islink(path) else stays(path.parent)  # noqa: PTH114


def real_place() -> Callable[[Path], str]:
    """Where a file is after symbolic links; quick for many files of few folders."""
    place = cache(os.path.realpath)

    def find(path: Path) -> str:
        if path.name in ("", ".", "..") or os.path.islink(path):  # noqa: PTH114
            return os.path.realpath(path)
        return os.path.join(place(path.parent), path.name)  # noqa: PTH118

    return find


def _is_image(name: str) -> bool:
    return os.path.splitext(name)[1].lower() in SUFFIXES  # noqa: PTH122  # 5 times as quick as Path
