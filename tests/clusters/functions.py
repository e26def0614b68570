"""What the deployment of these tests publishes."""

from langchain_sutro.local import LocalFunction

FIELD = {"type": "object", "properties": {"n": {"type": "string"}}, "required": ["n"]}
LABEL = {"type": "object", "properties": {"label": {"type": "string"}}}


def echo(row: dict) -> dict:
    """Gives its input back, so that lost, doubled and swapped rows show."""
    return {"label": f"<{row['n']}>"}


def sometimes(row: dict) -> dict:
    """Has no answer for every thirteenth row."""
    if int(row["n"]) % 13 == 0:
        raise ValueError
    return echo(row)


FUNCTIONS = [
    LocalFunction(
        "echo",
        echo,
        batch=lambda rows: [echo(row) for row in rows],
        input_schema=FIELD,
        output_schema=LABEL,
    ),
    LocalFunction("sometimes", sometimes, input_schema=FIELD, output_schema=LABEL),
]
