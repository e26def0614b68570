"""A driver of a local Spark, which prints what it found as JSON: see `test_spark`."""

import json
import os
import signal
import sys
from pathlib import Path

import pyarrow as pa
from pyspark.sql import SparkSession

from langchain_sutro import SutroFunction, spark
from langchain_sutro._core.staging import PartWriter
from langchain_sutro.errors import SutroError
from langchain_sutro.spark import run_function
from tests.clusters.page import run_page
from tests.clusters.rows import row

COUNT, MOST = 60, 10
SCHEMA = pa.schema([("label", pa.string())])


def frame(session, count=COUNT):
    return session.createDataFrame(pa.Table.from_pylist([row(index) for index in range(count)]))


def echo(name="echo"):
    return SutroFunction(name, poll_interval=0.05)


def told(found):
    rows = [one.asDict() for one in found.collect()]
    for one in rows:
        assert one.pop("confidence_score") is None
    return sorted(rows, key=lambda one: one["id"])


class UnrulyWriter(PartWriter):
    """The first task of the first partition fails after its work, that of the second is killed."""

    def write(self, tables, task):
        first = self.is_first(task)
        returned = super().write(tables, task)
        if first and task == 0:
            raise OSError("once more")
        if first and task == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        return returned

    def is_first(self, task):
        try:
            (Path(self.stage.address).parent / f"task-{task}").touch(exist_ok=False)
        except FileExistsError:
            return False
        return True


def main(folder):
    place = Path(folder)
    session = (
        SparkSession.builder.master("local[2,4]")
        .config("spark.driver.host", "127.0.0.1")
        .config("spark.driver.bindAddress", "127.0.0.1")
        .config("spark.ui.enabled", "false")
        .config("spark.sql.warehouse.dir", str(place / "warehouse"))
        .getOrCreate()
    )
    how = {"fields": ["n"], "output_schema": SCHEMA, "stage": place / "stage"}
    spark.PartWriter = UnrulyWriter
    found = run_function(frame(session).repartition(3), echo(), **how, max_rows_per_part=MOST)
    spark.PartWriter = PartWriter
    again = run_function(frame(session), echo(), **how)
    try:
        run_function(frame(session), echo("sometimes"), **how)
    except SutroError as error:
        other = type(error).__name__
    empty = run_function(
        frame(session).limit(0), echo(), output_schema=SCHEMA, stage=place / "empty"
    )
    said = {
        "rows": told(found), "again": told(again), "other": other,
        "empty": [told(empty), empty.columns],
        "page": run_page("spark", place),
        "parts": len(list((place / "stage" / "rows").iterdir())),
    }  # fmt: skip
    session.stop()
    print(json.dumps(said))


if __name__ == "__main__":
    main(*sys.argv[1:])
