"""The application: all endpoints of both generations on one origin."""

from __future__ import annotations

from contextlib import asynccontextmanager
from functools import cache
from typing import TYPE_CHECKING, Any, cast

import anyio.to_thread
from fastapi import APIRouter, Depends, FastAPI, Request, Security
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from fastapi.security import APIKeyHeader
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from langchain_sutro.local.http.bodies import Authenticated, PublishedFunctions
from langchain_sutro.local.http.console_routes import console_data, console_page
from langchain_sutro.local.http.job_routes import job_routes
from langchain_sutro.local.http.requests import errors
from langchain_sutro.local.http.result_routes import result_routes, storage_routes
from langchain_sutro.local.http.run_routes import deployment_run, hosted_run
from langchain_sutro.local.http.service import Service, ServingService
from langchain_sutro.local.refusals import Refusal

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.types import ASGIApp, Receive, Scope, Send

__all__ = ["create_app"]

# A Function that waits, for a model somewhere, must not keep others from being called.
_THREADS = 256

_header = APIKeyHeader(
    name="Authorization", scheme_name="Key", description="`Key <api key>`", auto_error=False
)


def create_app(service: Service) -> ASGIApp:
    """Make the application of a deployment."""
    app = _routes()

    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        service.serve()
        await app(scope, receive, send)

    return serve


@cache
def _routes() -> FastAPI:
    """The routes for any deployment: building them takes longer than all else of a start."""
    service = cast("Service", ServingService())

    def authenticated(authorization: str | None = Security(_header)) -> None:
        if not service.keys.accepts(authorization):
            raise Refusal(401, service.keys.refusal(authorization))

    locked = [Depends(authenticated)]
    app = FastAPI(
        title="Sutro, local deployment",
        description="Generation D below `/v1`, generation H without a prefix.",
        lifespan=_lifespan,
        docs_url=None,
        redoc_url=None,
    )
    for prefix in ("/v1", ""):
        app.include_router(job_routes(service), prefix=prefix, dependencies=locked)
        app.include_router(result_routes(service), prefix=prefix, dependencies=locked)
        app.include_router(_try_authentication(), prefix=prefix, dependencies=locked)
    app.include_router(deployment_run(service), prefix="/v1", dependencies=locked)
    app.include_router(_deployment_only(service), prefix="/v1", dependencies=locked)
    app.include_router(console_data(service), prefix="/v1", dependencies=locked)
    app.include_router(hosted_run(service), dependencies=locked)
    app.include_router(console_page())
    app.include_router(storage_routes(service))
    app.add_exception_handler(Refusal, _refused)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _not_routed)
    app.add_exception_handler(ClientDisconnect, _gone)
    return app


@asynccontextmanager
async def _lifespan(_: FastAPI) -> AsyncIterator[None]:
    anyio.to_thread.current_default_thread_limiter().total_tokens = _THREADS
    yield


def _try_authentication() -> APIRouter:
    router = APIRouter()

    @router.get(
        "/try-authentication",
        response_model=Authenticated,
        response_model_exclude_unset=True,
        responses=errors(401),
    )
    async def try_authentication() -> dict[str, Any]:
        """Whether Batch takes the key."""
        return {"authenticated": True}

    return router


def _deployment_only(service: Service) -> APIRouter:
    router = APIRouter()

    @router.get("/auth/check", response_model=Authenticated, responses=errors(401))
    async def check() -> dict[str, Any]:
        """Whether the deployment takes the key."""
        return {"authenticated": True, "principal": {"type": "api_key", "name": "local"}}

    @router.get("/local/functions", response_model=PublishedFunctions, responses=errors(401))
    async def functions() -> dict[str, Any]:
        """What is published, with its schemas. No other deployment has this endpoint."""
        return {"functions": [function.public() for function in service.registry.all()]}

    return router


async def _refused(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, Refusal)  # noqa: S101 - registered for nothing else
    body = {"detail": error.detail}
    if error.code is not None:
        body["code"] = error.code
    if (request_id := getattr(request.state, "request_id", None)) is not None:
        body["request_id"] = request_id
    return JSONResponse(body, error.status)


async def _invalid(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)  # noqa: S101 - registered for nothing else
    # Without the values, which may have no JSON form.
    detail = [{key: one[key] for key in ("loc", "msg", "type")} for one in error.errors()]
    return JSONResponse({"detail": detail}, 422)


async def _gone(_: Request, __: Exception) -> Response:
    """A client went away while it was sending: nobody hears the answer, and nothing is wrong."""
    return Response(status_code=499)


async def _not_routed(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for nothing else
    return JSONResponse({"detail": error.detail}, error.status_code, headers=error.headers)
