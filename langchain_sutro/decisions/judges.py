"""`Judges`: which Function answers which question of a decision model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

from langchain_sutro.decisions.decision_function import ConfiguredFunction, DecisionFunction
from langchain_sutro.errors import SutroConfigurationError, SutroInputError
from langchain_sutro.functions import SutroFunction

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Judge", "Judges"]

Judge: TypeAlias = DecisionFunction | SutroFunction | str
"""A Function, its name, or what else is to be said about it."""


class Judges:
    """The Functions of a decision model, each once.

    Args:
        functions: The Function of each question.
        default: The Function of all other questions.
        settings: Fields of `SutroFunction` for those that are given by name.

    Raises:
        SutroConfigurationError: There are none.
    """

    def __init__(
        self, functions: Mapping[str, Judge], default: Judge | None, settings: Mapping[str, Any]
    ) -> None:
        if not functions and default is None:
            raise SutroConfigurationError(
                "A decision model needs functions= with a Function for each question, or default=."
            )
        self._settings = settings
        self._known: list[SutroFunction] = []
        self._of = {name: self._configure(one) for name, one in functions.items()}
        self._default = None if default is None else self._configure(default, default=True)

    @property
    def names(self) -> list[str]:
        """The names of the Functions."""
        return list(dict.fromkeys(one.function for one in self._known))

    def of(self, question: str) -> ConfiguredFunction:
        """The Function of a question.

        Raises:
            SutroInputError: There is none.
        """
        found = self._of.get(question, self._default)
        if found is None:
            raise SutroInputError(
                f"no Function answers it, and there is no default. There are Functions for "
                f"{', '.join(map(repr, self._of))}."
            )
        return found

    def _configure(self, judge: Judge, *, default: bool = False) -> ConfiguredFunction:
        given = judge if isinstance(judge, DecisionFunction) else DecisionFunction(judge)
        function = given.function
        if isinstance(function, str):
            function = SutroFunction(function, **self._settings)
        configured = ConfiguredFunction(given, function, default=default)
        # Questions of one Function share its calls and its job.
        configured.function = self._once(configured.function)
        return configured

    def _once(self, function: SutroFunction) -> SutroFunction:
        for known in self._known:
            # Pydantic would compare the clients as well.
            if known.__dict__ == function.__dict__:
                return known
        self._known.append(function)
        return function
