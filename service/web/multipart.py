"""Reads forms with files, which browsers send in parts (RFC 7578)."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from service.errors import SpecError

KIND = "multipart/form-data"
BOUNDARY = re.compile(rf'{KIND};.*\bboundary="?([^";]{{1,70}})"?', re.IGNORECASE)
NAME = re.compile(rb'; name="([^"]*)"')
FILE_NAME = re.compile(rb'; filename="([^"]*)"')


@dataclass(frozen=True, slots=True, kw_only=True)
class SentPart:
    """A field of a form, or a file."""

    name: str
    """Of the field."""
    file_name: str
    """Empty: it is no file, or none was chosen."""
    content: bytes

    @property
    def text(self) -> str:
        """What was typed.

        Raises:
            SpecError: it is no text.
        """
        try:
            return self.content.decode().replace("\r\n", "\n")
        except ValueError:
            raise SpecError(f"{self.name[:40]!r} is no text in UTF-8") from None


def read_parts(body: bytes, content_type: str, *, most: int) -> Sequence[SentPart]:
    """The parts of a form, in their order.

    Raises:
        SpecError: it is no such form, a part has no name, or there are too many.
    """
    found = BOUNDARY.match(content_type)
    pieces = (b"\r\n" + body).split(b"\r\n--" + found[1].encode("latin-1"), most + 2) if found else []
    if not 2 < len(pieces) <= most + 2 or not pieces[-1].startswith(b"--"):
        raise SpecError("What was sent is no form of this service")
    return [_read_part(piece) for piece in pieces[1:-1]]


def _read_part(piece: bytes) -> SentPart:
    head, _, content = piece.partition(b"\r\n\r\n")
    name, file_name = NAME.search(head), FILE_NAME.search(head)
    if name is None:
        raise SpecError("What was sent is no form of this service")
    return SentPart(
        name=name[1].decode("utf-8", "replace"),
        file_name=file_name[1].decode("utf-8", "replace") if file_name else "",
        content=content,
    )
