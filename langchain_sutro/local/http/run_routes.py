"""Real-time calls of both generations."""

from __future__ import annotations

import asyncio
import logging
import uuid
from typing import TYPE_CHECKING, Any

import orjson
from fastapi import APIRouter, Request
from langsmith import tracing_context

from langchain_sutro.local.http.bodies import HostedAnswer, HostedRun, Run, RunAnswer
from langchain_sutro.local.http.requests import (
    documented,
    errors,
    read_json,
    read_limited,
    validated,
)
from langchain_sutro.local.jobs import cost_usd, count_tokens
from langchain_sutro.local.refusals import InvalidInputError, Refusal

if TYPE_CHECKING:
    from langchain_sutro.local.functions import Answer, LocalFunction
    from langchain_sutro.local.http.service import Service

__all__ = ["deployment_run", "hosted_run"]

logger = logging.getLogger(__name__)

# Deployment API, run endpoint.
_LARGEST_BODY = 32 * 1024 * 1024


def deployment_run(service: Service) -> APIRouter:
    """`POST /functions/{name}/run` of the deployment generation."""
    router = APIRouter()

    @router.post(
        "/functions/{name:path}/run",
        response_model=RunAnswer,
        responses=errors(401, 404, 409, 413, 422, 502, 504),
        openapi_extra=documented(Run),
    )
    async def run(name: str, request: Request) -> dict[str, Any]:
        """Run a Function on one input, which has all of its fields and no other."""
        request.state.request_id = request_id = f"rt_{uuid.uuid4().hex}"
        function = service.function(name)
        body = validated(Run, read_json(await read_limited(request, _LARGEST_BODY)))
        answer = await _answer(service, function, body.input, strict=True)
        input_tokens, output_tokens = _tokens(function, body.input, answer)
        return {
            "request_id": request_id,
            "function": {"name": name, "model": function.model, "model_source": "local"},
            "output": answer.output,
            "confidence": None if body.confidence_scoring is False else answer.confidence,
            "usage": {
                "input_tokens": input_tokens,
                "output_tokens": output_tokens,
                "cost_usd": cost_usd(input_tokens, output_tokens),
            },
        }

    return router


def hosted_run(service: Service) -> APIRouter:
    """`POST /functions/run` of the hosted generation."""
    router = APIRouter()

    @router.post(
        "/functions/run",
        response_model=HostedAnswer,
        response_model_exclude_unset=True,
        responses=errors(401, 404, 409, 413, 422, 502, 504),
        openapi_extra=documented(HostedRun),
    )
    async def run(request: Request) -> dict[str, Any]:
        """Run a Function on one input. Fields that it does not know are ignored."""
        body = validated(HostedRun, read_json(await read_limited(request, _LARGEST_BODY)))
        function = service.function(body.name)
        answer = await _answer(service, function, body.input_data, strict=False)
        input_tokens, output_tokens = _tokens(function, body.input_data, answer)
        primary, value, rationale = function.parts(answer)
        shown: dict[str, Any] = {"response" if primary else "output": value}
        shown |= {"rationale": rationale, "confidence": answer.confidence}
        if primary and answer.predictions is not None:
            shown["predictions"] = answer.predictions
        shown["usage"] = {
            "input_tokens": input_tokens,
            "output_tokens": output_tokens,
            "system_prompt": function.prompt,
        }
        return shown

    return router


async def _answer(service: Service, function: LocalFunction, value: Any, *, strict: bool) -> Answer:
    try:
        row = function.fields.strict(value) if strict else function.fields.lax(value)
    except InvalidInputError as error:
        raise Refusal(422, str(error), "invalid_input") from None
    try:
        # What runs here is the service's side: its Runnables are not the caller's traces.
        with tracing_context(enabled=False):
            return await asyncio.wait_for(function.answer(row), service.deadline)
    except TimeoutError:
        raise Refusal(504, f"No answer within {service.deadline} s.", "timeout") from None
    except Exception as error:
        logger.exception("Function %r failed.", function.name)
        detail = f'The code behind "{function.name}" failed: {type(error).__name__}: {error}'
        raise Refusal(502, detail, "provider_error") from None


def _tokens(function: LocalFunction, value: Any, answer: Answer) -> tuple[int, int]:
    try:
        text = orjson.dumps(value).decode()
    except TypeError:
        # An ignored field may be nested deeper than can be written again.
        text = ""
    return count_tokens(function.prompt) + count_tokens(text), count_tokens(function.text(answer))
