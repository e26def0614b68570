"""A driver of a Ray cluster, which prints what it found as JSON: see `test_ray`."""

import json
import os
import signal
import sys
import time
from pathlib import Path

import pyarrow as pa
import ray
from pydantic import BaseModel
from ray.data import DataContext

from langchain_sutro import SutroFunction
from langchain_sutro._core.staging import stage as stage_module
from langchain_sutro.errors import SutroError
from langchain_sutro.ray import ResultsDatasource, StageDatasink, run_function
from tests.clusters.page import run_page
from tests.clusters.rows import row

COUNT, MOST = 60, 20
SCHEMA = pa.schema([("label", pa.string())])


class Strict(BaseModel):
    """No row of the dataset fits."""

    n: bool


def dataset(count=COUNT, *, go=None):
    """Rows in six blocks; from the second block on, they wait for a file, if one is given."""

    def made(one):
        index = one["id"]
        while go is not None and index >= count // 2 and not go.exists():
            time.sleep(0.02)
        return row(index)

    return ray.data.range(count, override_num_blocks=6).map(made)


def echo(name="echo", **options):
    """A Function with a key of its own, which must stay in this process."""
    return SutroFunction(name, poll_interval=0.05, **options)


def told(found):
    """The rows of a dataset, without confidences, in the order of their ids."""
    rows = [{**one} for one in found.take_all()]
    for one in rows:
        assert one.pop("confidence_score") is None
    return sorted(rows, key=lambda one: one["id"])


def refused(work):
    try:
        work()
    except SutroError as error:
        return [type(error).__name__, str(error)]
    return None


def whole(folder, *, surely=False):
    """The whole way. Run again after a kill, it goes on where the last one was."""
    (folder / "started").touch()
    found = run_function(
        dataset(go=folder / "go"),
        echo(),
        fields=["n"],
        output_schema=SCHEMA,
        stage=folder / "stage",
        max_rows_per_part=MOST,
        resubmit_unknown=surely,
    )
    return told(found)


def as_text(folder):
    """Without a schema, from a dataset of pandas blocks, all of whose columns are sent."""
    frames = dataset(8).select_columns(["n"]).map_batches(lambda one: one, batch_format="pandas")
    found = run_function(frames, "echo", stage=folder / "stage").take_all()
    return sorted(json.dumps(one) for one in found)


class UnrulySink(StageDatasink):
    """Its first task fails after its work, and its second is killed in the middle of a file."""

    def __init__(self, stage, **options):
        super().__init__(stage, **options)
        self.marks = Path(stage)

    def write(self, blocks, ctx):
        first = self.is_first(f"task-{ctx.task_idx}")
        if first and ctx.task_idx == 1:
            stage_module.os.fsync = lambda _: os.kill(os.getpid(), signal.SIGKILL)
        returned = super().write(blocks, ctx)
        if first and ctx.task_idx == 0:
            raise OSError("once more")
        return returned

    def is_first(self, task):
        self.marks.mkdir(exist_ok=True)
        try:
            (self.marks / task).touch(exist_ok=False)
        except FileExistsError:
            return False
        return True


def repeated(folder):
    """Tasks that are repeated by force; then the halves of the way, one by one."""
    stage = folder / "stage"
    sink = UnrulySink(stage, fields={"n": "n"}, max_rows_per_part=MOST)
    dataset().write_datasink(sink, ray_remote_args={"retry_exceptions": True, "max_retries": 3})
    names = sorted(path.name for path in (stage / "rows").iterdir())
    taken = refused(lambda: ResultsDatasource(stage, ["job-1"], client=echo().client))
    rows = told(
        run_function(dataset(0), echo(), fields={"n": "n"}, output_schema=SCHEMA, stage=stage)
    )
    jobs = [part["job_id"] for part in json.loads((stage / "_jobs.json").read_text())["parts"]]
    source = ResultsDatasource(stage, jobs, output_schema=SCHEMA, client=echo().client)
    halves = told(ray.data.read_datasource(source))
    return {"files": names, "jobs": jobs, "rows": rows, "halves": halves, "taken": taken}


def empty(folder):
    """No rows at all; with and without columns that Ray remembers."""
    known = ray.data.from_arrow(pa.table({"n": pa.array([], pa.string())}))
    gone = dataset().filter(lambda _: False)
    found = [
        run_function(one, echo(), output_schema=SCHEMA, stage=folder / name)
        for name, one in (("known", known), ("gone", gone))
    ]
    return [[one.take_all(), one.schema().names] for one in found]


def errors(folder):
    """Rows without an output."""
    found = run_function(
        dataset(),
        echo("sometimes"),
        fields=["n"],
        output_schema=SCHEMA,
        stage=folder / "stage",
        max_rows_per_part=MOST,
    )
    return told(found)


def clashes(folder):
    """A column of the rows has the name of one of the results."""
    stage = folder / "stage"
    labelled = dataset(6).add_column("label", lambda batch: ["mine"] * len(batch))
    how = {"fields": ["n"], "output_schema": SCHEMA, "stage": stage}
    said = refused(lambda: run_function(labelled, echo(), **how))
    found = run_function(labelled, echo(), **how, suffix="_sutro").take_all()
    return [said, sorted(found, key=lambda one: one["id"])[3]]


def refusals(folder):
    """What is refused before any job is made."""
    stage = folder / "stage"
    schema = refused(
        lambda: run_function(dataset(), echo(args_schema=Strict), output_schema=SCHEMA, stage=stage)
    )
    column = refused(lambda: run_function(dataset(), echo(), fields=["m"], stage=stage))
    dataset(4).write_datasink(StageDatasink(stage, fields=["n"], function="echo"))
    twice = refused(lambda: dataset(4).write_datasink(StageDatasink(stage, fields=["n"])))
    other = refused(lambda: run_function(dataset(4), echo("sometimes"), fields=["n"], stage=stage))
    fields = refused(lambda: run_function(dataset(4), echo(), fields={"m": "n"}, stage=stage))
    url = refused(lambda: run_function(dataset(4), echo(), stage="s3://user:hush@bucket/x"))
    return {
        "schema": schema, "column": column, "twice": twice, "other": other, "fields": fields,
        "url": url,
    }  # fmt: skip


def page(folder):
    """What the documentation shows."""
    return run_page("ray", folder)


VERBS = (as_text, repeated, empty, errors, clashes, refusals, page)


def main(address, folder, verb):
    ray.init(address=address, log_to_driver=False, logging_level="ERROR")
    DataContext.get_current().enable_progress_bars = False
    place = Path(folder)
    if verb in {"whole", "surely"}:
        found = whole(place, surely=verb == "surely")
    else:
        found = {}
        for one in VERBS:
            (place / one.__name__).mkdir()
            found[one.__name__] = one(place / one.__name__)
    print(json.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1:])
