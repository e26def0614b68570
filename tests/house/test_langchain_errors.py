"""Errors of calls are langchain-core's errors of models too, whatever is imported first."""

import pickle
import subprocess
import sys

import langchain_core.exceptions as core
import pytest

from langchain_sutro import errors

PAIRS = {
    "SutroConnectionError": "ModelConnectionError",
    "SutroTimeoutError": "ModelTimeoutError",
    "SutroAPIError": "ModelError",
    "SutroAuthenticationError": "ModelAuthenticationError",
    "SutroPermissionError": "ModelPermissionDeniedError",
    "SutroNotFoundError": "ModelNotFoundError",
    "SutroConflictError": "ModelError",
    "SutroValidationError": "ModelInvalidRequestError",
    "SutroRateLimitError": "ModelRateLimitError",
    "SutroServerError": "ModelAPIError",
}
CHECK = f"""
for ours, theirs in {PAIRS!r}.items():
    kind = getattr(errors, ours)
    options = {{"status_code": 1}} if issubclass(kind, errors.SutroAPIError) else {{}}
    for catch in (theirs, ours, "ModelError"):
        try:
            raise kind("text", **options)
        except getattr(core if catch.startswith("Model") else errors, catch) as error:
            assert error.args == ("text",)
"""
ERRORS = "from langchain_sutro import errors"
CORE = "import langchain_core.exceptions as core"
ORDERS = {
    "ours first": [ERRORS, CORE],
    "theirs first": [CORE, ERRORS],
    "a client first": ["from langchain_sutro import SutroClient", CORE, ERRORS],
    "a Function first": ["from langchain_sutro import SutroFunction", ERRORS, CORE],
    "a part of theirs first": ["import langchain_core.messages", ERRORS, CORE],
    "by hand": [
        ERRORS,
        "import importlib",
        "core = importlib.import_module('langchain_core.exceptions')",
    ],
    "an error first": [
        ERRORS,
        "old = errors.SutroRateLimitError('old', status_code=429, retry_after=3)",
        CORE,
        "assert isinstance(old, core.ModelRateLimitError) and old.retry_after == 3",
    ],
}


@pytest.mark.parametrize("order", ORDERS.values(), ids=ORDERS)
def test_handlers_for_any_provider_know_them_in_every_order_of_import(order):
    subprocess.run([sys.executable, "-c", "\n".join([*order, CHECK])], check=True, timeout=60)


def test_a_client_alone_loads_nothing_of_langchain_core():
    script = (
        "import sys\nfrom langchain_sutro import SutroClient, errors\n"
        "assert not [name for name in sys.modules if name.startswith('langchain_core')]\n"
        "import langchain_core.exceptions as core\n"
        "assert type(core.__loader__).__name__ == 'SourceFileLoader'\n"
        "assert core.__spec__.loader is core.__loader__\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)


def test_others_are_no_errors_of_models():
    for name in errors.__all__:
        kind = getattr(errors, name)
        is_model_error = issubclass(kind, core.ModelError)
        assert is_model_error == issubclass(
            kind, errors.SutroAPIError | errors.SutroConnectionError
        )


def test_they_pickle_as_they_did():
    error = errors.SutroRateLimitError("text", status_code=429, code="busy", retry_after=2.0)
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), again.args, vars(again)) == (type(error), error.args, vars(error))
    assert again.is_retryable
    late = pickle.loads(pickle.dumps(errors.SutroTimeoutError("late", sent=False)))
    assert (late.args, late.sent) == (("late",), False)
