"""A form with a file is read as browsers send it, and nothing else is."""

import pytest

from service.errors import SpecError
from service.web.multipart import read_multipart

TYPE = "multipart/form-data; boundary=----x"
HEAD = b'Content-Disposition: form-data; name="'


def make_body(file: bytes) -> bytes:
    parts = [
        HEAD + b'name"\r\n\r\ncells\r\n',
        HEAD
        + b'file"; filename="\xc3\xa9.npz"\r\nContent-Type: application/octet-stream\r\n\r\n'
        + file
        + b"\r\n",
    ]
    return b"".join(b"------x\r\n" + part for part in parts) + b"------x--\r\n"


@pytest.mark.parametrize("file", [b"", b"\r\n\r\n", b"a\r\n--\r\n\0\xff", b"\r\n----", bytes(range(256))])
def test_a_file_keeps_its_bytes(file: bytes) -> None:
    sent = read_multipart(make_body(file), TYPE)
    assert (sent.fields, sent.file_name, sent.file) == ({"name": "cells"}, "é.npz", file)


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"name=cells", "application/x-www-form-urlencoded"),
        (make_body(b"x"), "multipart/form-data"),
        (make_body(b"x"), "multipart/form-data; boundary=other"),
        (make_body(b"x")[:-6], TYPE),
        (b"", TYPE),
        (b"------x\r\n" * 30 + b"------x--", TYPE),
    ],
)
def test_what_is_no_form_is_refused(body: bytes, content_type: str) -> None:
    with pytest.raises(SpecError):
        read_multipart(body, content_type)
