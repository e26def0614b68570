"""`any-question`: a general judge, which answers by the words that question and state share."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from typing import Any

from langchain_sutro.local.functions import Answer, LocalFunction

__all__ = ["any_question"]

_WORD = re.compile(r"[^\W\d_]{2,}")
_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])")
# Words that questions and states have for their form, not for what they say.
_EMPTY = {
    word
    for line in (
        "an and any are args arguments as ask asking at be been because by can content could",
        "customer did do does for from get had has have he her his how if in into is it its id",
        "just message messages me more must my name no not of on only or other our out role said",
        "same say she should so some state than that the their them then there these they this",
        "those to too tool call user assistant system human value values very was way we were",
        "what when where which who why will with would yes you your",
    )
    for word in line.split()
}
# Words of which one is taken for the other.
_RELATED = (
    "refund money charge charged payment pay paid invoice invoices billing bill price pricing cost",
    "angry anger furious frustrated frustration dispute complain complaint annoyed upset threat",
    "calm neutral polite thanks thank happy pleased glad",
    "delete remove drop erase wipe destroy destructive purge truncate harm",
    "password credential credentials secret token key permission authorization exceed",
    "bug bugs error errors crash crashes fail fails failure outage broken technical integration",
    "urgent urgently today immediately now asap emergency critical down deadline",
    "send share sharing post publish email external",
    "buy purchase upgrade contract quote demo seats licence license sales",
    "read list show look search view find",
    "complex difficult prove proof derive analyse analyze design compare powerful reasoning",
    "simple quick short easy hello hi fast small",
)
_GROUP = {word: number for number, words in enumerate(_RELATED) for word in words.split()}


def any_question() -> LocalFunction:
    """The Function, ready to publish."""
    fields = {
        "state": "What is judged, as JSON.",
        "instructions": "The question, as JSON.",
        "options": "An object of labels and their descriptions, or an array of levels, as JSON.",
    }
    return LocalFunction(
        "any-question",
        _judge,
        input_schema={
            "type": "object",
            "properties": {
                name: {"type": "string", "description": text} for name, text in fields.items()
            },
            "required": list(fields),
        },
        output_schema={
            "type": "object",
            "properties": {
                "answer": {"type": "string", "description": "A label, or a level."},
                "probabilities": {
                    "type": "object",
                    "additionalProperties": {"type": "number"},
                    "description": "The probability of each label or level.",
                },
                "rationale": {"type": "string"},
            },
            "required": ["answer", "probabilities", "rationale"],
        },
        description="Answers any question with one of its options, and the probability of each.",
        prompt=(
            "Read the state as data. Answer the question with one of the options, and say how "
            "likely each of them is."
        ),
        model="shared words",
    )


def _judge(row: Mapping[str, str]) -> Answer:
    state, asked = _words(_judged(_parsed(row["state"]))), _parsed(row["instructions"])
    labels = _labels(_parsed(row["options"]))
    if not labels:
        raise ValueError("There are no options to answer with.")
    shared = {label: _words([label, described]) & state for label, described in labels.items()}
    if labels.keys() == {"yes", "no"}:
        shared["yes"] = (_words([asked, labels["yes"]]) - _words(labels["no"])) & state
        shared["no"] = (_words(labels["no"]) - _words([asked, labels["yes"]])) & state
    weights = {label: min(len(words), 4) for label, words in shared.items()}
    if labels.keys() == {"yes", "no"}:
        # What nothing in the state speaks for is unlikely, and one word is enough to change that.
        weights = {"yes": 2 * weights["yes"], "no": 2 * weights["no"] + 1}
    total = math.fsum(math.exp(weight) for weight in weights.values())
    probabilities = {label: math.exp(weight) / total for label, weight in weights.items()}
    answer = max(probabilities, key=lambda label: probabilities[label])
    named = ", ".join(f'"{word}"' for word in sorted(map(str, shared[answer]))[:3])
    return Answer(
        {"answer": answer, "probabilities": probabilities},
        confidence=probabilities[answer],
        rationale=f"Shared with the state: {named}." if named else "No word is shared.",
    )


def _parsed(text: str) -> Any:
    """JSON, or the text itself where it is none."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def _judged(state: Any) -> Any:
    """What of a state is judged: a tool call alone, since the messages name others as well."""
    return state["tool_call"] if isinstance(state, Mapping) and "tool_call" in state else state


def _labels(options: Any) -> dict[str, Any]:
    """What each answer stands for; levels by their texts, or by their numbers from 0."""
    if isinstance(options, Mapping):
        return dict(options)
    levels = options if isinstance(options, list) else []
    texts = [level for level in levels if isinstance(level, str)]
    if len(set(texts)) == len(levels):
        return {text: text for text in texts}
    return {str(index): level for index, level in enumerate(levels)}


def _words(value: Any) -> set[str]:
    """The words of a JSON value, of which related ones are the same."""
    return {
        word if (group := _GROUP.get(word)) is None else _RELATED[group].partition(" ")[0]
        for text in _texts(value)
        for word in map(str.casefold, _WORD.findall(_CAMEL.sub(" ", text)))
        if word not in _EMPTY
    }


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for key, part in value.items():
            yield str(key)
            yield from _texts(part)
    elif isinstance(value, list):
        for part in value:
            yield from _texts(part)
