"""Rows that carry their number, so that rows in a wrong place show."""

SCHEMA = {"type": "object", "properties": {"n": {"type": "string"}}, "required": ["n"]}
LABEL = {"type": "object", "properties": {"label": {"type": "string"}}}


def rows(count):
    return [{"n": f"{index:05}"} for index in range(count)]


def labels(count):
    return [f"<{index:05}>" for index in range(count)]
