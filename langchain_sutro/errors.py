"""Every error that this package raises, as one tree.

```
SutroError
├── SutroConfigurationError        no URL, no key, a URL that must not get the key
├── SutroInputError                a value that cannot be sent; names row and column
├── SutroConnectionError           no answer; `sent` says whether the service may have acted
│   └── SutroTimeoutError
├── SutroAPIError                  an answer that is an error, or that makes no sense
│   ├── SutroAuthenticationError   401
│   │   └── SutroPermissionError   403
│   ├── SutroNotFoundError         404
│   ├── SutroConflictError         409
│   ├── SutroValidationError       400, 413, 422
│   ├── SutroRateLimitError        429
│   └── SutroServerError           5xx
├── SutroJobError
│   ├── SutroJobFailedError
│   ├── SutroJobCancelledError
│   ├── SutroJobTimeoutError       this side stopped waiting; the job continues
│   └── SubmissionUnknownError     a job may exist; look its token up before paying again
├── SutroRowError                  one row of a job that otherwise succeeded
├── SutroDecisionError             a Function's answer does not answer the question that was asked
└── LowConfidenceError             `require_confidence` turned an answer down
```

Every error pickles, and none carries a key, a presigned URL or a prompt.

Where langchain-core is loaded, errors of calls are also the errors of models in its tree, so that
handlers, fallbacks and middleware for any provider know them: `SutroRateLimitError` is a
`langchain_core.exceptions.ModelRateLimitError`, and so on. This module does not load it.
"""

from __future__ import annotations

from copy import copy
from functools import partial
from typing import TYPE_CHECKING, Any

from langchain_sutro._core.when_loaded import when_loaded

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

__all__ = [
    "LowConfidenceError",
    "SubmissionUnknownError",
    "SutroAPIError",
    "SutroAuthenticationError",
    "SutroConfigurationError",
    "SutroConflictError",
    "SutroConnectionError",
    "SutroDecisionError",
    "SutroError",
    "SutroInputError",
    "SutroJobCancelledError",
    "SutroJobError",
    "SutroJobFailedError",
    "SutroJobTimeoutError",
    "SutroNotFoundError",
    "SutroPermissionError",
    "SutroRateLimitError",
    "SutroRowError",
    "SutroServerError",
    "SutroTimeoutError",
    "SutroValidationError",
]


class SutroError(Exception):
    """Base of all errors of this package."""

    def __reduce__(self) -> tuple[Callable[..., SutroError], tuple[Any, ...], dict[str, Any]]:
        # The subclasses take keyword-only facts, which Exception's own reduce would lose.
        return partial(_rebuild, type(self)), self.args, self.__dict__


def _rebuild(cls: type[SutroError], *args: Any) -> SutroError:
    error = cls.__new__(cls)
    error.args = args
    return error


class SutroConfigurationError(SutroError):
    """The settings do not say which deployment to call with which key, or say it unsafely."""


class SutroInputError(SutroError, ValueError):
    """A value that cannot be sent, found before anything was.

    Attributes:
        row_index: Index of the row from 0, or None for a single call.
        column: Name of the field, or None when the row as a whole is wrong.
    """

    def __init__(
        self, message: str, *, row_index: int | None = None, column: str | None = None
    ) -> None:
        super().__init__(message)
        self.row_index = row_index
        self.column = column


class SutroConnectionError(SutroError):
    """The service gave no complete answer.

    Attributes:
        sent: False if the request certainly never left; True if the service may have acted on it.
    """

    def __init__(self, message: str, *, sent: bool = True) -> None:
        super().__init__(message)
        self.sent = sent


class SutroTimeoutError(SutroConnectionError):
    """No answer within the timeout."""


class SutroAPIError(SutroError):
    """The service answered with an error, or with something that is not an answer.

    Attributes:
        status_code: HTTP status. 200 if the status was fine but the body was not.
        code: The service's own word for it, such as `"function_not_found"`.
        detail: The service's explanation, as text.
        request_id: The service's name for the call.
        retry_after: Seconds the service asked to wait, or None.
    """

    def __init__(
        self,
        message: str,
        *,
        status_code: int,
        code: str | None = None,
        detail: str | None = None,
        request_id: str | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.status_code = status_code
        self.code = code
        self.detail = detail
        self.request_id = request_id
        self.retry_after = retry_after


class SutroAuthenticationError(SutroAPIError):
    """401: the key is missing or wrong; 403: see `SutroPermissionError`."""


class SutroPermissionError(SutroAuthenticationError):
    """403: the key is known, but has no right to this."""


class SutroNotFoundError(SutroAPIError):
    """404: no such Function or job."""


class SutroConflictError(SutroAPIError):
    """409: the Function or job is not in a state for this."""


class SutroValidationError(SutroAPIError):
    """400, 413 or 422: the input does not match the Function, or is too large.

    Attributes:
        rows: What the service says about each row that it refuses, by the row's index in the job
            from 0; empty if it names no rows. A job that was refused was not run.
    """

    def __init__(self, message: str, *, rows: dict[int, str] | None = None, **facts: Any) -> None:
        super().__init__(message, **facts)
        self.rows = {} if rows is None else rows


class SutroRateLimitError(SutroAPIError):
    """429: too many calls; `retry_after` says how long to wait."""


class SutroServerError(SutroAPIError):
    """5xx, 524 of the edge included: the service or its model provider failed."""


class SutroJobError(SutroError):
    """A Batch job did not give its results.

    Attributes:
        job_id: The job, or None if its id never arrived.
    """

    def __init__(self, message: str, *, job_id: str | None = None) -> None:
        super().__init__(message)
        self.job_id = job_id


class SutroJobFailedError(SutroJobError):
    """The job ended as FAILED."""


class SutroJobCancelledError(SutroJobError):
    """The job ended as CANCELLED."""


class SutroJobTimeoutError(SutroJobError, TimeoutError):
    """The wait ended before the job did; the job itself continues."""


class SubmissionUnknownError(SutroJobError):
    """The submission got no usable answer, and no job with its token was found in time.

    Attributes:
        token: Stands in the description of the job, should it exist after all.
    """

    def __init__(self, message: str, *, token: str, job_id: str | None = None) -> None:
        super().__init__(message, job_id=job_id)
        self.token = token


class SutroRowError(SutroError):
    """One row of a job has no usable output.

    Attributes:
        job_id: The job.
        row_index: Index of the row among the caller's rows, from 0.
        job_row_index: Index of the row in the job's input. It differs from `row_index` where some
            of the caller's rows were not sent, or were sent in other jobs.
    """

    def __init__(self, message: str, *, job_id: str | None, row_index: int) -> None:
        super().__init__(message)
        self.job_id = job_id
        self.row_index = row_index
        self.job_row_index = row_index

    def at_row(self, row_index: int) -> SutroRowError:
        """The same error at another index of the caller's rows, which its message names too.

        Args:
            row_index: The index, from 0.
        """
        if row_index == self.row_index:
            return self
        message = str(self)
        if self.row_index != self.job_row_index:
            message = message.removeprefix(_row_prefix(self.row_index))
        if row_index != self.job_row_index:
            message = _row_prefix(row_index) + message
        error = copy(self)
        error.args, error.row_index = (message,), row_index
        return error


def _row_prefix(row_index: int) -> str:
    return f"Row {row_index} of the batch: "


class SutroDecisionError(SutroError):
    """A Function cannot answer a decision model's question, or its answer does not.

    Its labels are not those of the question, its answer is outside of them, or the answer lacks a
    confidence or the probabilities of the other labels.

    Attributes:
        question: The id of the question; None for an answer on its own.
    """

    def __init__(self, message: str, *, question: str | None = None) -> None:
        super().__init__(message)
        self.question = question


class LowConfidenceError(SutroError):
    """An answer's confidence is missing or below what `require_confidence` asks for.

    Attributes:
        result: The answer that was turned down.
    """

    def __init__(self, message: str, *, result: Any) -> None:
        super().__init__(message)
        self.result = result


# The error of a model in langchain-core for each class that stands for the same thing.
_IN_LANGCHAIN = {
    SutroConnectionError: "ModelConnectionError",
    SutroTimeoutError: "ModelTimeoutError",
    SutroAPIError: "ModelError",
    SutroAuthenticationError: "ModelAuthenticationError",
    SutroPermissionError: "ModelPermissionDeniedError",
    SutroNotFoundError: "ModelNotFoundError",
    SutroValidationError: "ModelInvalidRequestError",
    SutroRateLimitError: "ModelRateLimitError",
    SutroServerError: "ModelAPIError",
}


def _join(exceptions: ModuleType) -> None:
    """Add langchain-core's classes to the bases of ours; `except` looks at nothing else."""
    for ours, name in _IN_LANGCHAIN.items():
        theirs = getattr(exceptions, name, None)
        if isinstance(theirs, type) and not issubclass(ours, theirs):
            ours.__bases__ = (*ours.__bases__, theirs)


when_loaded("langchain_core.exceptions", _join)
