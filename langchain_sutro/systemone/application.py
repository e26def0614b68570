"""The ASGI application of the endpoint."""

from __future__ import annotations

import hashlib
import hmac
import logging
import time
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, Depends, FastAPI, Request, Security
from fastapi.responses import JSONResponse
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from starlette.exceptions import HTTPException

from langchain_sutro._core.exports import exported_from
from langchain_sutro.decisions import SutroDecisionModel
from langchain_sutro.errors import SutroConfigurationError, SutroRateLimitError
from langchain_sutro.systemone.bodies import Answers, Failure, Invalid, Models
from langchain_sutro.systemone.bodies import Request as Body
from langchain_sutro.systemone.in_flight import InFlight
from langchain_sutro.systemone.reading import read_body, read_request
from langchain_sutro.systemone.refusals import Refusal, refusal_of

if TYPE_CHECKING:
    from langchain_core.decisions import BaseDecisionModel, ClassifierResponse
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from langchain_sutro.systemone.bodies import Request as Asked

__all__ = ["app"]

_log = logging.getLogger(__name__)

# Clients send it unless they are told another name: the first model answers to it.
_ALIAS = "jev-latest"
_REQUEST_ID = "x-typesafe-request-id"
_ERRORS = {
    401: "No key, or another one",
    404: "No such model, or a Function that is not published",
    409: "A Function that cannot run",
    413: "The body is too large",
    429: "Too many requests; see Retry-After",
    502: "The Function's service failed",
    504: "The Function took too long",
}

_bearer = HTTPBearer(auto_error=False, description="The key of this endpoint.")


@exported_from("langchain_sutro.systemone")
def app(
    models: Mapping[str, BaseDecisionModel] | BaseDecisionModel,
    *,
    key: str | None = None,
    descriptions: Mapping[str, Mapping[str, str]] | None = None,
    max_body_bytes: int = 4 * 2**20,
    max_requests: int = 64,
) -> FastAPI:
    """Make the endpoint: `POST /v1/systemone` and `GET /v1/models`, also without `/v1`.

    A client that goes away is not waited for, but the answer is: it is paid for, and an equal
    request within a minute receives it. A Function's calls are not repeated here, unless its
    `max_retries` was set: 429 is passed on with `Retry-After`, and clients repeat it themselves.

    Args:
        models: The decision models by the names that clients ask for, or one, which has its own.
            The first one also answers to `jev-latest`.
        key: What clients must send as `Authorization: Bearer <key>`; None accepts every client.
        descriptions: `description` and `release_date` (YYYY-MM-DD) of models, for `GET /v1/models`.
        max_body_bytes: Maximum size of a request.
        max_requests: How many requests are answered at once; more are refused with 429.

    Returns:
        The application, for an ASGI server.

    Raises:
        SutroConfigurationError: There is no model, the key is empty, or a limit is below 1.
    """
    named = dict(models) if isinstance(models, Mapping) else {models.model: models}
    if not named:
        raise SutroConfigurationError("The endpoint needs a decision model.")
    if key is not None and not key.strip():
        raise SutroConfigurationError("The key of the endpoint is empty.")
    for name, limit in (("max_body_bytes", max_body_bytes), ("max_requests", max_requests)):
        if limit < 1:
            raise SutroConfigurationError(f"{name} must be at least 1, not {limit}.")
    endpoint = _Endpoint(
        {name: _passing_on(model) for name, model in named.items()},
        key,
        descriptions or {},
        max_body_bytes,
        InFlight(max_requests),
    )
    application = FastAPI(
        title="System One over Sutro Functions",
        description="Typed questions about a state, answered with probabilities by Functions.",
        docs_url=None,
        redoc_url=None,
    )
    for prefix in ("/v1", ""):
        application.include_router(_routes(endpoint), prefix=prefix)
    application.add_middleware(_Identified)
    application.add_exception_handler(Refusal, _refused)
    application.add_exception_handler(HTTPException, _not_routed)
    return application


def _passing_on(model: BaseDecisionModel) -> BaseDecisionModel:
    """The model with Functions that pass 429 on at once; any other decision model as it is."""
    return model.without_retries() if isinstance(model, SutroDecisionModel) else model


class _Endpoint:
    """What the routes share."""

    def __init__(
        self,
        models: dict[str, BaseDecisionModel],
        key: str | None,
        descriptions: Mapping[str, Mapping[str, str]],
        max_body_bytes: int,
        in_flight: InFlight,
    ) -> None:
        self._models = models
        self._key = key
        self._descriptions = descriptions
        self._max_body_bytes = max_body_bytes
        self._in_flight = in_flight
        self._started = datetime.now(UTC).date().isoformat()
        # When the service takes calls again, by the name of the model.
        self._not_before: dict[str, float] = {}

    def authenticate(
        self,
        credentials: HTTPAuthorizationCredentials | None = Security(_bearer),  # noqa: B008 - FastAPI's
    ) -> None:
        """Check the key of a request.

        Raises:
            Refusal: 401.
        """
        if self._key is None:
            return
        given = "" if credentials is None else credentials.credentials
        # Text that is not ASCII cannot be compared in constant time.
        if not hmac.compare_digest(given.encode(), self._key.encode()):
            message = "The Authorization header must be `Bearer <key of this endpoint>`."
            raise Refusal(401, "authentication_error", message)

    def listed(self) -> list[dict[str, str]]:
        """The models with description and release date."""
        said = self._descriptions
        return [
            {
                "name": name,
                "description": said.get(name, {}).get("description") or "",
                "release_date": said.get(name, {}).get("release_date") or self._started,
            }
            for name in self._models
        ]

    async def answer(self, http: Request) -> dict[str, Any]:
        """Answer a request.

        Raises:
            Refusal: It cannot be answered.
        """
        body = await read_body(http, self._max_body_bytes)
        asked = read_request(body)
        model = self._model(asked.model)
        key = hashlib.sha256(body).digest()
        request_id: str = http.state.request_id
        self._check_pause(model.model)
        try:
            response = await self._in_flight.answer(
                key, lambda: _ask(model, asked, request_id), http.is_disconnected
            )
        except Refusal:
            raise
        except Exception as error:  # noqa: BLE001 - a model may raise anything
            if isinstance(error, SutroRateLimitError):
                wait = 1.0 if error.retry_after is None else error.retry_after
                self._not_before[model.model] = time.monotonic() + wait
            raise _logged(error, request_id) from None
        usage = response.usage or {"input_tokens": 0, "output_tokens": 0}
        return {
            "model": response.model,
            "answers": response.model_dump(mode="json")["answers"],
            "usage": {name: usage[name] for name in ("input_tokens", "output_tokens")},
        }

    def _check_pause(self, model: str) -> None:
        """Refuse what the service would refuse.

        Raises:
            Refusal: 429, as long as the service asked to wait.
        """
        wait = self._not_before.get(model, 0.0) - time.monotonic()
        if wait > 0:
            message = "The Functions' service takes no more calls now."
            raise Refusal(429, "rate_limit_error", message, retry_after=wait)

    def _model(self, name: str) -> BaseDecisionModel:
        if name == _ALIAS and name not in self._models:
            return next(iter(self._models.values()))
        if name not in self._models:
            served = ", ".join(self._models)
            message = f"This endpoint has no such model. It serves {served}."
            raise Refusal(404, "not_found_error", message)
        return self._models[name]


async def _ask(model: BaseDecisionModel, asked: Asked, request_id: str) -> ClassifierResponse:
    questions: Any = {name: one.question() for name, one in asked.questions.items()}
    return await model.ainvoke(
        {"state": asked.state, "questions": questions},
        {"metadata": {"systemone_request_id": request_id}},
    )


def _logged(error: Exception, request_id: str) -> Refusal:
    """The refusal for an error; what is not the client's fault is logged by its type alone."""
    refusal = refusal_of(error)
    if refusal.status >= 500:
        _log.warning("Request %s failed with %d: %s", request_id, refusal.status, type(error))
    return refusal


def _routes(endpoint: _Endpoint) -> APIRouter:
    router = APIRouter(dependencies=[Depends(endpoint.authenticate)])
    failures: dict[int | str, dict[str, Any]] = {
        status: {"model": Failure, "description": meaning} for status, meaning in _ERRORS.items()
    }
    failures[422] = {"model": Invalid, "description": "The request does not fit"}

    @router.post(
        "/systemone",
        response_model=Answers,
        responses=failures,
        openapi_extra={
            "requestBody": {
                "required": True,
                "content": {"application/json": {"schema": _schema()}},
            }
        },
    )
    async def systemone(http: Request) -> Any:
        """Answer questions about a state."""
        return JSONResponse(await endpoint.answer(http))

    @router.get("/models", response_model=Models, responses={401: failures[401]})
    async def models() -> dict[str, Any]:
        """The decision models that are served."""
        return {"models": endpoint.listed()}

    return router


def _schema() -> dict[str, Any]:
    """The schema of a request, whose parts are within it."""
    schema = Body.model_json_schema()
    parts = schema.pop("$defs")

    def resolved(value: Any) -> Any:
        if isinstance(value, dict):
            if "$ref" in value:
                return resolved(parts[value["$ref"].rpartition("/")[2]])
            value.pop("discriminator", None)
            return {name: resolved(part) for name, part in value.items()}
        return [resolved(part) for part in value] if isinstance(value, list) else value

    found: dict[str, Any] = resolved(schema)
    return found


class _Identified:
    """ASGI middleware that gives each request an id, which its answer and its run carry."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = f"req_{uuid.uuid4().hex}"
        scope.setdefault("state", {})["request_id"] = request_id

        async def send_with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [
                    *message.get("headers", ()),
                    (_REQUEST_ID.encode(), request_id.encode()),
                ]
            await send(message)

        await self._app(scope, receive, send_with_id)


async def _refused(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, Refusal)  # noqa: S101 - registered for nothing else
    return JSONResponse({"detail": error.detail}, error.status, headers=error.headers)


async def _not_routed(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for nothing else
    kind = {404: "not_found_error", 405: "method_not_allowed"}.get(error.status_code, "error")
    detail = {"error_type": kind, "message": str(error.detail)}
    return JSONResponse({"detail": detail}, error.status_code, headers=error.headers)
