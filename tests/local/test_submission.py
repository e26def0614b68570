"""Splitting the body of a submission, whatever is in it."""

import io
import json
from itertools import chain

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from langchain_sutro.local.http import submission
from langchain_sutro.local.http.submission import read_submission
from langchain_sutro.local.refusals import Refusal

TRAPS = ['},{"', '","', '"inputs":[', "}]}", "\\", '"', "é🙂", "], ", '{"inputs": ["']
TEXTS = st.text(max_size=8) | st.sampled_from(TRAPS)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)
ROWS = st.lists(st.dictionaries(TEXTS, VALUES, max_size=4) | TEXTS, max_size=40)
FIELDS = st.dictionaries(TEXTS.filter(lambda key: key != "inputs"), VALUES, max_size=4)
STYLES = st.sampled_from([(",", ":"), (", ", ": "), (" ,\n", " :\t")])


@pytest.fixture(autouse=True, scope="module")
def small_pieces():
    """So small that every cut falls somewhere awkward."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(submission, "_PIECE", 48)
        yield


def split(text):
    fields, chunks = read_submission(io.BytesIO(text.encode()))
    rows = list(chain.from_iterable(chunks))
    return fields, rows


@settings(max_examples=300, deadline=None)
@given(before=FIELDS, rows=ROWS, after=FIELDS, style=STYLES, ascii_only=st.booleans())
def test_rows_and_fields_come_back_as_they_were(before, rows, after, style, ascii_only):
    after = {key: value for key, value in after.items() if key not in before}
    whole = {**before, "inputs": rows, **after}
    text = json.dumps(whole, separators=style, ensure_ascii=ascii_only)
    assert split(text) == ({**before, **after}, rows)


@settings(max_examples=100, deadline=None)
@given(fields=FIELDS, inputs=VALUES.filter(lambda value: not isinstance(value, list)))
def test_inputs_that_are_no_list_are_a_field(fields, inputs):
    whole = {**fields, "inputs": inputs}
    assert split(json.dumps(whole)) == (whole, [])


@settings(max_examples=200, deadline=None)
@given(rows=ROWS, cut=st.integers(1, 30))
def test_a_body_that_was_cut_is_refused(rows, cut):
    text = json.dumps({"model": "m", "inputs": rows, "name": None})[:-cut]
    with pytest.raises(Refusal) as refused:
        split(text)
    assert refused.value.status == 422


@pytest.mark.parametrize("text", ["", "[]", "1", "nul", '{"inputs": [1,]}', "{" * 100, '"x"'])
def test_what_is_no_json_object_is_refused(text):
    with pytest.raises(Refusal):
        split(text)


def test_rows_are_handed_on_before_the_body_was_read_whole():
    rows = [{"text": str(number)} for number in range(1000)]
    body = io.BytesIO(json.dumps({"model": "m", "inputs": rows}).encode())
    _, chunks = read_submission(body)
    assert len(next(chunks)) < 10
    assert body.tell() < 200
