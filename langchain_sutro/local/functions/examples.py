"""A small text classifier from labelled rows: scikit-learn, with calibrated confidence."""

from __future__ import annotations

import re
import threading
from collections import Counter
from itertools import islice
from typing import TYPE_CHECKING, Any

from langchain_sutro.local.functions.fields import as_text
from langchain_sutro.local.functions.function import Answer, LocalFunction

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    import numpy as np

__all__ = ["from_examples"]

_SEED = 7
_MOST_FOLDS = 5
_WORDS_SHOWN = 3
# One letter or digit is a word too, unlike for scikit-learn.
_WORD = r"(?u)\b\w+\b"

Row = dict[str, Any]


def from_examples(
    rows: Iterable[Mapping[str, Any]] | Callable[[], Iterable[Mapping[str, Any]]],
    *,
    inputs: Sequence[str],
    label: str = "label",
    labels: Sequence[str] | None = None,
    name: str = "from-examples",
    description: str | None = None,
    prompt: str | None = None,
) -> LocalFunction:
    """Make a Function that learned from labelled rows.

    Words and pairs of words (TF-IDF) of each input field go into a logistic regression, whose
    probabilities are calibrated on held-out folds. It is fitted at the first call, in a second or
    so for some thousand rows, and kept for the life of the process.

    Args:
        rows: Labelled rows, or a callable that gives them when they are needed.
        inputs: Their columns that become the input fields.
        label: Their column with the right answer.
        labels: The answers, for the schema; by default taken from the rows, which must then be
            rows and not a callable.
        name: What clients call it by.
        description: What it does.
        prompt: Shown as `usage.system_prompt` by the hosted generation.

    Returns:
        A Function with `label` and `rationale` as its output, a confidence, and a probability for
        each label. The rationale names the words that weighed most.

    Raises:
        ValueError: There are fewer than two labels.
    """
    if not callable(rows):
        known = [dict(row) for row in rows]
        labels = labels or sorted({str(row[label]) for row in known})
        load: Callable[[], Iterable[Mapping[str, Any]]] = lambda: known  # noqa: E731
    else:
        load = rows
    if labels is None or len(labels) < 2:
        raise ValueError("A classifier needs at least two labels.")
    classifier = _Classifier(load, tuple(inputs), label)
    return LocalFunction(
        name,
        classifier.one,
        batch=classifier.many,
        input_schema={
            "type": "object",
            "properties": {field: {"type": "string"} for field in inputs},
            "required": list(inputs),
        },
        output_schema={
            "type": "object",
            "properties": {
                "label": {"type": "string", "enum": list(labels)},
                "rationale": {"type": "string"},
            },
            "required": ["label", "rationale"],
        },
        description=description or f"Classifies {', '.join(inputs)} as {' or '.join(labels)}.",
        prompt=prompt,
        model="scikit-learn",
    )


class _Classifier:
    def __init__(
        self,
        load: Callable[[], Iterable[Mapping[str, Any]]],
        inputs: tuple[str, ...],
        label: str,
    ) -> None:
        self._load = load
        self._inputs = inputs
        self._label = label
        self._fitting = threading.Lock()
        self._fitted: _Fitted | None = None

    def one(self, row: Row) -> Answer:
        return self.many([row])[0]

    def many(self, rows: list[Row]) -> list[Answer]:
        with self._fitting:
            if self._fitted is None:
                self._fitted = _Fitted(self._load(), self._inputs, self._label)
        return self._fitted.answers(rows)


class _Fitted:
    def __init__(
        self, rows: Iterable[Mapping[str, Any]], inputs: tuple[str, ...], label: str
    ) -> None:
        # scipy has no type hints.
        from scipy.sparse import hstack  # noqa: PLC0415
        from sklearn.feature_extraction.text import (  # noqa: PLC0415
            ENGLISH_STOP_WORDS,
            TfidfVectorizer,
        )

        self._stack = hstack
        kept = list(rows)
        truth = [str(row[label]) for row in kept]
        # A field's words are its own: the same word in another may mean something else.
        self._words = {
            field: TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, token_pattern=_WORD).fit(
                [as_text(row.get(field)) for row in kept]
            )
            for field in inputs
            if any(re.search(r"\w", as_text(row.get(field))) for row in kept)
        }
        features = self._features(kept)
        self._model = _model(Counter(truth))
        self._model.fit(features, truth)
        self._labels: list[str] = [str(one) for one in self._model.classes_]
        self._names = [
            word
            for words in self._words.values()
            for word in words.get_feature_names_out().tolist()
        ]
        self._weights = _weights(self._model, len(self._labels))
        # They count for the answer, but mean nothing to a reader.
        self._empty = [ENGLISH_STOP_WORDS.issuperset(name.split()) for name in self._names]

    def answers(self, rows: Sequence[Mapping[str, Any]]) -> list[Answer]:
        features = self._features(rows)
        probabilities = self._model.predict_proba(features)
        best = probabilities.argmax(axis=1)
        return [
            self._answer(probabilities[index], int(best[index]), features, index)
            for index in range(len(rows))
        ]

    def _features(self, rows: Sequence[Mapping[str, Any]]) -> Any:
        columns = [
            words.transform([as_text(row.get(field)) for row in rows])
            for field, words in self._words.items()
        ]
        return self._stack(columns, format="csr")

    def _answer(self, probabilities: np.ndarray, best: int, features: Any, index: int) -> Answer:
        ranked = probabilities.argsort()[::-1]
        start, end = features.indptr[index], features.indptr[index + 1]
        columns = features.indices[start:end]
        weights = features.data[start:end] * self._weights[best, columns]
        found = (columns[i] for i in weights.argsort()[::-1] if weights[i] > 0)
        shown = [
            self._names[column]
            for column in islice((c for c in found if not self._empty[c]), _WORDS_SHOWN)
        ]
        label = self._labels[best]
        words = ", ".join(f'"{word}"' for word in shown)
        why = f"{words} spoke for {label}." if shown else f"No known word; {label} is likeliest."
        return Answer(
            {"label": label},
            confidence=round(float(probabilities[best]), 4),
            predictions=[
                {"label": self._labels[i], "confidence": round(float(probabilities[i]), 4)}
                for i in ranked
            ],
            rationale=why,
        )


def _model(counts: Counter[str]) -> Any:
    from sklearn.calibration import CalibratedClassifierCV  # noqa: PLC0415
    from sklearn.linear_model import LogisticRegression  # noqa: PLC0415

    if len(counts) < 2:
        raise ValueError("A classifier needs at least two labels.")
    # With little regularisation the words decide; calibration takes the overconfidence back.
    regression = LogisticRegression(C=10.0, class_weight="balanced", max_iter=1000)
    folds = min(_MOST_FOLDS, *counts.values())
    if folds < 2:
        return regression
    # One regression on all rows, so that its weights explain its answers.
    return CalibratedClassifierCV(regression, cv=folds, ensemble=False)


def _weights(model: Any, labels: int) -> np.ndarray:
    """How much each word speaks for each label: labels by words."""
    import numpy as np  # noqa: PLC0415

    regression = model
    if hasattr(model, "calibrated_classifiers_"):
        regression = model.calibrated_classifiers_[0].estimator
    weights: np.ndarray = regression.coef_
    # For two labels, scikit-learn keeps the second one's weights only.
    return np.vstack([-weights, weights]) if labels == 2 else weights
