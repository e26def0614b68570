"""Bodies of results in which one thing after the other is odd: rows, tables and summaries hold."""

import json

import orjson
import pytest

from langchain_sutro import BatchResults, SutroClient
from langchain_sutro._core.jobs.calls import fetch_results
from langchain_sutro.errors import SutroError
from tests.support.hostile_answers import mutants
from tests.support.raw_server import http, raw_server

PAYLOAD = {"label": "yes", "scores": [0.1], "why": {"a": "b"}}
COLUMNS = {
    "outputs": [json.dumps(PAYLOAD), None],
    "confidence_score": [0.9, None],
    "inputs": ["text", "text"],
    "cumulative_logprobs": [-0.5, None],
    "record_id": [101, 102],
}
READS = {
    "rows": list,
    "one row": lambda results: results[0],
    "summary": lambda results: results.summary(),
    "errors": lambda results: results.errors,
    "pandas": lambda results: results.to_pandas(),
    "arrow": lambda results: (results.to_arrow(), results.to_arrow(unpack=False)),
    "representation": lambda results: repr(results) + results._repr_html_(),
}


def troubles(results):
    """What went wrong in another way than by an error of this package."""
    found = []
    for name, work in READS.items():
        try:
            work(results)
        except SutroError:
            pass
        except Exception as error:  # noqa: BLE001 - what this test is about
            found.append((name, repr(error)[:200]))
    return found


def test_any_columns_are_results_or_an_error_of_this_package():
    bodies = list(mutants({"results": COLUMNS}))
    assert len(bodies) >= 150
    said, wrong = [b""], {}
    with raw_server(lambda *_: http(said[0])) as server:
        client = SutroClient(api_url=server.url, api_key="sk_1", max_retries=0)
        for what, body in bodies:
            said[0] = orjson.dumps(body)
            try:
                results = fetch_results(client, "job-1", rows=2)
            except SutroError:
                continue
            assert len(results) == 2
            wrong[what] = troubles(results)
    assert {what: found for what, found in wrong.items() if found} == {}


def test_any_output_is_a_row_or_the_error_of_its_row():
    wrong = {}
    for what, payload in mutants(PAYLOAD):
        text = json.dumps(payload)
        for output in (text, text[:-1], payload, f"\ufeff{text}", {"output": payload}):
            results = BatchResults.from_columns({"outputs": [output, json.dumps(PAYLOAD)]})
            wrong[f"{what}, {str(output)[:20]!r}"] = troubles(results)
            assert results[1].answer is not None
    assert {what: found for what, found in wrong.items() if found} == {}


@pytest.mark.parametrize("column", COLUMNS)
def test_a_column_of_another_length_is_an_error(column):
    columns = COLUMNS | {column: COLUMNS[column] * 2}
    with raw_server(lambda *_: http(orjson.dumps({"results": columns}))) as server:
        client = SutroClient(api_url=server.url, api_key="sk_1", max_retries=0)
        with pytest.raises(SutroError):
            fetch_results(client, "job-1", rows=2)
