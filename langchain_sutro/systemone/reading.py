"""Reading what a client sends: bounded in size, depth and time."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import orjson
from pydantic import ValidationError
from starlette.requests import ClientDisconnect

from langchain_sutro.systemone.bodies import Request
from langchain_sutro.systemone.refusals import Refusal, invalid

if TYPE_CHECKING:
    from fastapi import Request as HttpRequest

__all__ = ["read_body", "read_request"]

_SECONDS = 30.0
_DEEPEST = 64


async def read_body(http: HttpRequest, limit: int) -> bytes:
    """The body of a request.

    Args:
        http: The request.
        limit: Its maximum size in bytes.

    Raises:
        Refusal: 413, 408, or 400 for a client that goes away.
    """
    body = bytearray()
    try:
        async with asyncio.timeout(_SECONDS):
            async for piece in http.stream():
                body += piece
                if len(body) > limit:
                    message = f"The body is larger than {limit} bytes."
                    raise Refusal(413, "request_too_large", message)
    except TimeoutError:
        raise Refusal(408, "timeout_error", "The body did not arrive in time.") from None
    except ClientDisconnect:
        # Nobody receives it, but there is no error to log either.
        raise Refusal(400, "client_gone", "The client went away.") from None
    return bytes(body)


def read_request(body: bytes) -> Request:
    """Parse and check a body.

    Raises:
        Refusal: 422; it names the fields.
    """
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise invalid((error.pos,), "JSON decode error", "json_invalid") from None
    if _is_deeper(value, _DEEPEST):
        raise invalid((), f"The body is nested more than {_DEEPEST} levels deep.")
    try:
        return Request.model_validate(value)
    except ValidationError as error:
        refusal = invalid((), "")
        refusal.detail = [
            {"loc": ["body", *one["loc"]], "msg": one["msg"], "type": one["type"]}
            for one in error.errors(include_input=False, include_url=False, include_context=False)
        ]
        raise refusal from None


def _is_deeper(value: Any, levels: int) -> bool:
    """Whether a JSON value is nested more deeply; without recursion, which it might exhaust."""
    layer = [value]
    for _ in range(levels):
        layer = [
            part
            for one in layer
            if isinstance(one, dict | list)
            for part in (one.values() if isinstance(one, dict) else one)
        ]
        if not layer:
            return False
    return True
