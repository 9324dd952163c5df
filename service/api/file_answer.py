"""Answers with a file that is open already."""

import os
from contextlib import suppress
from typing import Any, BinaryIO

from starlette.responses import FileResponse


class _Whole(Exception):
    """All was sent that was said."""


class FileAnswer(FileResponse):
    """The file, or the ranges of it that are asked for.

    By its descriptor, so that it is the file that was checked, whatever its name means by now. It is closed
    at the end, also where a range is refused or the client is gone.
    """

    def __init__(self, file: BinaryIO, *, name: str) -> None:
        self._file = file
        super().__init__(
            f"/proc/self/fd/{file.fileno()}",
            media_type="application/octet-stream",
            filename=name,
            stat_result=os.fstat(file.fileno()),
        )

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        with self._file, suppress(_Whole):
            await super().__call__(scope, receive, _bounded(send))


def _bounded(send: Any) -> Any:
    """Sends no more than the length that was said: a log grows while it is read."""
    left = 0

    async def send_some(message: Any) -> None:
        nonlocal left
        if message["type"] == "http.response.start":
            left = int(dict(message["headers"]).get(b"content-length", 0))
            await send(message)
            return
        body = message.get("body", b"")[:left]
        left -= len(body)
        await send({**message, "body": body, "more_body": bool(message.get("more_body") and left)})
        if not left:
            raise _Whole

    return send_some
