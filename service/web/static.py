"""The files that browsers need, under an address that changes with them: so they keep them for good."""

import gzip
import hashlib
import mimetypes
from collections.abc import Iterator, Mapping
from pathlib import Path

from fastapi import APIRouter, Request
from starlette.responses import Response

from service.errors import NotFound

FOLDER = Path(__file__).with_name("static")
router = APIRouter()
mimetypes.add_type("text/javascript", ".js")


def _read() -> Iterator[tuple[str, bytes]]:
    for path in sorted(FOLDER.rglob("*")):
        if path.is_file():
            yield path.relative_to(FOLDER).as_posix(), path.read_bytes()


FILES: Mapping[str, bytes] = dict(_read())
PACKED = {name: gzip.compress(content, mtime=0) for name, content in FILES.items()}
DIGEST = hashlib.sha256(b"".join(name.encode() + content for name, content in FILES.items())).hexdigest()[:16]
ADDRESS = f"/static/{DIGEST}"


@router.get("/static/{digest}/{name:path}", include_in_schema=False)
def get_static(request: Request, digest: str, name: str) -> Response:
    """A file; of an older page's address what it is by now, not to be kept.

    Raises:
        NotFound: there is none of this name.
    """
    if name not in FILES:
        raise NotFound(f"There is no file {name!r}")
    age = "public, max-age=31536000, immutable" if digest == DIGEST else "no-store"
    headers = {"Cache-Control": age, "X-Content-Type-Options": "nosniff", "Vary": "Accept-Encoding"}
    kind = mimetypes.guess_type(name)[0] or "text/plain"
    if "gzip" in request.headers.get("accept-encoding", ""):
        return Response(PACKED[name], headers=headers | {"Content-Encoding": "gzip"}, media_type=kind)
    return Response(FILES[name], headers=headers, media_type=kind)
