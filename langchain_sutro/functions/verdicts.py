"""How the answers of a judging Function are compared with the verdicts that a user names."""

from __future__ import annotations

import json
from typing import Any

__all__ = ["verdict_key"]


def verdict_key(verdict: Any) -> str:
    """The form in which two verdicts are compared: as text, ignoring case and outer spaces.

    Args:
        verdict: A Function's answer, or what the user wrote; anything but a string as its JSON.
    """
    text = verdict if isinstance(verdict, str) else json.dumps(verdict, default=str)
    return text.strip().casefold()
