"""Which deployment, which generation of its HTTP API, which key.

Explicit values come first, then `SUTRO_API_URL` and `SUTRO_API_KEY`, then the login file
`~/.sutro/config.json`. A key is never paired with a URL that it was not issued for, so the two
are taken from one place unless both were given.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args
from urllib.parse import SplitResult, unquote

import httpx
import orjson
from pydantic import SecretStr

from langchain_sutro._core.exports import exported_from
from langchain_sutro._core.service.urls import is_loopback, split_url
from langchain_sutro.errors import SutroConfigurationError

__all__ = ["Generation", "Settings", "check_url", "resolve"]

Generation = Literal["auto", "deployment", "hosted"]

_HOSTED_API = "https://api.sutro.sh"
_HOSTED_HOSTS = ("api.sutro.sh", "serve.sutro.sh")
_RETIRED_HOST = "api.materialized.dev"
_RETIRED_SUFFIX = "--tensor-factory-fastapi-app.modal.run"

_HELP = (
    "Set SUTRO_API_URL and SUTRO_API_KEY, or pass api_url= and api_key=. Without an account, "
    '`python -m langchain_sutro.local` (pip install "langchain-sutro[local]") starts a local '
    "deployment and prints both."
)


@exported_from("langchain_sutro")
@dataclass(frozen=True, slots=True)
class Settings:
    """A resolved pair of deployment and key.

    A pickle of it has no key.

    Attributes:
        generation: Which of the service's two HTTP APIs is spoken.
        batch_url: Base of the endpoints for jobs, without a trailing slash.
        run_url: Base of the real-time endpoint, without a trailing slash.
        api_key: Sent as `Authorization: Key …`, to these two origins only.
    """

    generation: Literal["deployment", "hosted"]
    batch_url: str
    run_url: str
    api_key: SecretStr

    def __reduce__(self) -> tuple[Any, ...]:
        # A pickle may leave the process, so the key stays behind.
        return Settings, (self.generation, self.batch_url, self.run_url, SecretStr(""))

    def __copy__(self) -> Settings:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Settings:
        return self


@dataclass(frozen=True, slots=True)
class _Ambient:
    """URL and key from one place, either of which may be missing."""

    url: str | None
    key: str | None


def resolve(
    api_key: SecretStr | str | None = None,
    api_url: str | None = None,
    generation: Generation = "auto",
) -> Settings:
    """Find URL and key, and check that they belong together.

    Args:
        api_key: Explicit key.
        api_url: Explicit URL of the deployment: its origin, with or without `/v1`.
        generation: `"auto"` decides by URL; Sutro's own central hosts are the hosted generation.

    Returns:
        Settings that are complete.

    Raises:
        SutroConfigurationError: URL or key is missing, or the URL may not be used.
    """
    if generation not in get_args(Generation):
        raise SutroConfigurationError(
            f"generation must be one of {', '.join(get_args(Generation))}, not {generation!r}."
        )
    key = api_key.get_secret_value() if isinstance(api_key, SecretStr) else api_key
    url = api_url
    if key is None:
        ambient = _environment() or _login_file(generation)
        if url is None:
            url = ambient.url
            key = ambient.key if url else None
        elif ambient.url and check_url(ambient.url, generation) == check_url(url, generation):
            key = ambient.key
    elif url is None:
        # A saved URL is never borrowed for a key that was not saved with it.
        url = (_environment() or _Ambient(None, None)).url
    if url is None and generation == "hosted":
        url = _HOSTED_API
    if not url:
        raise SutroConfigurationError(f"No deployment to call: its URL is not set. {_HELP}")
    kind, batch_url, run_url = check_url(url, generation)
    if key is None or not key.strip():
        raise SutroConfigurationError(
            f"No API key for {batch_url}. A key found elsewhere is not sent to a URL that it was "
            f"not set together with. {_HELP}"
        )
    if not key.isascii() or not key.strip().isprintable():
        raise SutroConfigurationError("The API key contains invalid characters.")
    return Settings(kind, batch_url, run_url, SecretStr(key.strip()))


def check_url(
    url: str, generation: Generation = "auto"
) -> tuple[Literal["deployment", "hosted"], str, str]:
    """Check a deployment's URL and derive the bases of its endpoints.

    Args:
        url: Absolute URL without query, fragment or user information. `http` is for loopback only.
        generation: As for `resolve`.

    Returns:
        Generation, base of the endpoints for jobs, base of the real-time endpoint.

    Raises:
        SutroConfigurationError: The URL cannot be a deployment, or a key must not go there.
    """
    parts = _split(url)
    host = _plain_host(parts)
    origin = f"{parts.scheme}://{parts.netloc}"
    if host == _RETIRED_HOST or host.endswith(("." + _RETIRED_HOST, _RETIRED_SUFFIX)):
        raise SutroConfigurationError(
            f"{host} is a retired address of Sutro. Use the URL of your own deployment."
        )
    central = next((h for h in _HOSTED_HOSTS if host == h or host.endswith("." + h)), None)
    if central and generation == "deployment":
        raise SutroConfigurationError(
            f"{host} is Sutro's central host, not a deployment. Use the URL of your deployment, "
            'or generation="hosted".'
        )
    if central or generation == "hosted":
        if parts.path not in ("", "/"):
            raise SutroConfigurationError(
                f"The hosted API has no path, but the URL {origin} was given one: {parts.path!r}."
            )
        if not central:
            _check_callable(origin)
            return "hosted", origin, origin
        stem = host.removesuffix(central)
        return "hosted", f"https://{stem}api.sutro.sh", f"https://{stem}serve.sutro.sh"
    if parts.path not in ("", "/", "/v1", "/v1/"):
        raise SutroConfigurationError(
            f"The path of a deployment's URL is empty or /v1, not {parts.path!r}: use {origin}."
        )
    _check_callable(origin)
    return "deployment", f"{origin}/v1", f"{origin}/v1"


def _split(url: str) -> SplitResult:
    parts = split_url(url, "The deployment's URL", SutroConfigurationError)
    if parts.query or parts.fragment or "?" in url or "#" in url:
        raise SutroConfigurationError(
            "The deployment's URL must have no query or fragment: only scheme, host and port."
        )
    return parts


def _plain_host(parts: SplitResult) -> str:
    """The host as a name server would see it, so that no spelling slips past the checks."""
    host = unquote(parts.hostname or "").rstrip(".").lower()
    try:
        # Also finds labels that are empty or too long.
        named = host if ":" in host else host.encode("idna").decode()
    except UnicodeError:
        raise _no_name() from None
    host = named
    if parts.scheme == "http" and not is_loopback(parts.hostname or ""):
        raise SutroConfigurationError(
            f"The deployment's URL must use https, since the key is sent to it; http is for "
            f"localhost and loopback addresses only, not for {host}."
        )
    return host


def _check_callable(origin: str) -> None:
    """Find what the HTTP library cannot call here, rather than at the first call."""
    try:
        httpx.URL(origin).host  # noqa: B018
    except (ValueError, httpx.InvalidURL):
        raise _no_name() from None


def _no_name() -> SutroConfigurationError:
    return SutroConfigurationError("The host of the deployment's URL is not a name.")


def _environment() -> _Ambient | None:
    url, key = os.environ.get("SUTRO_API_URL"), os.environ.get("SUTRO_API_KEY")
    if url is None and key is None:
        return None
    return _Ambient(url or None, key or None)


def _login_file(generation: Generation) -> _Ambient:
    path = Path.home() / ".sutro" / "config.json"
    try:
        content = orjson.loads(path.read_bytes())
    except FileNotFoundError:
        return _Ambient(None, None)
    except (OSError, ValueError) as error:
        raise SutroConfigurationError(
            f"The login file {path} cannot be read ({type(error).__name__}). Fix or delete it."
        ) from None
    if not isinstance(content, dict):
        raise SutroConfigurationError(f"The login file {path} is not a JSON object.")
    url = content.get("api_url") or content.get("base_url")
    key = content.get("api_key")
    if not url and generation == "hosted":
        # Logins of the hosted generation may hold the key alone.
        url = _HOSTED_API
    return _Ambient(
        url if isinstance(url, str) else None,
        key if isinstance(key, str) else None,
    )
