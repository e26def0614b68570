"""Images and PDFs as values of input fields (generation D, real-time only)."""

from __future__ import annotations

import base64
import binascii
import re
from typing import Any, Literal

from langchain_sutro.local.refusals import InvalidInputError

__all__ = ["AssetKind", "asset_kind", "check_asset"]

AssetKind = Literal["image", "pdf"]

# Deployment documentation, current capabilities.
_LARGEST = {"image": 5 * 1024 * 1024, "pdf": 32 * 1024 * 1024}
_MOST_PAGES = 100
_EXTENSIONS = {
    "image/png": ("png",),
    "image/jpeg": ("jpg", "jpeg"),
    "image/webp": ("webp",),
    "application/pdf": ("pdf",),
}
_PAGE = re.compile(rb"/Type\s*/Page(?![a-zA-Z])")


def asset_kind(schema: dict[str, Any]) -> AssetKind | None:
    """Whether a field takes assets: JSON schema says so with `contentMediaType`."""
    media_type = schema.get("contentMediaType")
    if not isinstance(media_type, str):
        return None
    if media_type.startswith("image/"):
        return "image"
    return "pdf" if media_type == "application/pdf" else None


def check_asset(field: str, value: Any, kind: AssetKind) -> dict[str, Any]:
    """Check an asset value as the deployment does.

    Args:
        field: Name of the field, for the error.
        value: `{"type", "base64", "mime_type", "filename"?}`, `{"url"}` or `{"name"}`.
        kind: What the field takes.

    Returns:
        The value as it came.

    Raises:
        InvalidInputError: It is not an asset of this kind, too large, or not what it says it is.
    """
    if not isinstance(value, dict):
        raise InvalidInputError(f'Field "{field}" takes an {kind} asset, not text.')
    given = value.get("type", kind)
    if given != kind:
        raise InvalidInputError(f'Field "{field}" takes an {kind} asset, not {given!r}.')
    if isinstance(value.get("url"), str):
        if not value["url"].startswith("https://"):
            raise InvalidInputError(f'Field "{field}": the URL of an asset must be https.')
    elif isinstance(value.get("base64"), str):
        _check_inline(field, value, kind)
    elif isinstance(value.get("name"), str):
        raise InvalidInputError(
            f'Field "{field}": no asset {value["name"]!r} is stored in this deployment.'
        )
    else:
        raise InvalidInputError(f'Field "{field}": an asset has "base64", "url" or "name".')
    return value


def _check_inline(field: str, value: dict[str, Any], kind: AssetKind) -> None:
    media_type = value.get("mime_type")
    if media_type == "image/jpg":
        media_type = "image/jpeg"
    if media_type not in _EXTENSIONS or not _is_kind(media_type, kind):
        raise InvalidInputError(f'Field "{field}": {media_type!r} is no MIME type of an {kind}.')
    filename = value.get("filename")
    if isinstance(filename, str) and "." in filename:
        extension = filename.rpartition(".")[2].lower()
        if extension not in _EXTENSIONS[media_type]:
            raise InvalidInputError(f'Field "{field}": {filename!r} is not {media_type}.')
    try:
        content = base64.b64decode(value["base64"], validate=True)
    except (binascii.Error, ValueError):
        raise InvalidInputError(f'Field "{field}": "base64" is not base64.') from None
    if len(content) > _LARGEST[kind]:
        raise InvalidInputError(
            f'Field "{field}": {len(content)} bytes, the limit is {_LARGEST[kind]}.'
        )
    if _sniff(content) != media_type:
        raise InvalidInputError(f'Field "{field}": the content is not {media_type}.')
    if kind == "pdf" and len(_PAGE.findall(content)) > _MOST_PAGES:
        raise InvalidInputError(f'Field "{field}": more than {_MOST_PAGES} pages.')


def _is_kind(media_type: str, kind: AssetKind) -> bool:
    return (media_type == "application/pdf") == (kind == "pdf")


def _sniff(content: bytes) -> str | None:
    if content.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if content.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return "image/webp"
    return "application/pdf" if content.startswith(b"%PDF-") else None
