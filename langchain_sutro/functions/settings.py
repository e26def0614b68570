"""The settings of the client among those of a Function, listed once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["client_settings", "without_client_settings"]

# The parameter of `SutroClient` for each field of `SutroFunction`; `api_key` is an alias.
_PARAMETERS = {
    "sutro_api_key": "api_key",
    "api_key": "api_key",
    "api_url": "api_url",
    "generation": "generation",
    "timeout": "timeout",
    "max_retries": "max_retries",
    "http_client": "http_client",
    "http_async_client": "http_async_client",
}


def client_settings(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Pick the arguments of a `SutroClient`.

    Args:
        settings: Fields of a `SutroFunction`; others are left out.
    """
    return {_PARAMETERS[name]: value for name, value in settings.items() if name in _PARAMETERS}


def without_client_settings(settings: Mapping[str, Any]) -> dict[str, Any]:
    """All other settings."""
    return {name: value for name, value in settings.items() if name not in _PARAMETERS}
