"""The console: the page at the deployment's root, and the data that only this page asks for."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import FileResponse

from langchain_sutro.local.http.bodies import ConsoleRequests, ConsoleRows
from langchain_sutro.local.http.requests import errors
from langchain_sutro.local.refusals import Refusal

if TYPE_CHECKING:
    from langchain_sutro.local.http.service import Service

__all__ = ["console_data", "console_page"]

_FILES = Path(__file__).parent / "console"
_LARGEST_PAGE = 100
_REQUESTS_SHOWN = 50
_PATHS = ("/", "/console/console.css", "/console/console.js")
_CONSOLE_HEADER = "x-sutro-console"
# The names of this machine; with any other, a page elsewhere has pointed its own name here.
_HOSTS = ("127.0.0.1", "localhost")
_HEADERS = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
        "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "cache-control": "no-store",
}


def _of_this_page(request: Request) -> None:
    """Keep other pages out, whatever name they give this address.

    Raises:
        Refusal: 421 for another host name, 403 for a request by a page of another origin.
    """
    if request.url.hostname not in _HOSTS:
        raise Refusal(421, f"The console is at {' or '.join(_HOSTS)} only.")
    origin = request.headers.get("origin")
    if origin is not None and origin != f"http://{request.headers['host']}":
        raise Refusal(403, "The console answers its own page only.")


def console_page() -> APIRouter:
    """The page and its files, which contain nothing of the deployment and need no key."""
    router = APIRouter(dependencies=[Depends(_of_this_page)], include_in_schema=False)

    @router.get("/")
    def page() -> FileResponse:
        return FileResponse(_FILES / "index.html", headers=_HEADERS)

    @router.get("/console/console.css")
    def style() -> FileResponse:
        return FileResponse(_FILES / "console.css", headers=_HEADERS)

    @router.get("/console/console.js")
    def script() -> FileResponse:
        return FileResponse(_FILES / "console.js", headers=_HEADERS, media_type="text/javascript")

    return router


def console_data(service: Service) -> APIRouter:
    """What the page shows and no other client needs. The key is required."""
    router = APIRouter(prefix="/local", dependencies=[Depends(_of_this_page)])

    @router.get(
        "/jobs/{job_id}/rows",
        response_model=ConsoleRows,
        responses=errors(401, 403, 404, 421, 422),
    )
    def rows(
        job_id: str,
        offset: Annotated[int, Query(ge=0, le=2**53)] = 0,
        limit: Annotated[int, Query(ge=1, le=_LARGEST_PAGE)] = 25,
    ) -> dict[str, Any]:
        """Rows of a job with their outputs, also while it runs."""
        job = service.job(job_id)
        page = service.worker.files(job_id).page(offset, limit)
        return {"rows": page, "total": job.num_rows or 0}

    @router.get("/requests", response_model=ConsoleRequests, responses=errors(401, 403, 421))
    async def requests() -> dict[str, Any]:
        """The latest requests, newest first, without those of the console and without contents."""
        latest = []
        for one in reversed(service.requests):
            if _CONSOLE_HEADER not in one.headers and one.path not in _PATHS:
                latest.append(one)
            if len(latest) == _REQUESTS_SHOWN:
                break
        fields = ("time", "method", "path", "status", "size")
        return {"requests": [{name: getattr(one, name) for name in fields} for one in latest]}

    return router
