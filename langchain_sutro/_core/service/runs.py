"""The endpoints that take one exchange: real-time runs, a job's object, cancellation, quotas."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import orjson

from langchain_sutro._core.service.driver import Operation, Request
from langchain_sutro._core.service.exchange import (
    Repeat,
    Service,
    check_seconds,
    endpoint,
    json_object,
    malformed,
    read,
    send_request,
)
from langchain_sutro.errors import (
    SutroAPIError,
    SutroConfigurationError,
    SutroInputError,
    SutroNotFoundError,
)

__all__ = [
    "cancel_job",
    "check_authentication",
    "check_name",
    "fetch_job",
    "get_quotas",
    "published_functions",
    "run_function",
]

# The service's deadline for a run is 90 s; the official SDK reads for 100 s.
_RUN_SECONDS = 100.0


def check_name(name: str) -> str:
    """Check a Function's name before it goes anywhere.

    Raises:
        SutroInputError: It is empty, unprintable or not a string.
    """
    if not isinstance(name, str) or not name.strip() or not name.isprintable():
        raise SutroInputError(
            f"A Function's name must be a non-empty printable string, not {name!r}."
        )
    return name


def run_function(
    service: Service,
    name: str,
    input_json: bytes,
    *,
    confidence_scoring: bool = True,
    timeout: float | None = None,
) -> Operation[dict[str, Any]]:
    """One real-time run; gives the payload as it was sent.

    Args:
        service: The deployment, and how patiently it is called. A run is billed, so it is
            repeated only as `Repeat.RUN` allows.
        name: The published Function, without namespace and revision.
        input_json: The input, encoded.
        confidence_scoring: Sent only if false, so that older deployments accept the call.
        timeout: Seconds for the call as a whole, before the policy's.
    """
    check_seconds("timeout", timeout)
    policy = service.policy if timeout is None else replace(service.policy, timeout=timeout)
    if service.settings.generation == "deployment":
        url = endpoint(service.settings.run_url, "functions", check_name(name), "run")
        flag = b"" if confidence_scoring else b',"confidence_scoring":false'
        content = b'{"input":' + input_json + flag + b"}"
    else:
        url = endpoint(service.settings.run_url, "functions", "run")
        encoded_name = orjson.dumps(check_name(name))
        content = b'{"name":' + encoded_name + b',"input_data":' + input_json + b"}"
    request = Request("POST", url, content, timeout=policy.limits(_RUN_SECONDS))
    try:
        response = yield from send_request(service, request, Repeat.RUN)
    except SutroNotFoundError as error:
        if error.code is None:
            error.add_note(
                "The service did not say that the Function is unknown, so this deployment may "
                "offer no real-time runs at all. Batch jobs (`batch`, `submit`) may still work."
            )
        raise
    payload = json_object(response)
    if "output" not in payload and "response" not in payload:
        raise malformed('"output" or "response"')
    return payload


def fetch_job(service: Service, job_id: str) -> Operation[dict[str, Any]]:
    """The job object: status, tokens, cost, times, reason of failure."""
    answer = yield from read(service, endpoint(service.settings.batch_url, "jobs", job_id))
    job = answer.get("job")
    if not isinstance(job, dict):
        raise malformed('"job"')
    return job


def cancel_job(service: Service, job_id: str) -> Operation[dict[str, Any]]:
    """Ask for cancellation, which is carried out later; to ask again is harmless."""
    url = endpoint(service.settings.batch_url, "job-cancel", job_id)
    try:
        return (yield from read(service, url))
    except SutroAPIError as error:
        if error.status_code != 405:
            raise
    # The oldest documentation has POST.
    request = Request("POST", url, timeout=service.policy.limits())
    response = yield from send_request(service, request)
    return json_object(response)


def get_quotas(service: Service) -> Operation[list[dict[str, Any]]]:
    """Rows and tokens that a job may have, for each priority."""
    answer = yield from read(service, endpoint(service.settings.batch_url, "get-quotas"))
    quotas = answer.get("quotas")
    if not isinstance(quotas, list) or not all(isinstance(quota, dict) for quota in quotas):
        raise malformed('"quotas"')
    return quotas


def check_authentication(service: Service) -> Operation[dict[str, Any]]:
    """Whether the key is accepted; costs nothing."""
    path = (
        ("auth", "check")
        if service.settings.generation == "deployment"
        else ("try-authentication",)
    )
    return (yield from read(service, endpoint(service.settings.batch_url, *path)))


def published_functions(service: Service) -> Operation[list[dict[str, Any]]]:
    """The Functions of a local deployment: `name`, `input_schema` and description of each.

    Raises:
        SutroConfigurationError: The deployment has no such endpoint, since it is not a local one.
    """
    url = endpoint(service.settings.batch_url, "local", "functions")
    try:
        answer = yield from read(service, url)
    except SutroNotFoundError:
        raise SutroConfigurationError(
            f"{service.settings.batch_url} does not list its Functions, which only a local "
            "deployment does: use a manifest (`python -m langchain_sutro manifest --help`)."
        ) from None
    functions = answer.get("functions")
    if not isinstance(functions, list) or not all(map(_is_described, functions)):
        raise malformed('"functions"')
    return functions


def _is_described(function: Any) -> bool:
    return (
        isinstance(function, dict)
        and isinstance(function.get("name"), str)
        and isinstance(function.get("input_schema"), dict)
    )
