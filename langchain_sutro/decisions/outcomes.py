"""`Outcomes`: what the labels of a Function mean for a question."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import orjson
from langchain_core.decisions import Choice, Noul

from langchain_sutro.errors import SutroDecisionError
from langchain_sutro.functions import verdict_key

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from langchain_core.decisions import Score

    from langchain_sutro.decisions.questions import AskedQuestion

__all__ = ["Outcome", "Outcomes", "Reading", "label_text"]

Outcome: TypeAlias = str | int
"""A label of a `Choice`, `"yes"` or `"no"` of a `Noul`, the index of a level of a `Score`."""

_YES, _NO = "yes", "no"
# What means yes and no where nobody says what does.
_WORDS = {"yes": _YES, "true": _YES, "no": _NO, "false": _NO}


def label_text(label: Any) -> str:
    """A label as text: a string as it is, and `true`, `false` or a number as its JSON."""
    if isinstance(label, float) and label.is_integer():
        label = int(label)
    return label if isinstance(label, str) else orjson.dumps(label).decode()


@dataclass(frozen=True)
class Reading:
    """What its user says about the labels of a Function.

    Attributes:
        known: All labels of the Function, if they are known.
        names: The label of the question for each of the Function's; itself for those left out.
        yes: The labels that mean yes.
        levels: The labels in the order of the levels.
    """

    known: tuple[str, ...] | None = None
    names: Mapping[str, str] | None = None
    yes: tuple[str, ...] | None = None
    levels: tuple[str, ...] | None = None

    def outcomes(self, question: AskedQuestion) -> Outcomes:
        """What the labels mean for a question.

        Raises:
            SutroDecisionError: The labels are known and do not fit the question.
        """
        if isinstance(question, Noul):
            return self._yes_and_no()
        if isinstance(question, Choice):
            return self._labels(question)
        return self._levels(question)

    def _named(self, label: str) -> str:
        return label if self.names is None else self.names.get(label, label)

    def _labels(self, question: Choice) -> Outcomes:
        asked = Outcomes.of({label: label for label in question.criteria})
        if self.known is None:
            return asked
        meanings = {label: asked.find(self._named(label)) for label in self.known}
        missing = [label for label in asked.asked if label not in meanings.values()]
        if missing or None in meanings.values():
            raise SutroDecisionError(
                f"the Function's labels are {_listed(map(self._named, self.known))}, those of the "
                f"question {_listed(asked.asked)}. Both must be the same; labels= can rename them."
            )
        return Outcomes.of(meanings, asked.asked, complete=True)

    def _yes_and_no(self) -> Outcomes:
        asked = (_YES, _NO)
        if self.yes is not None and self.known is None:
            return Outcomes.of(dict.fromkeys(self.yes, _YES), asked, otherwise=_NO)
        words = Outcomes.of(
            _WORDS if self.yes is None else dict.fromkeys(self.yes, _YES),
            asked,
            otherwise=None if self.yes is None else _NO,
        )
        if self.known is None:
            return words
        meanings = {
            label: words.find(self._named(label) if self.yes is None else label)
            for label in self.known
        }
        if set(meanings.values()) != {_YES, _NO}:
            raise SutroDecisionError(
                f"the Function's labels are {_listed(self.known)}: yes= must name those of them "
                "that mean yes, and leave others for no."
            )
        return Outcomes.of(meanings, asked, complete=True)

    def _levels(self, question: Score) -> Outcomes:
        count = len(question.criteria)
        asked = tuple(range(count))
        if self.levels is not None:
            unknown = self.known is not None and set(self.known) != set(self.levels)
            if len(self.levels) != count or unknown:
                raise SutroDecisionError(
                    f"the question has {count} levels, and levels= is {_listed(self.levels)}. They "
                    "must be the Function's labels, one for each level."
                )
            meanings = {label: index for index, label in enumerate(self.levels)}
            return Outcomes.of(meanings, asked, complete=True)
        by_text = _level_texts(question.criteria)
        if self.known is None:
            return Outcomes.of(by_text, asked)
        texts = Outcomes.of(by_text, asked)
        found = {label: texts.find(self._named(label)) for label in self.known}
        if set(found.values()) != set(asked):
            raise SutroDecisionError(
                f"the Function's labels are {_listed(self.known)}, which are not the {count} "
                "levels of the question: levels= gives their order."
            )
        return Outcomes.of(found, asked, complete=True)


def _level_texts(criteria: Sequence[Any]) -> dict[str, Outcome]:
    """Levels by their texts, and by their indices where that is no other level's text."""
    texts: dict[str, Outcome] = {str(index): index for index in range(len(criteria))}
    plain = [one for one in criteria if isinstance(one, str)]
    if len(plain) == len(criteria) == len(set(plain)):
        texts |= {text: index for index, text in enumerate(plain)}
    return texts


@dataclass(frozen=True)
class Outcomes:
    """The outcomes of a question, and which labels of a Function mean them.

    Attributes:
        asked: All outcomes, in the order of the question.
        meanings: The outcome of each label.
        complete: Whether these are all labels that the Function has.
        otherwise: What any other label means; None if there is no other.
    """

    asked: tuple[Outcome, ...]
    meanings: Mapping[str, Outcome]
    complete: bool
    otherwise: Outcome | None
    _folded: Mapping[str, Outcome | None]

    @classmethod
    def of(
        cls,
        meanings: Mapping[str, Any],
        asked: tuple[Outcome, ...] | None = None,
        *,
        complete: bool = False,
        otherwise: Outcome | None = None,
    ) -> Outcomes:
        """Make the outcomes.

        Args:
            meanings: The outcome of each label.
            asked: All outcomes; by default those of the labels.
            complete: Whether the Function has no other labels.
            otherwise: What any other label means.
        """
        folded: dict[str, Outcome | None] = {}
        for label, outcome in meanings.items():
            key = verdict_key(label)
            # Labels that differ only in case are told apart by their exact spelling.
            folded[key] = None if folded.get(key, outcome) != outcome else outcome
        outcomes = tuple(meanings.values()) if asked is None else asked
        return cls(outcomes, meanings, complete, otherwise, folded)

    def find(self, label: Any) -> Outcome | None:
        """The outcome that a label means, ignoring case; None if it means none."""
        text = label_text(label)
        if text in self.meanings:
            return self.meanings[text]
        found = self._folded.get(verdict_key(text))
        return self.otherwise if found is None else found

    def meant_by(self, label: Any) -> Outcome:
        """The outcome that the label of an answer means.

        Raises:
            SutroDecisionError: It means none.
        """
        outcome = self.find(label)
        if outcome is None:
            raise SutroDecisionError(
                f"the Function's answer is none of the question's: {_listed(self.asked)}."
            )
        return outcome

    def labels_of(self, outcome: Outcome) -> int:
        """How many labels of the Function mean an outcome; 1 if they are not known."""
        return Counter(self.meanings.values())[outcome] if self.complete else 1

    @property
    def labels(self) -> int:
        """How many labels the Function has; one for each outcome if they are not known."""
        return len(self.meanings) if self.complete else len(self.asked)


def _listed(labels: Iterable[Outcome]) -> str:
    listed = list(labels)
    more = f" and {len(listed) - 20} more" if len(listed) > 20 else ""
    return ", ".join(repr(label) for label in listed[:20]) + more
