"""Which model answered, as far as the service says."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from langchain_sutro._core.exports import exported_from

__all__ = ["AnsweringModel", "model_warnings"]


@exported_from("langchain_sutro")
@dataclass(frozen=True, slots=True)
class AnsweringModel:
    """The model behind a Function when it answered.

    A Function can be published anew at any time, with another prompt or another model, and answers
    to the same name.

    Attributes:
        name: The model, if the service says.
        source: Where it comes from, such as `"model-sweep"`.
        revision: The revision of the Function.
    """

    name: str | None = None
    source: str | None = None
    revision: str | int | None = None

    @classmethod
    def of(cls, function: Any) -> AnsweringModel | None:
        """What the `function` of an answer or a job says; None if it says nothing.

        Args:
            function: An open object, of which only known keys are read.
        """
        if not isinstance(function, Mapping):
            return None
        name, source, revision = (
            function.get(key) for key in ("model", "model_source", "revision")
        )
        found = cls(
            name if isinstance(name, str) else None,
            source if isinstance(source, str) else None,
            revision if isinstance(revision, str | int) else None,
        )
        return None if found == cls() else found

    def __str__(self) -> str:
        said = [self.name or "unknown model"]
        if self.source is not None:
            said.append(f"from {self.source}")
        if self.revision is not None:
            said.append(f"revision {self.revision}")
        return ", ".join(said)


def model_warnings(models: Iterable[AnsweringModel], what: str) -> tuple[str, ...]:
    """A warning if several models answered.

    Args:
        models: Those that answered, in order; repetitions are no change.
        what: What they answered, such as `"Function 'judge'"`.
    """
    different = list(dict.fromkeys(models))
    if len(different) < 2:
        return ()
    named = "; ".join(map(str, different))
    return (f"{what} was answered by different models or revisions, which may differ: {named}.",)
