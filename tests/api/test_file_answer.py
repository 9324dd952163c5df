"""A file is answered with as many bytes as were said, and closed whatever the client does."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from service.api.file_answer import FileAnswer

CONTENT = bytes(range(256)) * 1024


def answer(path: Path, *, headers: dict[str, str] | None = None, gone: bool = False) -> Any:
    """The status, the said length and the body; the file grows before it is read, as a log does."""
    file = path.open("rb")
    response = FileAnswer(file, name="trainer.log")
    with path.open("ab") as log:
        log.write(CONTENT)
    messages: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        if not gone:
            await asyncio.Event().wait()
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        messages.append(message)
        if gone:
            await asyncio.sleep(0)  # uvicorn drops what nobody reads any more; older Starlettes send it all

    sent = [(name.encode(), value.encode()) for name, value in (headers or {}).items()]
    scope = {"type": "http", "method": "GET", "headers": sent, "asgi": {"spec_version": "2.3"}}
    asyncio.run(response(scope, receive, send))
    assert file.closed
    length = dict(messages[0]["headers"]).get(b"content-length", b"0")
    assert gone or not messages[-1].get("more_body")
    return messages[0]["status"], int(length), b"".join(message.get("body", b"") for message in messages[1:])


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "trainer.log"
    path.write_bytes(CONTENT)
    return path


def test_a_file_that_grows_is_sent_as_far_as_was_said(path: Path) -> None:
    assert answer(path) == (200, len(CONTENT), CONTENT)


def test_ranges_are_sent_alone(path: Path) -> None:
    assert answer(path, headers={"range": "bytes=5-9"}) == (206, 5, CONTENT[5:10])
    assert answer(path, headers={"range": "bytes=2-"})[0] == 206
    status, length, body = answer(path, headers={"range": "bytes=1-2,5-6"})
    assert (status, length) == (206, len(body))


@pytest.mark.parametrize("value", ["bytes=9999999-", "lines=1-2", "bytes=5-2", "bytes=", "x"])
def test_a_range_that_is_none_is_refused(path: Path, value: str) -> None:
    status, _, _ = answer(path, headers={"range": value})
    assert status in (400, 416)


def test_a_client_that_is_gone_leaves_nothing_open(path: Path) -> None:
    answer(path, gone=True)
