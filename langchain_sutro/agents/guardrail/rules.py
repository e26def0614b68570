"""`Rules`: which answer of the Function leads to which action."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, get_args

from langchain_sutro._core.results import is_confident
from langchain_sutro.agents.guardrail.decisions import GuardrailAction
from langchain_sutro.errors import SutroConfigurationError
from langchain_sutro.functions import by_verdict, result_verdict

if TYPE_CHECKING:
    from collections.abc import Callable

    from langchain_sutro._core.results import FunctionResult
    from langchain_sutro.agents.guardrail.judges import Judge

__all__ = ["GuardrailActions", "Rules"]

GuardrailActions: TypeAlias = (
    "Mapping[str | bool | int, GuardrailAction] | Callable[[FunctionResult], GuardrailAction]"
)

_ACTIONS: tuple[GuardrailAction, ...] = get_args(GuardrailAction)


@dataclass(frozen=True)
class Rules:
    """Which answer leads to which action.

    Attributes:
        actions: The action for each answer, ignoring case, or a callable on the payload.
        otherwise: The action for answers that are not in `actions`.
        judge: Who judges, and which answers are confident enough.
        on_low_confidence: The action for answers whose confidence is missing or too low.
        on_error: The action if the judge cannot be asked.
        on_unreadable: The action for what has no text to judge.

    Raises:
        SutroConfigurationError: A rule is invalid, or no content could ever pass.
    """

    actions: GuardrailActions
    otherwise: GuardrailAction
    judge: Judge
    on_low_confidence: GuardrailAction
    on_error: GuardrailAction | Literal["raise"]
    on_unreadable: GuardrailAction | Literal["raise"]

    def __post_init__(self) -> None:
        _check("otherwise", self.otherwise)
        _check("on_low_confidence", self.on_low_confidence)
        for name in ("on_error", "on_unreadable"):
            if getattr(self, name) != "raise":
                _check(name, getattr(self, name), "raise")
        if self.judge.min_confidence is None and self.on_low_confidence != "end":
            raise SutroConfigurationError(
                "on_low_confidence has no effect without min_confidence: pass both."
            )
        if isinstance(self.actions, Mapping):
            if self.judge.answers_numbers:
                raise SutroConfigurationError(
                    "A Score is answered by a number: actions must be a callable on the result."
                )
            self._check_mapping(self.actions)
        elif not callable(self.actions):
            raise SutroConfigurationError(
                "actions must be a dict from answers to actions, or a callable on the Function's "
                f"result, not {type(self.actions).__name__}."
            )

    def _check_mapping(self, actions: Mapping[Any, GuardrailAction]) -> None:
        for answer, action in actions.items():
            _check(f"actions[{answer!r}]", action)
        words = by_verdict(actions, "actions")
        if not {*words.values(), self.otherwise} & {"allow", "interrupt"}:
            raise SutroConfigurationError(
                'No message could pass: set the action "allow" for an answer, or otherwise="allow".'
            )
        object.__setattr__(self, "actions", words)

    @property
    def may_ask(self) -> bool:
        """Whether a human may be asked."""
        known = (self.otherwise, self.on_low_confidence, self.on_error, self.on_unreadable)
        if "interrupt" in known or not isinstance(self.actions, Mapping):
            return True
        return "interrupt" in self.actions.values()

    def action(self, result: FunctionResult) -> GuardrailAction:
        """The action after this answer.

        Raises:
            SutroConfigurationError: The answer has several fields but `actions` is not a callable,
                or the callable returned something that is not an action.
        """
        if not is_confident(result.confidence, self.judge.min_confidence):
            return self.on_low_confidence
        if not isinstance(self.actions, Mapping):
            action = self.actions(result)
            _check("The result of actions", action)
            return action
        return self.actions.get(result_verdict(result, "actions"), self.otherwise)


def _check(what: str, action: Any, *more: str) -> None:
    known = (*_ACTIONS, *more)
    if action not in known:
        raise SutroConfigurationError(
            f"{what} must be one of {', '.join(map(repr, known))}, not {action!r}."
        )
