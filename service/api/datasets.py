"""The routes of the lab's own datasets, and of uploads in pieces."""

from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Path, Query
from starlette.responses import Response

from cnnctl.views.datasets import DatasetPage, DatasetView, UploadView
from cnnctl.views.requests import UploadRequest
from service.api.ask import Asked
from service.api.declare import act, get

router = APIRouter(tags=["datasets"])
Name = Annotated[str, Path(description="the dataset's name")]
Upload = Annotated[int, Path(description="the upload's number")]


@get(router, "/datasets", Sequence[DatasetView])
def list_datasets(ask: Asked) -> Response:
    """The datasets that the lab has added."""
    return ask.look(lambda client: client.list_datasets())


@get(router, "/datasets/{name}", DatasetPage)
def get_dataset(ask: Asked, name: Name) -> Response:
    """Everything about one dataset."""
    return ask.look(lambda client: client.get_dataset(name))


@act(router, "DELETE", "/datasets/{name}", None)
def remove_dataset(ask: Asked, name: Name) -> Response:
    """Let a name mean nothing any more, and delete the files."""
    return ask.act(lambda client: client.remove_dataset(name), once=False)


@act(router, "POST", "/uploads", UploadView, body=UploadRequest, status=201)
def begin_upload(ask: Asked) -> Response:
    """Begin an upload, or find the same one that was begun before."""
    return ask.act(lambda client: client.begin_upload(ask.read(UploadRequest)), status=201, once=False)


@get(router, "/uploads", Sequence[UploadView])
def list_uploads(ask: Asked) -> Response:
    """Your own uploads that are not finished."""
    return ask.look(lambda client: client.list_uploads())


@get(router, "/uploads/{upload}", UploadView)
def get_upload(ask: Asked, upload: Upload) -> Response:
    """How much of an upload is there."""
    return ask.look(lambda client: client.get_upload(upload))


@act(router, "PUT", "/uploads/{upload}/pieces", UploadView, content="application/octet-stream")
def write_piece(
    ask: Asked, upload: Upload, offset: Annotated[int, Query(ge=0, description="its first byte")]
) -> Response:
    """Write a piece of at most 8 MiB; what is there already of it may come again."""
    return ask.act(lambda client: client.write_piece(upload, offset=offset, data=ask.body), once=False)


@act(router, "POST", "/uploads/{upload}/finish", DatasetView)
def finish_upload(ask: Asked, upload: Upload) -> Response:
    """Check, unpack and publish what was uploaded; that may take minutes."""
    return ask.act(lambda client: client.finish_upload(upload), once=False)


@act(router, "DELETE", "/uploads/{upload}", None)
def remove_upload(ask: Asked, upload: Upload) -> Response:
    """Forget an upload, and delete what was received."""
    return ask.act(lambda client: client.remove_upload(upload), once=False)
