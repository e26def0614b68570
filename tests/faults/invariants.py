"""What must hold for rows, errors and logs while the network fails."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from langchain_sutro import errors
from tests.support.invariants import check


def told(error: BaseException) -> str:
    """All that a reader of an error sees, and its facts."""
    notes = "\n".join(getattr(error, "__notes__", ()))
    return f"{error}\n{notes}\n{vars(error)}"


def check_error(error: BaseException, key: str) -> None:
    """An error is one of the tree, and carries no secret."""
    check(isinstance(error, errors.SutroError), f"every failure is typed, not {error!r}")
    check_secrets(told(error), key)


def check_secrets(text: str, key: str) -> None:
    """Neither the key nor a presigned URL is in a text."""
    check(key not in text, "no key is told")
    check("signature=" not in text, "no presigned URL is told")


@contextmanager
def logged() -> Iterator[list[str]]:
    """What the package logs meanwhile."""
    logger, handler = logging.getLogger("langchain_sutro"), logging.Handler(logging.DEBUG)
    lines: list[str] = []
    handler.emit = lambda record: lines.append(record.getMessage())  # type: ignore[method-assign]
    logger.addHandler(handler)
    try:
        yield lines
    finally:
        logger.removeHandler(handler)


def check_rows(results: list, labels: list[str], spoilt: set[int]) -> None:
    """One result for each row, in order; a row that is spoilt is an error in its place."""
    check(len(results) == len(labels), f"{len(results)} results for {len(labels)} rows")
    for index, (result, label) in enumerate(zip(results, labels, strict=True)):
        if index in spoilt:
            check(isinstance(result, errors.SutroRowError), f"row {index} has no output")
            check(result.row_index == index, f"the error of row {index} is in its place")
        else:
            answer = getattr(result, "answer", result)
            check(answer == label, f"row {index} is answered with its own, not {answer!r}")
