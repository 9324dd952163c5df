"""What the forms of the pages of datasets do."""

import hashlib
from collections.abc import Mapping

from fastapi import APIRouter
from starlette.responses import RedirectResponse, Response

from cnnctl.views.datasets import DatasetView
from cnnctl.views.requests import UploadRequest
from cnnctl.views.states import DatasetKind
from service.api.ask import Asked
from service.client.local import LocalClient
from service.errors import SpecError
from service.web.acting import act
from service.web.answer import PageRoute
from service.web.multipart import SentPart, read_parts

router = APIRouter(route_class=PageRoute, include_in_schema=False)
MOST_PARTS = 20
NOT_SENT = SentPart(name="", file_name="", content=b"")
KINDS: Mapping[str, DatasetKind] = {".npz": "npz", ".tar": "folder"}


@router.post("/datasets")
def add_dataset(ask: Asked) -> Response:
    """Add a dataset from one small file: larger ones come in pieces, by the page's script or the CLI."""
    actor = ask.get_actor()
    kind = ask.request.headers.get("content-type", "")
    sent = {part.name: part for part in read_parts(ask.body, kind, most=MOST_PARTS)}
    with ask.service.shares.take(actor.name):
        dataset = _upload(LocalClient(ask.service.store, ask.service.settings, actor), sent)
    return RedirectResponse(f"/datasets/{dataset.name}", status_code=303)


def _upload(client: LocalClient, sent: Mapping[str, SentPart]) -> DatasetView:
    name, description, file = (sent.get(one, NOT_SENT) for one in ("name", "description", "file"))
    upload = client.begin_upload(
        UploadRequest(
            name=name.text.strip(),
            kind=_find_kind(file.file_name),
            total_bytes=len(file.content),
            digest=hashlib.sha256(file.content).hexdigest(),
            description=description.text.strip(),
        )
    ).upload
    client.write_piece(upload, offset=0, data=file.content)
    return client.finish_upload(upload)


def _find_kind(file_name: str) -> DatasetKind:
    for ending, kind in KINDS.items():
        if file_name.lower().endswith(ending):
            return kind
    raise SpecError(
        "Choose an .npz file, or an uncompressed .tar of a folder's content "
        f"(tar -cf NAME.tar -C FOLDER .). Received: {file_name[:80]!r}"
    )


@router.post("/uploads/{upload}/remove")
def remove_upload(ask: Asked, upload: int) -> Response:
    """Give an unfinished upload up, and delete what was received."""

    def do(client: LocalClient, form: Mapping[str, str]) -> str:
        client.remove_upload(upload)
        return "/datasets"

    return act(ask, do)


@router.post("/datasets/{name}/remove")
def remove_dataset(ask: Asked, name: str) -> Response:
    """Take the name away, and delete the files."""

    def do(client: LocalClient, form: Mapping[str, str]) -> str:
        client.remove_dataset(name)
        return "/datasets"

    return act(ask, do)
