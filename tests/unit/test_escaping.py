import json
import os

import pytest

from service.escaping import escape_document, escape_surrogates


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        (os.fsdecode(b"caf\xe9.png"), "caf\\xe9.png"),
        ("caf\xe9 \N{SNOWMAN}", "caf\xe9 \N{SNOWMAN}"),
        ("\ud83d", "\\ud83d"),
        ("plain\n", "plain\n"),
    ],
)
def test_what_is_no_text_is_written_out(text: str, escaped: str) -> None:
    assert escape_surrogates(text) == escaped
    escape_surrogates(text).encode()


def test_every_text_of_a_document_is_escaped_and_all_else_stays() -> None:
    document = {"a\udce9": ["\udcff", ("\udcfe", 1, None, 1.5, True, b"\xe9")]}
    assert escape_document(document) == {"a\\xe9": ["\\xff", ("\\xfe", 1, None, 1.5, True, b"\xe9")]}
    assert json.loads(json.dumps(escape_document({"a": "\udce9"}))) == {"a": "\\xe9"}
