"""What a trace may show: no secrets, prompts, images or documents, and only JSON metadata."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date, time
from decimal import Decimal
from enum import Enum
from functools import lru_cache
from math import isfinite
from types import NoneType
from typing import Any
from uuid import UUID

from pydantic import BaseModel

from langchain_sutro._core.redaction import has_secret, mask_secrets
from langchain_sutro._core.results import FunctionResult
from langchain_sutro._core.rows import MASK, SECRETS

__all__ = [
    "is_secret",
    "is_secret_name",
    "is_secret_value",
    "json_safe",
    "run_inputs",
    "traced_inputs",
    "traced_outputs",
    "without_secrets",
]

# The words of a name that make its value a secret. A token is one unless it is counted or special.
_SECRET_WORD = re.compile(
    r"passwords?|passwd|passphrases?|passcode|pwd|secrets?|credentials?|creds|cookies?|"
    r"authori[sz]ation|bearer|dsn|jwt|apikeys?|t?otp"
)
_SECRET_PAIRS = re.compile(
    r"(?:api|private|access|account|signing|encryption|master|service|subscription|license|ssh|"
    r"function) keys?|"
    r"(?:connection|conn|connect) (?:string|str|uri|url)"
)
_COUNTED = re.compile(
    r"max|min|num|no?|per|stop|eos|bos|pad|unk|mask|sep|cls|special|first|last|next|prev|previous|"
    r"new|total|input|output|prompt|completion|image|start|end|begin"
)
# Words that are written as one.
_RUN_TOGETHER = re.compile(
    r"(?i)apikeys?(?![a-z])|(?:access|private|secret|account|signing)key|clientsecret|"
    r"(?:access|auth|refresh|session|bearer|api)token|connectionstring|passphrase|passw(?:or)?d"
)
_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
# In a URL, each parameter of the query is looked at by itself: not every query is a secret.
_PARAMETERS = re.compile(r"[?&#;]")
# What is looked at in one go; secrets that cross its end lie in the next part too.
_PART, _OVERLAP = 2000, 500
_DEPTH, _ITEMS, _TEXT = 4, 64, 1000
# Real metadata is never nested this deeply, but it may contain itself.
_DEEPEST = 32
_PLAIN = frozenset({str, int, float, bool, NoneType})
# Beside these, `data` is an image or a document in the form of an older or of a provider's message.
_MEDIA_KEYS = frozenset({"mime_type", "media_type", "source_type", "format"})
# Mapping last: its instance check is slow.
_HOLDING = (dict, list, tuple, set, frozenset, Mapping)


@lru_cache(maxsize=2048)
def is_secret_name(name: str) -> bool:
    """Whether a value of this name is likely a secret.

    Args:
        name: In any spelling, such as `db_password`, `clientSecret` or `X-Api-Key`.
    """
    words = [word.lower() for word in _WORDS.findall(name)]
    if any(map(_SECRET_WORD.fullmatch, words)) or _SECRET_PAIRS.search(" ".join(words)):
        return True
    if words[-1:] == ["token"] and not (len(words) > 1 and _COUNTED.fullmatch(words[-2])):
        return True
    return _RUN_TOGETHER.search(name) is not None


def is_secret_value(value: Any) -> bool:
    """Whether a text contains a key, a token, a password in a URL, or a presigned URL."""
    return isinstance(value, str) and _has_secret(value)


@lru_cache(maxsize=4096)
def _has_secret(text: str) -> bool:
    plain = _PARAMETERS.sub(" ", text)
    starts = range(0, max(len(plain) - _OVERLAP, 1), _PART - _OVERLAP)
    return any(has_secret(plain[start : start + _PART]) for start in starts)


def without_secrets(value: Any, depth: int = 0) -> Any:
    """A value without anything in its mappings and lists that looks secret, at any depth."""
    if type(value) in _PLAIN or not isinstance(value, _HOLDING):
        return value
    if depth > _DEEPEST:
        return f"<{type(value).__name__}>"
    if isinstance(value, dict | Mapping):
        return {
            name: without_secrets(item, depth + 1)
            for name, item in value.items()
            if not is_secret(name, item)
        }
    return [without_secrets(item, depth + 1) for item in value if not is_secret_value(item)]


def is_secret(name: Any, value: Any) -> bool:
    """Whether an entry of a mapping is likely a secret, by its name or by its value."""
    if value is None or isinstance(value, bool):
        return is_secret_value(name)
    return is_secret_name(str(name)) or is_secret_value(name) or is_secret_value(value)


def json_safe(value: Any, depth: int = 0) -> Any:  # noqa: PLR0911 - one line for each type
    """The value as plain JSON, without secrets; other values are replaced by their type's name."""
    if isinstance(value, bool | int) and not isinstance(value, Enum):
        return value
    if isinstance(value, str) and not isinstance(value, Enum):
        return value if len(value) <= _TEXT else value[:_TEXT] + "…"
    if isinstance(value, float):
        return value if isfinite(value) else str(value)
    if isinstance(value, Enum):
        return json_safe(value.value, depth)
    if isinstance(value, UUID | Decimal):
        return str(value)
    if isinstance(value, date | time):
        return value.isoformat()
    if depth < _DEPTH and isinstance(value, Mapping):
        items = list(value.items())[:_ITEMS]
        return {
            str(name): json_safe(item, depth + 1)
            for name, item in items
            if not is_secret(name, item)
        }
    if depth < _DEPTH and isinstance(value, list | tuple | set | frozenset):
        items = list(value)[:_ITEMS]
        return [json_safe(item, depth + 1) for item in items if not is_secret_value(item)]
    return None if value is None else f"<{type(value).__name__}>"


def traced_inputs(value: Any, depth: int = 0) -> Any:
    """An input as a trace may show it: models as dicts, without secrets, images and documents."""
    if type(value) in _PLAIN:
        return _without_media(value)
    if isinstance(value, SECRETS):
        return MASK
    if depth > _DEEPEST and isinstance(value, (BaseModel, *_HOLDING)):
        return f"<{type(value).__name__}>"
    if isinstance(value, BaseModel):
        value = _model_fields(value)
    if isinstance(value, Mapping):
        return _traced_mapping(value, depth)
    if isinstance(value, list | tuple):
        return [traced_inputs(part, depth + 1) for part in value]
    return value


def _traced_mapping(value: Mapping[Any, Any], depth: int) -> Mapping[Any, Any]:
    for name in ("base64", "data"):
        if name in value and (name == "base64" or not _MEDIA_KEYS.isdisjoint(value)):
            return {**value, name: _placeholder(value, value[name])}
    if "url" in value and is_secret_value(value["url"]):
        return {**value, "url": mask_secrets(value["url"])}
    if all(map(_is_shown, value.values())):
        return value
    return {key: traced_inputs(part, depth + 1) for key, part in value.items()}


def _is_shown(value: Any) -> bool:
    kind = type(value)
    return kind in _PLAIN and not (kind is str and value.startswith("data:"))


def _without_media(value: Any) -> Any:
    """A plain value; instead of a data URL, its type and size."""
    if type(value) is not str or not value.startswith("data:"):
        return value
    head, comma, data = value.partition(",")
    mime_type, encoding, _ = head.removeprefix("data:").partition(";base64")
    return _placeholder({"mime_type": mime_type}, data) if comma and encoding else value


def _model_fields(value: BaseModel) -> Any:
    try:
        return value.model_dump(mode="json", by_alias=True, warnings="none")
    except Exception:  # noqa: BLE001 - a user's serializer may raise anything
        return f"<{type(value).__name__}>"


def run_inputs(value: Any) -> dict[str, Any]:
    """The inputs of a run, which are an object: anything else is put under `input`."""
    shown = traced_inputs(value)
    return shown if isinstance(shown, dict) else {"input": shown}


def _placeholder(asset: Mapping[str, Any], data: Any) -> str:
    """What replaces an image or a document: its type, and its size in kB."""
    kind = next(
        (asset[name] for name in ("mime_type", "media_type", "type") if asset.get(name)), ""
    )
    size = len(data) * 3 // 4000 if isinstance(data, str) else 0
    return f"<{kind or 'asset'}, {size} kB>"


def traced_outputs(payload: Mapping[str, Any]) -> dict[str, Any]:
    """A payload as a trace may show it: without the Function's prompt."""
    return dict(FunctionResult(payload).without_prompt())
