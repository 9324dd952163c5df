"""Reads forms with files, which browsers send in parts (RFC 7578)."""

from email.message import Message
from email.parser import BytesParser


def read_parts(body: bytes, kind: str, *, most: int) -> list[tuple[str, str]]:
    """The fields of a form in their order; a file is its text.

    `kind` is the Content-Type with the boundary.

    Raises:
        ValueError: it is no such form, a field has no name or is no text, or there are too many.
    """
    head = f"Content-Type: {kind}\r\n\r\n".encode("latin-1")
    message = BytesParser().parsebytes(head + body)
    parts = message.get_payload() if message.is_multipart() else None
    if not isinstance(parts, list) or len(parts) > most:
        raise ValueError("no form in parts")
    return [_read_part(part) for part in parts if isinstance(part, Message)]


def _read_part(part: Message) -> tuple[str, str]:
    name, content = part.get_param("name", header="content-disposition"), part.get_payload(decode=True)
    if not isinstance(name, str) or not isinstance(content, bytes):
        raise ValueError("a part without a name or content")
    return name, content.decode().replace("\r\n", "\n")
