"""Processes that are killed while their objects are staged, submitted and written: paid once."""

import io
import json

import pyarrow as pa
import pytest
from pyarrow import parquet

from langchain_sutro.local import LocalDeployment
from tests.faults.functions import FUNCTIONS
from tests.faults.processes import output, start, wait_until
from tests.support.numbered_rows import labels, rows
from tests.support.object_storage import BUCKET, object_storage

COUNT, JOBS = 12, 3
LONG = 5.0


@pytest.fixture
def store():
    with object_storage() as running:
        content = io.BytesIO()
        parquet.write_table(pa.Table.from_pylist(rows(COUNT)), content)
        running.files.pipe(f"{BUCKET}/in/all.parquet", content.getvalue())
        yield running


def places(folder):
    return (
        folder / "parts.json",
        f"s3://{BUCKET}/in/",
        f"s3://{BUCKET}/staged/",
        f"s3://{BUCKET}/out/",
    )


def check(store, deployment, manifest):
    assert len(deployment.jobs) == len({job["description"] for job in deployment.jobs}) == JOBS
    assert (manifest["rows"], manifest["errors"]) == (COUNT, 0)
    names = [one["name"] for one in manifest["files"]]
    found = sorted(store.files.ls(f"{BUCKET}/out", refresh=True))
    assert [one.rpartition("/")[2] for one in found] == ["_manifest.json", *names]
    tables = [
        parquet.read_table(io.BytesIO(store.files.cat(f"{BUCKET}/out/{name}"))) for name in names
    ]
    whole = pa.concat_tables(tables)
    assert whole["n"].to_pylist() == [row["n"] for row in rows(COUNT)]
    assert whole["label"].to_pylist() == labels(COUNT)


@pytest.mark.slow
@pytest.mark.parametrize("handled", [True, False], ids=["made", "not made"])
def test_objects_of_a_process_that_was_killed_are_finished_by_several(tmp_path, store, handled):
    with LocalDeployment(FUNCTIONS) as deployment:
        replaced = {} if handled else {"status": 500}
        deployment.faults.add("batch-inference", skip=1, delay=LONG, **replaced)
        process = start("object_worker", "submit", *places(tmp_path), **deployment.environ)
        made = 2 if handled else 1
        wait_until(
            lambda: (
                sum("batch-inference" in one.path for one in deployment.requests) == 2
                and len(deployment.jobs) == made
            )
        )
        process.kill()
        assert process.communicate()[0] == "", "it was not done"
        deployment.faults.clear()
        if not handled:
            first = start("object_worker", "resume", *places(tmp_path), **deployment.environ)
            assert "unknown" in json.loads(output(first))
            assert len(deployment.jobs) == made
        verb = "resume" if handled else "resubmit"
        together = [
            start("object_worker", verb, *places(tmp_path), **deployment.environ) for _ in range(2)
        ]
        for one in [json.loads(output(process)) for process in together]:
            check(store, deployment, one)
        assert "Signature" not in (tmp_path / "parts.json").read_text()
