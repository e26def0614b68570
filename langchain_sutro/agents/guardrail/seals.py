"""`Seals`: how a guardrail recognizes its own decisions, and what the agent has written itself.

Both are kept in the agent's state, into which callers of a graph can write. A seal is a keyed hash,
so that only somebody who has the key can make one that is valid.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import uuid
from typing import TYPE_CHECKING, Any, TypeVar

from langgraph.config import get_config

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from langchain_core.messages import BaseMessage

__all__ = ["Seals"]

_M = TypeVar("_M", bound="BaseMessage")

# In the response metadata of messages, which is not sent to models.
_MARK = "sutro_guardrail"
_DECIDED = ("guardrail", "apply_to", "message_id", "tool_call_id", "action", "decided_by")


class Seals:
    """Seals decisions and marks messages.

    A seal is valid for one guardrail, one thread, and one content.

    Args:
        guardrail: The name of the guardrail.
        secret: Returns what the key is made of; called once, at the first use.
    """

    def __init__(self, guardrail: str, secret: Callable[[], bytes]) -> None:
        self._guardrail = guardrail
        self._secret = secret
        self._key: bytes | None = None

    @property
    def ready(self) -> bool:
        """Whether the key is known, so that it need not be read from a file."""
        return self._key is not None

    def prepare(self) -> None:
        """Make the key."""
        if self._key is None:
            self._key = hashlib.sha256(b"langchain-sutro guardrail\0" + self._secret()).digest()

    def of_decision(self, decision: Mapping[str, Any], digest: str) -> str:
        """The seal of a decision.

        Args:
            decision: The decision; its `sha256` does not matter.
            digest: The hash of the content that it is about.
        """
        return self._hash("decision", digest, *(decision.get(name) for name in _DECIDED))

    def proves(self, decision: Mapping[str, Any], digest: str) -> bool:
        """Whether this guardrail has made the decision about this content, in this thread."""
        given = decision.get("sha256")
        return isinstance(given, str) and _equal(given, self.of_decision(decision, digest))

    def marked(self, message: _M, digest: str, purpose: str = "own") -> _M:
        """The message with a mark, and with an id.

        Args:
            message: Written by the agent itself.
            digest: The hash of its content.
            purpose: What the mark says.
        """
        message_id = message.id or str(uuid.uuid4())
        marks = {**self._marks(message), self._guardrail: self._hash(purpose, digest, message_id)}
        metadata = {**message.response_metadata, _MARK: marks}
        return message.model_copy(update={"id": message_id, "response_metadata": metadata})

    def has_mark(self, message: BaseMessage, digest: str, purpose: str = "own") -> bool:
        """Whether the message has a valid mark.

        Args:
            message: Any message.
            digest: The hash of its content.
            purpose: What the mark says.
        """
        given = self._marks(message).get(self._guardrail)
        return isinstance(given, str) and _equal(given, self._hash(purpose, digest, message.id))

    @staticmethod
    def _marks(message: BaseMessage) -> dict[str, Any]:
        marks = message.response_metadata.get(_MARK)
        return marks if isinstance(marks, dict) else {}

    def _hash(self, *facts: Any) -> str:
        self.prepare()
        text = json.dumps([self._guardrail, _thread(), *facts], default=str)
        return hmac.new(self._key or b"", text.encode(), hashlib.sha256).hexdigest()


def _equal(given: str, expected: str) -> bool:
    return hmac.compare_digest(given.encode(errors="replace"), expected.encode())


def _thread() -> Any:
    try:
        return get_config().get("configurable", {}).get("thread_id")
    except RuntimeError:  # outside of a graph
        return None
