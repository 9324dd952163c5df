"""The API as an ASGI app: routes, problems, OpenAPI."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from cnnctl.connection import PREFIX
from cnnctl.version import find_version
from service.api import curves, datasets, fleet, jobs, live, networks, ops, people, prometheus, studies
from service.api.ask import Service
from service.api.declare import VIEWS
from service.api.guard import Guard
from service.api.live import Hub
from service.api.problems import add_handlers
from service.api.prometheus import Traffic, TrafficCount, make_registry
from service.commands.ops.figures import FigureReader
from service.settings import Settings
from service.store.transaction import Store

MADE = {"/jobs": "job", "/hooks": "hook", "/tokens": "token", "/uploads": "upload", "/studies": "study"}


def make_app(store: Store, settings: Settings) -> FastAPI:
    """The app over a store; it follows the audit while it runs."""
    hub, traffic = Hub(store), Traffic()

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        hub.start()
        yield
        hub.stop()

    app = FastAPI(
        title="cnnctl",
        generate_unique_id_function=lambda route: route.name,
        version=find_version(),
        docs_url=None,
        redoc_url=None,
        openapi_url=f"{PREFIX}/openapi.json",
        lifespan=lifespan,
    )
    app.state.service = Service(store, settings)
    app.state.hub = hub
    app.state.figures = make_registry(FigureReader(store, settings), traffic)
    for part in (jobs, curves, networks, datasets, studies, fleet, people, ops, live):
        app.include_router(part.router, prefix=PREFIX)
    app.include_router(prometheus.router)
    app.openapi = lambda: _describe(app)  # type: ignore[method-assign]
    add_handlers(app)
    app.add_middleware(Guard, hosts=settings.api_host_names)
    app.add_middleware(TrafficCount, traffic=traffic)
    return app


def _describe(app: FastAPI) -> dict[str, Any]:
    """The OpenAPI document, in which views are described as in docs/json-schema.json."""
    if not app.openapi_schema:
        document = get_openapi(title=app.title, version=app.version, routes=app.routes)
        schemas = document.setdefault("components", {}).setdefault("schemas", {})
        for unused in ("HTTPValidationError", "ValidationError"):
            schemas.pop(unused, None)
        schemas.update(VIEWS)
        _add_links(document["paths"])
        app.openapi_schema = document
    return app.openapi_schema


def _add_links(paths: Mapping[str, Any]) -> None:
    """Say which operations take the number of what was just made."""
    for path, name in MADE.items():
        links = paths[f"{PREFIX}{path}"]["post"]["responses"]["201"].setdefault("links", {})
        for other, operations in paths.items():
            if f"{{{name}}}" in other:
                for operation in operations.values():
                    number = {name: f"$response.body#/{name}"}
                    links[operation["operationId"]] = {
                        "operationId": operation["operationId"],
                        "parameters": number,
                    }
