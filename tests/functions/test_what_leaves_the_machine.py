"""What leaves the machine, from each entry point, with and without a schema: as the docs say."""

import re

import pandas as pd
import pytest
from langsmith.schemas import Example
from pydantic import BaseModel

from langchain_sutro import SutroFunction, evaluate_dataset
from langchain_sutro.agents.job_toolkit import SutroJobToolkit
from langchain_sutro.errors import SutroError
from langchain_sutro.local import LocalDeployment
from tests.support.environments import ROOT

ANY = {"type": "object", "properties": {}, "additionalProperties": True}
ROW = {"query": "300 seats", "region": "APAC", "salary": 1}


class Lead(BaseModel):
    query: str
    region: str


def example(row):
    return Example(id="7b1f6c1e-6c0c-4ef4-9f1c-0d1b7f0f5a11", inputs=row, outputs={"label": "x"})


def tool(fn):
    return fn.as_tool(args_schema=fn.args_schema or ANY, description="Names fields.")


def job_tool(fn, folder=None, **arguments):
    toolkit = SutroJobToolkit(function=fn, root=folder, prefix="")
    start = next(one for one in toolkit.get_tools() if one.name == "start_job")
    return start.invoke(arguments)


ENTRIES = {
    "`invoke`": lambda fn, _: fn.invoke(ROW),
    "`batch`": lambda fn, _: fn.batch([ROW]),
    'with `extra_fields="ignore"`': lambda fn, _: fn.model_copy(
        update={"extra_fields": "ignore"}
    ).batch([ROW]),
    "`assign_as`": lambda fn, _: fn.assign_as("answer").invoke(ROW),
    "`submit`": lambda fn, _: fn.submit(pd.DataFrame([ROW])),
    '`submit` with `fields=["query"]`': lambda fn, _: fn.submit([ROW], fields=["query"]),
    "`submit_in_parts`": lambda fn, _: fn.submit_in_parts([ROW], 1),
    "`evaluate_dataset`": lambda fn, _: evaluate_dataset(
        fn, [example(ROW)], upload_results=False
    ),
    "`SutroTool`": lambda fn, _: tool(fn).invoke(ROW),
    "job tools, rows": lambda fn, _: job_tool(fn, rows=[ROW]),
    "job tools, a file": lambda fn, folder: job_tool(fn, folder, file="leads.csv"),
    "`SutroClient.batch_run_function`": lambda fn, _: fn.client.batch_run_function("any", [ROW]),
}  # fmt: skip


@pytest.fixture(scope="module")
def running():
    with LocalDeployment() as deployment:

        @deployment.function(name="any", input_schema=ANY)
        def any_(row: dict) -> str:
            """Names the fields."""
            return ",".join(sorted(row))

        yield deployment


def documented() -> dict[str, tuple[str, str]]:
    """The table of the page: entry point -> without a schema, with one."""
    page = (ROOT / "docs/pipelines.md").read_text()
    section = page.partition("### What leaves the machine")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| (.+?) \| (.+?) \| (.+?) \|$", section, re.MULTILINE)
    return {name: (without, with_) for name, without, with_ in rows[2:]}


def received(running) -> str:
    """What the service got, in the words of the table."""
    names: set[str] = set()
    for request in running.requests:
        if request.method == "POST" and isinstance(request.body, dict):
            rows = request.body.get("inputs", [request.body.get("input", {})])
            for row in rows if isinstance(rows, list) else []:
                names |= set(row)
    if names == {"query", "region", "salary"}:
        return "all fields"
    if names == {"query", "region"}:
        return "the schema's fields"
    return "nothing: an error" if not names else ", ".join(f"`{name}`" for name in sorted(names))


@pytest.mark.parametrize("entry", ENTRIES)
@pytest.mark.parametrize("schema", [None, Lead], ids=["without", "with"])
def test_the_service_receives_what_the_page_says(running, tmp_path, entry, schema):
    (tmp_path / "leads.csv").write_text("query,region,salary\n300 seats,APAC,1\n")
    fn = SutroFunction(
        "any", args_schema=schema, api_url=running.url, api_key=running.api_key, description="d"
    )
    running.requests.clear()
    try:
        ENTRIES[entry](fn, tmp_path)
    except SutroError:
        assert not [one for one in running.requests if one.method == "POST"]
    said = documented()[entry][schema is not None]
    assert said in ("not possible", received(running))


def test_every_entry_point_of_the_page_is_tried():
    assert documented().keys() == ENTRIES.keys() | {"a table behind a URL"}
