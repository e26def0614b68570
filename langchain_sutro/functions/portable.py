"""What Runnables with a client have in common: their settings, copies, pickles and dumps."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar, Self

from langchain_core.runnables import RunnableSerializable
from langchain_core.runnables.utils import Input, Output
from pydantic import ConfigDict, model_validator
from pydantic_core import PydanticUndefined

from langchain_sutro.functions.settings import without_secrets_of_typos

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Portable"]


class Portable(RunnableSerializable[Input, Output]):
    """A Runnable whose pickles and dumps carry no key, and whose copies share its clients."""

    model_config = ConfigDict(
        arbitrary_types_allowed=True,
        populate_by_name=True,
        extra="forbid",
        hide_input_in_errors=True,
        protected_namespaces=(),
    )

    # A pickle may leave the process: no key, and nothing that holds sockets or callables.
    _stays_here: ClassVar[tuple[str, ...]] = (
        "sutro_api_key",
        "http_client",
        "http_async_client",
        "trace_context_hook",
    )

    @model_validator(mode="before")
    @classmethod
    def _hide_typos(cls, values: Any) -> Any:
        return without_secrets_of_typos(cls, values)

    @abstractmethod
    def _prepare(self, changed: Mapping[str, Any] | None = None) -> None:
        """Make what is derived from the fields, or from those of them that changed."""

    def __getstate__(self) -> dict[Any, Any]:
        state = super().__getstate__()
        fields = state["__dict__"] | dict.fromkeys(self._stays_here)
        return {**state, "__dict__": fields, "__pydantic_private__": None}

    def __setstate__(self, state: dict[Any, Any]) -> None:
        private = {
            name: attribute.get_default()
            for name, attribute in self.__private_attributes__.items()
            if attribute.default is not PydanticUndefined
        }
        super().__setstate__({**state, "__pydantic_private__": private})
        self._prepare()

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """Return a copy with other values for some fields.

        Args:
            update: The values; they are not validated.
            deep: Whether the values of fields are copied too; clients and limiters never are.
        """
        copy = super().model_copy(update=update, deep=deep)
        copy._prepare(update or {})  # noqa: SLF001 - ours
        return copy

    def __deepcopy__(self, memo: dict[int, Any] | None = None) -> Self:
        # Clients and limiters are shared on purpose, and cannot be copied.
        return self.model_copy()

    @classmethod
    def is_lc_serializable(cls) -> bool:
        """LangChain's `dumps` and `load` are supported; the key is left out."""
        return True

    @property
    def lc_secrets(self) -> dict[str, str]:
        """The environment variable that supplies the key when the object is loaded."""
        return {"sutro_api_key": "SUTRO_API_KEY", "api_key": "SUTRO_API_KEY"}
