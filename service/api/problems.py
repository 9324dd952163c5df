"""What goes wrong, as problem details (RFC 9457) with the sentences of the command line."""

from collections.abc import Mapping, Sequence
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse

from cnnctl.views.access import ProblemView
from cnnctl.views.codec import to_json
from service.errors import CnnctlError, NotAuthenticated, NotFound, SpecError, TooManyRequests

MEDIA_TYPE = "application/problem+json"
LONGEST_DETAIL = 4000
log = structlog.get_logger()


def describe_problem(error: CnnctlError, *, field: str = "") -> ProblemView:
    """What went wrong, as clients get it."""
    return ProblemView(
        type=type(error).problem_type(),
        title=(type(error).__doc__ or "").partition(".")[0],
        status=error.http_status,
        detail=str(error)[:LONGEST_DETAIL],
        exit_code=error.exit_code,
        field=field,
    )


def answer_problem(error: CnnctlError, *, field: str = "") -> JSONResponse:
    """The answer that says what went wrong."""
    headers = {}
    if isinstance(error, NotAuthenticated):
        headers["WWW-Authenticate"] = "Bearer"
    if isinstance(error, TooManyRequests):
        headers["Retry-After"] = "1"
    return JSONResponse(to_json(describe_problem(error, field=field)), error.http_status, headers, MEDIA_TYPE)


def add_handlers(app: FastAPI) -> None:
    """Let an app answer every error with a problem."""

    @app.exception_handler(CnnctlError)
    def known(_: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, CnnctlError)
        return answer_problem(error)

    @app.exception_handler(RequestValidationError)
    def invalid(_: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, RequestValidationError)
        return explain_fields(error.errors())

    @app.exception_handler(HTTPException)
    def refused(request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, HTTPException)
        if error.status_code == NotFound.http_status:
            return answer_problem(
                NotFound(f"There is nothing at {request.url.path}. See: /api/v1/openapi.json")
            )
        problem = CnnctlError(str(error.detail))
        problem.http_status = error.status_code
        answer = answer_problem(problem)
        answer.headers.update(error.headers or {})
        return answer

    @app.exception_handler(Exception)
    def unknown(request: Request, error: Exception) -> JSONResponse:
        log.error("request failed", method=request.method, path=request.url.path, exc_info=error)
        return answer_problem(CnnctlError(f"The service failed ({type(error).__name__}). Its log says more"))


def explain_fields(errors: Sequence[Mapping[str, Any]]) -> JSONResponse:
    """The answer to a request of which a field is not what it must be; the first one is named."""
    first = errors[0]
    field = ".".join(str(word) for word in first["loc"] if word not in ("body", "query", "path"))
    return answer_problem(SpecError(f"{field or 'the request'}: {first['msg']}"), field=field)
