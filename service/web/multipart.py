"""Reads a form that was sent with a file."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from service.errors import SpecError

BOUNDARY = re.compile(r'multipart/form-data;.*\bboundary="?([^";]{1,70})"?', re.IGNORECASE)
NAME = re.compile(rb'; name="([^"]*)"')
FILE_NAME = re.compile(rb'; filename="([^"]*)"')
MOST_PARTS = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """The fields of a form, and its one file."""

    fields: Mapping[str, str]
    file_name: str
    file: bytes


def read_multipart(body: bytes, content_type: str) -> Sent:
    """What browsers send of a form with one file.

    Raises:
        SpecError: it is none.
    """
    found = BOUNDARY.match(content_type)
    pieces = (b"\r\n" + body).split(b"\r\n--" + found[1].encode("latin-1")) if found else []
    if not 2 < len(pieces) < MOST_PARTS or not pieces[-1].startswith(b"--"):
        raise SpecError("What was sent is no form of this service")
    fields, file_name, file = {}, "", b""
    for piece in pieces[1:-1]:
        head, _, content = piece.partition(b"\r\n\r\n")
        if named := FILE_NAME.search(head):
            file_name, file = named[1].decode("utf-8", "replace"), content
        elif named := NAME.search(head):
            fields[named[1].decode("utf-8", "replace")] = content.decode("utf-8", "replace")
    return Sent(fields=fields, file_name=file_name, file=file)
