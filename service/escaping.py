"""Escapes bytes that are not Unicode text before they leave a process, as in the file name `caf\\xe9.png`.

Python keeps such bytes as surrogates, which databases, JSON and terminals refuse.
"""

import re
from collections.abc import Mapping, Sequence
from typing import TypeVar

_SURROGATE = re.compile("[\ud800-\udfff]")
_FIRST_BYTE, _LAST_BYTE = 0xDC80, 0xDCFF  # surrogates that stand for a byte of a file's name

Value = TypeVar("Value")


def escape_surrogates(text: str) -> str:
    """The same text, with every surrogate written out."""
    if text.isascii():
        return text
    return _SURROGATE.sub(lambda found: _write_out(found.group()), text)


def escape_document(document: Value) -> Value:
    """The same JSON document with every text in it escaped; keys, too."""
    found: object = document
    if isinstance(document, str):
        found = escape_surrogates(document)
    elif isinstance(document, Mapping):
        found = {escape_document(key): escape_document(value) for key, value in document.items()}
    elif isinstance(document, Sequence) and not isinstance(document, bytes | bytearray | memoryview):
        found = [escape_document(value) for value in document]
        found = tuple(found) if isinstance(document, tuple) else found
    return found  # type: ignore[return-value]  # of the same kind, as far as JSON can tell


def _write_out(character: str) -> str:
    code = ord(character)
    if _FIRST_BYTE <= code <= _LAST_BYTE:
        return f"\\x{code & 0xFF:02x}"
    return character.encode("ascii", "backslashreplace").decode()
