"""What the servers of these tests publish."""

import time

from langchain_sutro.local import LocalFunction

FIELD = {"type": "object", "properties": {"n": {"type": "string"}}, "required": ["n"]}
LABEL = {"type": "object", "properties": {"label": {"type": "string"}}}


def echo(row: dict) -> dict:
    """Gives its input back, so that lost and shifted rows show."""
    return {"label": f"<{row['n']}>"}


def slowly(row: dict) -> dict:
    """The same, so that there is time to be killed."""
    time.sleep(0.0003)
    return echo(row)


FUNCTIONS = [
    LocalFunction(
        "echo",
        echo,
        batch=lambda rows: [echo(row) for row in rows],
        input_schema=FIELD,
        output_schema=LABEL,
    ),
    LocalFunction("slowly", slowly, input_schema=FIELD, output_schema=LABEL),
]
