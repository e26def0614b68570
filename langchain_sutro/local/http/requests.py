"""Reading what endpoints are sent, and describing it for OpenAPI."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import orjson
from pydantic import BaseModel, ValidationError

from langchain_sutro.local.http.bodies import ErrorBody
from langchain_sutro.local.refusals import Refusal

if TYPE_CHECKING:
    from fastapi import Request

__all__ = ["documented", "errors", "read_json", "read_limited", "validated"]

_Model = TypeVar("_Model", bound=BaseModel)

_MEANINGS = {
    400: "The request makes no sense",
    401: "No key, or not the key of this deployment",
    403: "The signature is wrong or has expired, or a page of another origin asks",
    404: "No such Function, job or object",
    409: "The Function or job is not in a state for this",
    413: "The body is too large",
    421: "The host name is not one of this machine",
    422: "The body or a parameter does not fit",
    502: "The Function's own code failed",
    504: "The Function took too long",
}


async def read_limited(request: Request, limit: int) -> bytes:
    """The body, if it is not too large.

    Raises:
        Refusal: 413.
    """
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > limit:
            raise Refusal(413, f"The body is larger than {limit} bytes.")
    return bytes(body)


def read_json(content: bytes) -> dict[str, Any]:
    """A body as a JSON object.

    Raises:
        Refusal: 422.
    """
    try:
        value = orjson.loads(content)
    except ValueError as error:
        raise Refusal(422, f"The body is not JSON: {error}.", "invalid_input") from None
    if not isinstance(value, dict):
        raise Refusal(422, "The body is not a JSON object.", "invalid_input")
    return value


def validated(model: type[_Model], fields: dict[str, Any]) -> _Model:
    """Fields as their model.

    Raises:
        Refusal: 422; it names the fields.
    """
    try:
        return model.model_validate(fields)
    except ValidationError as error:
        wrong = [f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()]
        raise Refusal(422, "; ".join(wrong), "invalid_input") from None


def errors(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Document the errors of an endpoint."""
    return {status: {"model": ErrorBody, "description": _MEANINGS[status]} for status in statuses}


def documented(
    model: type[BaseModel], condition: dict[str, Any] | None = None, **more: dict[str, Any]
) -> dict[str, Any]:
    """Document the body of an endpoint that reads it itself.

    Args:
        model: What is validated.
        condition: What the body must match besides.
        **more: Required fields that are not the model's.
    """
    schema = model.model_json_schema()
    schema["properties"].update(more)
    schema["required"] = [*schema.get("required", []), *more]
    schema |= condition or {}
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}
