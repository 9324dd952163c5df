"""Reads the tables that say what is what: split.csv, or train.csv and test.csv.

split.csv has the columns file, label and split; train.csv, test.csv and perhaps val.csv have file and label.
Messages name lines and bytes, and never quote a table: they are read by everybody.
"""

import codecs
import csv
import io
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from models.datasets.files.splits import TEST, TRAIN, VALIDATION, Labelled, Parts, find_part
from models.datasets.files.walk import below, real_place
from models.errors import DatasetError

SPLIT_FILE = "split.csv"
LARGEST_BYTES = 256 * 1024 * 1024
FILE, LABEL, SPLIT = COLUMNS = ("file", "label", "split")
ALIASES = {"path": FILE, "filename": FILE, "image": FILE, "class": LABEL}
SEPARATORS = r"[,;\t]"  # those that people's spreadsheets write; only commas are read
MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def get_tables(root: Path) -> Mapping[Path, str]:
    """The tables of a folder, each with the part that it lists, which split.csv says itself: empty there.

    Without split.csv there have to be a table to train on and another one, both with the columns of pairs,
    whatever their encoding and separator: a train.csv beside class folders may be anything else.

    Raises:
        DatasetError: a table is a link that leads elsewhere.
    """
    if (root / SPLIT_FILE).is_file():
        _check_place(root / SPLIT_FILE, root)
        return {root / SPLIT_FILE: ""}
    found: dict[Path, str] = {}
    for path in sorted(root.glob("*.csv")):
        part = find_part(path.stem)
        if part and path.is_file() and below(root)(path) and _has_pairs(path):
            found[path] = part
    parts = [*found.values()]
    if TRAIN not in parts or len(parts) < 2:
        return {}
    if len({*parts}) < len(parts):
        raise DatasetError(
            f"{', '.join(map(str, found))} name the same part twice. Keep one table for each of train, val "
            "and test"
        )
    return found


def read_tables(root: Path, tables: Mapping[Path, str]) -> Parts:
    """The files that tables name, with their labels, by part.

    Raises:
        DatasetError: a row is not what it must be, or names a file that lies elsewhere, is not there, or is
            in another row with another label or part.
    """
    parts: dict[str, Labelled] = {TRAIN: [], VALIDATION: [], TEST: []}
    stays, place = below(root), real_place()
    rows: dict[str, tuple[Path, int, str, str]] = {}
    for table, listed in tables.items():
        missing: list[int] = []
        for line, row in _read_rows(table):
            part, label = listed or find_part(row[SPLIT]) or "", row[LABEL]
            _check_row(table, line, row, part)
            path = root / row[FILE]
            if not stays(path):
                raise DatasetError(
                    f"{table}, line {line}: the file does not lie below {root} after symbolic links. "
                    "Copy it there, or submit a folder that both are in"
                )
            if not os.path.isfile(path):  # noqa: PTH113  # an error of Path's own would quote the row
                missing.append(line)
            else:
                before = rows.setdefault(place(path), (table, line, label, part))
                _check_same(before, table, line, label, part)
            parts[part].append((path, label))
        if missing:
            raise DatasetError(
                f"{table} names {len(missing):,} files that are not there, the first in line {missing[0]}"
            )
    return _name_numbers(parts)


def _check_row(table: Path, line: int, row: Mapping[str, str], part: str) -> None:
    if not part or not row[FILE] or not row[LABEL]:
        wrong = FILE if not row[FILE] else LABEL if not row[LABEL] else SPLIT
        shape = "a file and its label" if SPLIT not in row else "a file, its label, and train, val or test"
        raise DatasetError(f"{table}, line {line}: a row is {shape}. Look at the column {wrong}")


def _check_same(before: tuple[Path, int, str, str], table: Path, line: int, label: str, part: str) -> None:
    """One file may be listed twice, but neither to train on and to test, nor as two things."""
    first_table, first_line, first_label, first_part = before
    if (first_label, first_part) == (label, part):
        return
    where = f"line {first_line}" if first_table == table else f"{first_table}, line {first_line},"
    what = f"as {first_part} and as {part}" if first_part != part else "with two labels"
    raise DatasetError(f"{table}, line {line}: the file of {where} again, {what}. Keep one of the rows")


def _check_place(table: Path, root: Path) -> None:
    if not below(root)(table):
        raise DatasetError(
            f"{table} does not lie below {root} after symbolic links. Copy it there, or submit the folder "
            "that it is in"
        )


def _has_pairs(table: Path) -> bool:
    """Whether the first line of a table seems to name a file and a label; reading it says what is wrong."""
    with table.open("rb") as file:
        start = file.read(1000)
    text = codecs.getincrementaldecoder(_detect_encoding(start))("replace").decode(start)
    header, *_ = re.split(r"[\r\n]", text.replace("\0", ""))
    return {FILE, LABEL} <= set(_name_columns(re.split(SEPARATORS, header)))


def _read_rows(table: Path) -> Iterator[tuple[int, Mapping[str, str]]]:
    """The rows of a table by column, each with the number of its line."""
    if table.stat().st_size > LARGEST_BYTES:
        raise DatasetError(f"{table} is larger than {LARGEST_BYTES >> 20} MiB, which no table of images is")
    rows = csv.reader(io.StringIO(_decode(table, table.read_bytes()), newline=""))
    columns = COLUMNS if table.name == SPLIT_FILE else COLUMNS[:2]
    try:
        names = _name_columns(next(rows, []))
        if not set(columns) <= set(names):
            raise DatasetError(
                f"{table} must begin with the columns {', '.join(columns)}, separated by commas"
            )
        for row in rows:
            if any(row[len(names) :]):
                raise DatasetError(
                    f"{table}, line {rows.line_num}: more fields than the first line has columns. "
                    'A name with a comma in it stands in quotes: "a, b.png"'
                )
            if row:
                fields = dict(zip(names, [*row, *[""] * len(names)], strict=False))
                yield rows.line_num, {name: fields[name].strip() for name in columns}
    except csv.Error as error:
        raise DatasetError(f"{table}, line {rows.line_num}: no row of a CSV file: {error}") from None


def _name_columns(header: Sequence[str]) -> list[str]:
    plain = [name.strip(' "').lower() for name in header]
    return [ALIASES.get(name, name) for name in plain]


def _detect_encoding(start: bytes) -> str:
    return next((encoding for mark, encoding in MARKS if start.startswith(mark)), "utf-8")


def _decode(table: Path, data: bytes) -> str:
    encoding = _detect_encoding(data)
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        before = data[: error.start]
        line, byte = before.count(b"\n") + 1, error.start - before.rfind(b"\n")
        wrong = f"line {line}, byte {byte}: not {encoding.upper().removesuffix('-SIG')}"
    else:
        before_zero, zero, _ = text.partition("\0")
        if not zero:
            return text
        wrong = f"line {before_zero.count(chr(10)) + 1}: a zero, which no text has"
    raise DatasetError(f"{table}, {wrong}. Save the table as UTF-8")


def _name_numbers(parts: Parts) -> Parts:
    """Name classes that are mere numbers by their folders, where each has a folder of its own."""
    pairs = {(label, path.parent.name) for images in parts.values() for path, label in images}
    labels, folders = {label for label, _ in pairs}, {folder for _, folder in pairs}
    if not all(label.isdecimal() for label in labels) or not len(pairs) == len(labels) == len(folders):
        return parts
    names = dict(pairs)
    return {part: [(path, names[label]) for path, label in images] for part, images in parts.items()}
