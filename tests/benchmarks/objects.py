"""A large table as objects, from end to end: submitted, answered, and written as objects.

`python -m tests.benchmarks.objects 1000000 20` makes so many rows in so many Parquet objects. The
object storage, the local deployment and the client are processes of their own; the time of each
step and the largest memory of each process are printed. It is not part of `make bench`, because
most of the time is the local deployment's.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pyarrow as pa
from moto.server import ThreadedMotoServer
from pyarrow import parquet

from langchain_sutro import SutroFunction
from langchain_sutro.local import LocalDeployment, LocalFunction

FIELD = {
    "type": "object",
    "properties": {"n": {"type": "string"}, "text": {"type": "string"}},
    "required": ["n"],
}
LABEL = {
    "type": "object",
    "properties": {"label": {"type": "string"}, "score": {"type": "number"}},
}


def echo(row):
    return {"label": f"<{row['n']}>", "score": int(row["n"]) / 2}


FUNCTION = LocalFunction(
    "echo",
    echo,
    batch=lambda rows: [echo(row) for row in rows],
    input_schema=FIELD,
    output_schema=LABEL,
)


def serve(kind):
    """Run the store or the deployment until standard input ends."""
    if kind == "store":
        server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
        server.start()
        host, port = server.get_host_and_port()
        print(f"http://{host}:{port}", flush=True)
        sys.stdin.read()
        return
    with LocalDeployment([FUNCTION]) as deployment:
        print(json.dumps(deployment.environ), flush=True)
        sys.stdin.read()


def client(rows, objects, checkpoint):
    """Submit the objects, wait, and write the results."""
    function = SutroFunction("echo", poll_interval=1.0, job_priority=1)
    marks = {}
    start = time.monotonic()
    group = function.submit_in_parts("s3://tables/in/", max_jobs=8, checkpoint=checkpoint)
    marks["submitted (at most 8 jobs at once)"] = time.monotonic() - start
    assert (len(group), group.rows) == (objects, rows)
    start = time.monotonic()
    group.wait(None)
    marks["waited for the last ones"] = time.monotonic() - start
    start = time.monotonic()
    manifest = group.write_results("s3://tables/out/", inputs=True)
    marks["results and rows written"] = time.monotonic() - start
    assert (manifest["rows"], manifest["errors"]) == (rows, 0)
    print(json.dumps(marks), flush=True)
    sys.stdin.read()


def memory(process):
    """The largest resident memory of a process so far, in MiB."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+)", status)[1]) // 1024


def start(*arguments, **environ):
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.benchmarks.objects", *map(str, arguments)],
        env=os.environ | environ,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    return process, process.stdout.readline()


def fill(rows, objects):
    """Write the objects, and return the file system."""
    from s3fs import S3FileSystem

    files = S3FileSystem()
    files.mkdir("tables")
    each = rows // objects
    for index in range(objects):
        numbers = [f"{number:09}" for number in range(index * each, (index + 1) * each)]
        text = [f"We need {number} seats by Friday, for a team in APAC." for number in numbers]
        with files.open(f"tables/in/part-{index:05}.parquet", "wb") as file:
            parquet.write_table(pa.table({"n": numbers, "text": text}), file)
    return files


def check(files, rows, objects):
    """Every row is there once, in its place, beside its own result."""
    following = 0
    for index in range(1, objects + 1):
        with files.open(f"tables/out/part-{index:05}.parquet") as file:
            table = parquet.read_table(file, columns=["n", "label", "score"])
        numbers = range(following, following + table.num_rows)
        assert table["n"].to_pylist() == [f"{number:09}" for number in numbers]
        assert table["label"].to_pylist() == [f"<{number:09}>" for number in numbers]
        assert table["score"].to_pylist() == [number / 2 for number in numbers]
        following += table.num_rows
    assert following == rows


def main(rows, objects):
    """Measure, and print."""
    keys = {
        "AWS_ACCESS_KEY_ID": "AKIATESTTESTTEST",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    store, address = start("store", **keys)
    os.environ.update(keys, AWS_ENDPOINT_URL=address.strip())
    files = fill(rows, objects)
    server, environ = start("deployment")
    with tempfile.TemporaryDirectory() as folder:
        process, marks = start(
            "client", rows, objects, Path(folder) / "parts.json", **json.loads(environ)
        )
        for name, seconds in json.loads(marks).items():
            print(f"{seconds:8.1f} s  {name}")
        for name, one in (("client", process), ("deployment", server), ("store", store)):
            print(f"{memory(one):6} MiB  {name}")
        check(files, rows, objects)
        for one in (process, server, store):
            one.communicate("")


def command():
    """Read the command line, which the processes that are started here have too."""
    if sys.argv[1:2] in (["store"], ["deployment"]):
        serve(sys.argv[1])
    elif sys.argv[1:2] == ["client"]:
        client(int(sys.argv[2]), int(sys.argv[3]), sys.argv[4])
    else:
        parser = argparse.ArgumentParser(
            prog="python -m tests.benchmarks.objects",
            description=__doc__,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        parser.add_argument("rows", type=int, help="of the whole table")
        parser.add_argument("objects", type=int, help="that the table is in")
        options = parser.parse_args()
        main(options.rows, options.objects)


if __name__ == "__main__":
    command()
