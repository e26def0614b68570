"""LangSmith's filter language, as far as the tests' LangSmith answers it."""

import json
import re
from datetime import datetime

TOKEN = re.compile(r'\s*("(?:[^"\\]|\\.)*"|[\w.\-]+|[(),])')
COMPARISONS = {
    "eq": lambda value, wanted: value == wanted,
    "neq": lambda value, wanted: value != wanted,
    "lt": lambda value, wanted: value < wanted,
    "lte": lambda value, wanted: value <= wanted,
    "gt": lambda value, wanted: value > wanted,
    "gte": lambda value, wanted: value >= wanted,
}


def run_filter(text):
    """A condition such as `and(eq(name, "x"), lt(start_time, "2026-01-01T00:00:00Z"))`."""
    tokens = TOKEN.findall(text)
    condition = _condition(tokens)
    assert not tokens, f"more than a condition: {text}"
    return condition


def _condition(tokens):
    name = tokens.pop(0)
    assert tokens.pop(0) == "(", name
    if name in ("and", "or"):
        parts = [_condition(tokens)]
        while tokens[0] == ",":
            tokens.pop(0)
            parts.append(_condition(tokens))
        tokens.pop(0)
        combine = all if name == "and" else any
        return lambda run: combine(part(run) for part in parts)
    field = tokens.pop(0)
    assert tokens.pop(0) == ","
    wanted = _value(tokens.pop(0))
    assert tokens.pop(0) == ")"
    if name == "has":
        return lambda run: wanted in (run.get(field) or ())
    return lambda run: COMPARISONS[name](*_comparable(_field(run, field), wanted))


def thread_of(run):
    """The thread of a run, by its metadata."""
    metadata = (run.get("extra") or {}).get("metadata") or {}
    names = ("session_id", "thread_id", "conversation_id")
    return next((metadata[name] for name in names if metadata.get(name)), None)


def _field(run, field):
    if field == "thread_id":
        return thread_of(run)
    if field == "status":
        return "error" if run.get("error") else "success"
    return run.get(field)


def _value(token):
    return json.loads(token) if token.startswith('"') else float(token)


def _comparable(value, wanted):
    if isinstance(value, str) and re.match(r"\d{4}-\d\d-\d\dT", value):
        return _time(value), _time(wanted)
    return value, wanted


def _time(text):
    found = datetime.fromisoformat(text)
    return found.replace(tzinfo=None) - (found.utcoffset() or found - found)
