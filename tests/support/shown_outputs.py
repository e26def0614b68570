"""Runs a block of a page, and compares what it gives with what its comments say.

A comment behind an expression, or the comment lines below it, is its output if it begins with a
Python literal, and that of a `print` whatever it is. Floats are compared with as many digits as are
shown, and `…` at the end of a line of output stands for anything.
"""

import ast
import contextlib
import io
import re

NOTHING = object()


def run_block(code, filename, first_line, namespace):
    """Execute a block, statement by statement.

    Returns:
        How many expressions there were, and of how many the output was compared.

    Raises:
        AssertionError: An output is not what the page shows.
    """
    lines = code.splitlines()
    expressions = compared = 0
    for statement in ast.parse(code).body:
        ast.increment_lineno(statement, first_line - 1)
        module = ast.Module([statement], [])
        if not isinstance(statement, ast.Expr):
            exec(compile(module, filename, "exec"), namespace)
            continue
        expressions += 1
        shown = comment(lines, statement.end_lineno - first_line)
        written = io.StringIO()
        with contextlib.redirect_stdout(written):
            expression = ast.Expression(statement.value)
            value = eval(compile(expression, filename, "eval"), namespace)
        if is_print(statement.value):
            if shown:
                assert fits(written.getvalue(), shown), (shown, written.getvalue())
                compared += 1
        elif (expected := literal(shown)) is not NOTHING:
            assert same(value, expected), (shown, value)
            compared += 1
    return expressions, compared


def comment(lines, last):
    """The comment lines below the line of that index, or the comment behind it."""
    below = []
    for line in lines[last + 1 :]:
        if not line.startswith("# "):
            break
        below.append(line[2:])
    # A hash in a string would be followed by its closing quote.
    behind = re.search(r"  # (.*)$", lines[last])
    return "\n".join(below) or (behind[1] if behind else "")


def is_print(node):
    return (
        isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"
    )


def literal(text):
    """The value that a comment begins with; words may follow after a comma or semicolon."""
    for part in (text, *(text[: found.start()] for found in re.finditer("[,;] ", text))):
        with contextlib.suppress(ValueError, SyntaxError):
            return ast.literal_eval(part)
    return NOTHING


def fits(written, shown):
    """Whether the lines are the same, where `…` at the end of one stands for anything."""
    got, expected = written.rstrip().splitlines(), shown.splitlines()
    return len(got) == len(expected) and all(
        one.startswith(other[:-1]) if other.endswith("…") else one.rstrip() == other
        for one, other in zip(got, expected, strict=True)
    )


def same(value, expected):
    if isinstance(expected, float):
        digits = len(repr(expected).partition(".")[2])
        return round(value, digits) == expected
    if isinstance(expected, list | tuple):
        return len(value) == len(expected) and all(map(same, value, expected))
    if isinstance(expected, dict):
        return {*value} == {*expected} and all(same(value[key], expected[key]) for key in expected)
    return value == expected
