"""The settings of the client among those of a Function, listed once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import SecretStr

from langchain_sutro.errors import SutroConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic import BaseModel

__all__ = ["client_settings", "without_client_settings", "without_secrets_of_typos"]

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


def without_secrets_of_typos(model: type[BaseModel], values: Any) -> Any:
    """Keyword arguments as pydantic's errors may show them.

    A mistyped name such as `apikey` is an error that contains the value.

    Args:
        model: The class that is made.
        values: Its arguments.

    Raises:
        SutroConfigurationError: The key is not text.
    """
    if not isinstance(values, dict):
        return values
    fields = model.model_fields
    known = fields.keys() | {field.alias for field in fields.values()}
    shown = {name: value if name in known else "(not shown)" for name, value in values.items()}
    for name in ("api_key", "sutro_api_key"):
        key = shown.get(name)
        if isinstance(key, str):
            shown[name] = SecretStr(key)
        elif not isinstance(key, SecretStr | None):
            raise SutroConfigurationError(f"{name} must be a string, not {type(key).__name__}.")
    return shown


def without_client_settings(settings: Mapping[str, Any]) -> dict[str, Any]:
    """All other settings."""
    return {name: value for name, value in settings.items() if name not in _PARAMETERS}
