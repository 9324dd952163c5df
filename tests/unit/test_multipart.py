"""A form with files is read as browsers send it, and nothing else is."""

import pytest

from service.errors import SpecError
from service.web.multipart import SentPart, read_parts

TYPE = "multipart/form-data; boundary=----x"
HEAD = b'Content-Disposition: form-data; name="'
NAME = HEAD + b'name"\r\n\r\ncells\r\n'


def make_body(*parts: bytes) -> bytes:
    return b"".join(b"------x\r\n" + part for part in parts) + b"------x--\r\n"


def make_file(content: bytes) -> bytes:
    head = HEAD + b'file"; filename="\xc3\xa9.npz"\r\nContent-Type: application/octet-stream\r\n\r\n'
    return head + content + b"\r\n"


@pytest.mark.parametrize("file", [b"", b"\r\n\r\n", b"a\r\n--\r\n\0\xff", b"\r\n----", bytes(range(256))])
def test_a_file_keeps_its_bytes(file: bytes) -> None:
    assert read_parts(make_body(NAME, make_file(file)), TYPE, most=2) == [
        SentPart(name="name", file_name="", content=b"cells"),
        SentPart(name="file", file_name="é.npz", content=file),
    ]


def test_lines_of_a_text_end_as_everywhere() -> None:
    (part,) = read_parts(make_body(HEAD + b'toml"\r\n\r\na = 1\r\nb = \xc3\xbc\r\n'), TYPE, most=1)
    assert part.text == "a = 1\nb = ü"


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"name=cells", "application/x-www-form-urlencoded"),
        (make_body(NAME), "multipart/form-data"),
        (make_body(NAME), "multipart/form-data; boundary=other"),
        (make_body(NAME)[:-6], TYPE),
        (make_body(b"\r\nno name\r\n"), TYPE),
        (make_body(NAME, NAME, NAME), TYPE),
        (b"", TYPE),
        (b"nonsense", TYPE),
        (b"------x\r\n" * 30 + b"------x--", TYPE),
    ],
)
def test_what_is_no_form_is_refused(body: bytes, content_type: str) -> None:
    with pytest.raises(SpecError):
        read_parts(body, content_type, most=2)


def test_a_file_is_no_text() -> None:
    with pytest.raises(SpecError, match="'file' is no text"):
        _ = SentPart(name="file", file_name="a.png", content=b"\xff").text
