"""Declares routes: what each takes and gives is said by views, for OpenAPI as for docs/json.md."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from fastapi import APIRouter
from starlette.responses import Response

from cnnctl.views.access import ProblemView
from cnnctl.views.codec import to_json
from cnnctl.views.requests import (
    ExtendRequest,
    GpusRequest,
    HookRequest,
    LabelRequest,
    NetworkRequest,
    StudyRequest,
    SubmissionRequest,
    TokenRequest,
    UploadRequest,
    UserChange,
)
from cnnctl.views.schema import refer
from service.api.problems import MEDIA_TYPE

Route = TypeVar("Route", bound=Callable[..., Any])
EXAMPLES: Mapping[type, object] = {
    SubmissionRequest: SubmissionRequest(
        architecture="alexnet",
        fields={"data.dataset": "cifar10", "resources.gpus": 2, "model.dropout": "spatial:0.3"},
        name="figure 3",
        tags=["ablation"],
    ),
    LabelRequest: LabelRequest(name="lr 0.02", add_tags=["ablation"]),
    NetworkRequest: NetworkRequest(fields={"model.head": "gap"}, input_shape=(227, 227, 3), classes=1000),
    StudyRequest: StudyRequest(name="lrn", scale="quick", seeds=10),
    ExtendRequest: ExtendRequest(seeds=20),
    GpusRequest: GpusRequest(gpus=["gpu01:0"], reason="its fan is loud"),
    HookRequest: HookRequest(channel="webhook", address="https://chat.example.org/hook", on=["failure"]),
    TokenRequest: TokenRequest(name="laptop", scope="submit", days=90),
    UploadRequest: UploadRequest(name="cells", kind="npz", total_bytes=52_428_800, digest="0" * 64),
    UserChange: UserChange(weight=2.0, max_gpus=4),
}
COMPONENTS = "#/components/schemas/"
VIEWS: dict[str, Any] = {}  # the schemas that the routes refer to, by name


def get(router: APIRouter, path: str, answer: Any) -> Callable[[Route], Route]:
    """A route that only reads."""
    return router.get(path, **_describe(answer, status=200))


def act(
    router: APIRouter,
    method: str,
    path: str,
    answer: Any,
    *,
    body: type | None = None,
    content: str = "",
    status: int = 200,
) -> Callable[[Route], Route]:
    """A route that changes something, once for each Idempotency-Key; `answer` None: it has no body."""
    more = _describe(answer, status=204 if answer is None else status)
    extra: dict[str, Any] = {"parameters": [IDEMPOTENCY_KEY]}
    if content:
        binary = {"type": "string", "format": "binary"}
        extra["requestBody"] = {"required": True, "content": {content: {"schema": binary}}}
    if body is not None:
        schema = refer(body, VIEWS, to=COMPONENTS, closed=True)
        example = {"example": to_json(EXAMPLES[body])} if body in EXAMPLES else {}
        extra["requestBody"] = {
            "required": True,
            "content": {"application/json": {"schema": schema, **example}},
        }
    return router.api_route(path, methods=[method], openapi_extra=extra, **more)


IDEMPOTENCY_KEY: Mapping[str, Any] = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "a text of one's own for this act; sent again with the same text, it is not done twice",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"},
}
PROBLEM: dict[str, Any] = {
    "description": "what went wrong",
    "content": {MEDIA_TYPE: {"schema": refer(ProblemView, VIEWS, to=COMPONENTS)}},
}


def raw(
    router: APIRouter, path: str, content: str, *, statuses: Sequence[int] = (200,)
) -> Callable[[Route], Route]:
    """A route that answers with something else than JSON."""
    said: dict[int | str, dict[str, Any]] = {
        status: {"description": "the answer", "content": {content: {}}} for status in statuses
    }
    said |= {"4XX": PROBLEM, "5XX": PROBLEM}
    return router.get(path, response_class=Response, responses=said)


def _describe(answer: Any, *, status: int) -> Mapping[str, Any]:
    """What FastAPI is told of a route's answers."""
    said: dict[str, Any] = {"description": "done" if answer is None else "the answer"}
    if answer is not None:
        said["content"] = {"application/json": {"schema": refer(answer, VIEWS, to=COMPONENTS)}}
    return {
        "response_class": Response,
        "status_code": status,
        "responses": {status: said, "4XX": PROBLEM, "5XX": PROBLEM},
    }
