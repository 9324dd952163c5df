"""The API with the pages: all that a browser and a program can ask."""

from typing import Any

from fastapi import FastAPI, Request
from starlette.exceptions import HTTPException

from service.api.app import make_app
from service.errors import NotFound
from service.settings import Settings
from service.store.transaction import Store
from service.web import (
    bulk_acts,
    compare_files,
    dataset_acts,
    gpu_acts,
    job_acts,
    job_chart,
    live,
    new_acts,
    pages,
    people_acts,
    predicting,
    service_page,
    sign_in,
    static,
    study_acts,
    study_files,
)
from service.web.answer import show_problem
from service.web.live import Watches


def make_site(store: Store, settings: Settings) -> FastAPI:
    """The app over a store."""
    app = make_app(store, settings)
    app.state.watches = Watches(app.state.hub)
    for part in (
        static,
        sign_in,
        live,
        bulk_acts,
        compare_files,
        dataset_acts,
        gpu_acts,
        predicting,  # before the acts of jobs, whose addresses it would match
        job_acts,
        job_chart,
        new_acts,
        people_acts,
        service_page,
        study_acts,
        study_files,
        pages,
    ):
        app.include_router(part.router)
    _say_what_is_not_there(app)
    return app


def _say_what_is_not_there(app: FastAPI) -> None:
    """Answer a person with a page where a program gets a problem."""
    refuse = app.exception_handlers[HTTPException]

    @app.exception_handler(HTTPException)
    def refused(request: Request, error: Exception) -> Any:
        assert isinstance(error, HTTPException)
        if error.status_code == NotFound.http_status and "text/html" in request.headers.get("accept", ""):
            return show_problem(request, NotFound(f"There is no page at {request.url.path[:200]}"))
        return refuse(request, error)
