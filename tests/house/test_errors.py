"""The error tree: what is caught by what, and that facts survive pickling and copying."""

import copy
import inspect
import pickle
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from langchain_sutro import errors

JOB = {"job_id": "job-1"}
API = {
    "status_code": 422,
    "code": "invalid_input",
    "detail": "region is missing",
    "request_id": "rt_1",
    "retry_after": 1.5,
}
FACTS = {
    "SutroInputError": {"row_index": 3, "column": "region"},
    "SutroConnectionError": {"sent": False},
    "SutroTimeoutError": {"sent": True},
    "SubmissionUnknownError": {"token": "0" * 32, **JOB},
    "SutroRowError": {"row_index": 7, **JOB},
    "LowConfidenceError": {"result": {"confidence": 0.2}},
}
CLASSES = [getattr(errors, name) for name in errors.__all__]


def facts_of(cls):
    if issubclass(cls, errors.SutroAPIError):
        return API
    return FACTS.get(cls.__name__, JOB if issubclass(cls, errors.SutroJobError) else {})


def again(error):
    """The error after each way of being written down or doubled."""
    yield from (pickle.loads(pickle.dumps(error, protocol)) for protocol in range(2, 6))
    yield copy.copy(error)
    yield copy.deepcopy(error)


def test_every_error_class_is_public():
    defined = {
        name
        for name, value in vars(errors).items()
        if inspect.isclass(value) and issubclass(value, BaseException)
    }
    assert defined == set(errors.__all__)


@pytest.mark.parametrize("cls", CLASSES)
def test_an_error_survives_pickling_and_copying_with_its_facts(cls):
    error = cls("what went wrong", **facts_of(cls))
    error.add_note("job-1 goes on")
    for twin in again(error):
        assert type(twin) is cls
        assert str(twin) == "what went wrong"
        assert twin.args == error.args
        assert vars(twin) == vars(error)
        assert twin.__notes__ == ["job-1 goes on"]
        for name, value in facts_of(cls).items():
            assert getattr(twin, name) == value


@given(message=st.text(), sent=st.booleans())
def test_any_message_survives_pickling(message, sent):
    for twin in again(errors.SutroTimeoutError(message, sent=sent)):
        assert (twin.args, twin.sent) == ((message,), sent)


def test_the_errors_of_a_users_own_subclass_survive_too():
    error = Own("mine", status_code=500)
    for twin in again(error):
        assert (type(twin), twin.status_code, str(twin)) == (Own, 500, "mine")


class Own(errors.SutroServerError):
    """A subclass that only these tests have."""


def test_the_tree_that_is_drawn_is_the_tree_that_is():
    drawn = {}
    above = {}
    for line in errors.__doc__.splitlines():
        found = re.match(r"([│ ]*[├└]── )?(\w+Error)\b", line)
        if found:
            depth = len(found[1] or "") // 4
            above[depth] = found[2]
            drawn[found[2]] = above[depth - 1] if depth else "Exception"
    assert drawn == {cls.__name__: cls.__bases__[0].__name__ for cls in CLASSES}


@pytest.mark.parametrize(
    ("cls", "usual"),
    [(errors.SutroInputError, ValueError), (errors.SutroJobTimeoutError, TimeoutError)],
)
def test_an_error_is_caught_where_the_language_has_a_word_for_it(cls, usual):
    assert issubclass(cls, usual)
    assert issubclass(cls, errors.SutroError)
