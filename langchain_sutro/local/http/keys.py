"""The deployment's key and signing secret, and what they sign."""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
import time
from typing import TYPE_CHECKING
from urllib.parse import quote, urlencode

import orjson

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Keys"]


class Keys:
    """An API key, and a secret to sign storage URLs with.

    Args:
        path: File that they persist in; it is made, for its owner only, if missing.
        api_key: Used instead of the key in the file.
    """

    def __init__(self, path: Path, api_key: str | None = None) -> None:
        if not path.exists():
            fresh = {"api_key": f"sk_local_{secrets.token_hex(16)}", "signing": secrets.token_hex()}
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(orjson.dumps(fresh))
        kept = orjson.loads(path.read_bytes())
        self.api_key: str = api_key or kept["api_key"]
        self._signing: bytes = kept["signing"].encode()

    def accepts(self, authorization: str | None) -> bool:
        """Whether an `Authorization` header carries the key."""
        expected = f"Key {self.api_key}".encode()
        # A header is bytes; comparing strings would fail for what is not ASCII.
        return hmac.compare_digest((authorization or "").encode("latin-1", "replace"), expected)

    def refusal(self, authorization: str | None) -> str:
        """Why an `Authorization` header is not accepted, without what it contains."""
        scheme, _, key = (authorization or "").strip().partition(" ")
        if not authorization:
            return "The Authorization header is missing; it must be `Key <api key>`."
        if scheme != "Key" or not key.strip():
            return "The Authorization header must be `Key <api key>`."
        return "The API key is not the key of this deployment."

    def presign(self, origin: str, path: str, method: str, expires_in: int) -> str:
        """A URL that is good for one method and so many seconds."""
        expires = int(time.time()) + expires_in
        query = {"expires": expires, "signature": self._sign(method, path, expires)}
        return f"{origin}{quote(path)}?{urlencode(query)}"

    def verify(self, path: str, method: str, expires: int, signature: str) -> bool:
        """Whether a URL was presigned for this, and has not expired."""
        expected = self._sign(method, path, expires).encode()
        return hmac.compare_digest(signature.encode(), expected) and time.time() < expires

    def _sign(self, method: str, path: str, expires: int) -> str:
        message = f"{method}\n{path}\n{expires}".encode()
        return hmac.new(self._signing, message, hashlib.sha256).hexdigest()
