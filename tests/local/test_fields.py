"""Input fields: text, types, and assets."""

import base64
import json

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from langchain_sutro.local.functions import Fields, as_text
from langchain_sutro.local.refusals import InvalidInputError

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(JSON)
def test_every_json_value_has_one_text(value):
    text = as_text(value)
    if isinstance(value, str):
        assert text == value
    elif value is None:
        assert text == ""
    else:
        assert orjson.loads(text) == value


def fields(**properties):
    return Fields({"type": "object", "properties": properties, "required": list(properties)})


@pytest.mark.parametrize(
    ("schema", "value", "read"),
    [
        ({"type": "string"}, 7, "7"),
        ({}, [1], "[1]"),
        ({"type": ["string", "null"]}, None, None),
        ({"anyOf": [{"type": "string"}, {"type": "null"}]}, "5", "5"),
        ({"type": "integer"}, "7", 7),
        ({"type": "integer"}, 7, 7),
        ({"type": "number"}, "7", 7),
        ({"type": "number"}, 7.5, 7.5),
        ({"type": "boolean"}, "true", True),
        ({"type": "array"}, "[1, 2]", [1, 2]),
        ({"type": "object"}, {"a": 1}, {"a": 1}),
        ({"anyOf": [{"type": "integer"}, {"type": "null"}]}, None, None),
        ({"$ref": "#/$defs/Other"}, "as it is", "as it is"),
    ],
)
def test_a_field_gets_the_type_that_its_schema_names(schema, value, read):
    assert fields(x=schema).strict({"x": value}) == {"x": read}
    assert fields(x=schema).lax({"x": value, "more": 1}) == {"x": read}


@pytest.mark.parametrize(
    ("type_", "value"),
    [("integer", "x"), ("integer", 1.5), ("integer", True), ("boolean", 1), ("array", "{}")],
)
def test_a_value_of_another_type_is_refused_by_field(type_, value):
    with pytest.raises(InvalidInputError, match='"x"'):
        fields(x={"type": type_}).strict({"x": value})


def test_an_open_schema_takes_any_field():
    stand_in = Fields({"type": "object", "additionalProperties": True})
    assert stand_in.strict({"a": 1, "b": "x"}) == {"a": 1, "b": "x"}
    assert stand_in.lax({"a": 1}) == {"a": 1}


PNG = b"\x89PNG\r\n\x1a\n" + b"x" * 20
PDF = b"%PDF-1.7\n" + b"/Type /Page\n" * 3 + b"/Type /Pages"
IMAGE = {"contentMediaType": "image/*"}
DOCUMENT = {"contentMediaType": "application/pdf"}


def inline(content, mime_type, **more):
    return {"base64": base64.b64encode(content).decode(), "mime_type": mime_type, **more}


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        (IMAGE, inline(PNG, "image/png", type="image", filename="a.png")),
        (IMAGE, inline(b"\xff\xd8\xff123", "image/jpg", type="image", filename="a.JPEG")),
        (IMAGE, inline(b"RIFF1234WEBPVP8", "image/webp", type="image")),
        (IMAGE, {"url": "https://example.org/a.png", "type": "image"}),
        (DOCUMENT, inline(PDF, "application/pdf", type="pdf", filename="a.pdf")),
        (DOCUMENT, {"url": "https://example.org/a.pdf"}),
    ],
)
def test_assets_are_taken_as_they_come(schema, value):
    assert fields(x=schema).strict({"x": value}) == {"x": value}


@pytest.mark.parametrize(
    ("schema", "value", "why"),
    [
        (IMAGE, "text", "takes an image asset"),
        (IMAGE, inline(PDF, "application/pdf", type="pdf"), "takes an image asset"),
        (IMAGE, inline(PNG, "image/gif"), "no MIME type"),
        (IMAGE, inline(PNG, "application/pdf"), "no MIME type"),
        (IMAGE, inline(PNG, None), "no MIME type"),
        (IMAGE, inline(PNG, "image/png", filename="a.jpg"), "is not image/png"),
        (IMAGE, inline(PNG, "image/jpeg"), "content is not image/jpeg"),
        (IMAGE, {"base64": "%", "mime_type": "image/png"}, "is not base64"),
        (IMAGE, inline(PNG + b"x" * 5 * 1024 * 1024, "image/png"), "the limit is 5242880"),
        (IMAGE, {"url": "http://example.org/a.png"}, "must be https"),
        (IMAGE, {"name": "stored.png", "type": "image"}, "no asset"),
        (IMAGE, {}, '"base64", "url" or "name"'),
        (DOCUMENT, inline(PDF * 50, "application/pdf"), "more than 100 pages"),
    ],
)
def test_an_asset_that_is_not_what_it_says_is_refused(schema, value, why):
    with pytest.raises(InvalidInputError, match=why):
        fields(x=schema).strict({"x": value})


def test_rows_of_a_job_are_text_only():
    with pytest.raises(InvalidInputError, match="text only"):
        fields(x=IMAGE).lax({"x": inline(PNG, "image/png")})


def test_an_asset_in_a_text_field_is_json_text():
    value = inline(PNG, "image/png")
    assert json.loads(fields(x={"type": "string"}).strict({"x": value})["x"]) == value
