"""The memory that results take while they are read, measured in a process of its own."""

import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

ROWS = 1_000_000
# Bytes that may be taken besides the table; they vary with the threads.
BESIDES = {"to_arrow": 46 * 2**20, "to_polars": 64 * 2**20}

READ = """
import sys
from pathlib import Path
import pyarrow as pa
from langchain_sutro import BatchResults

def status(name):
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(one.split()[1]) * 1024 for one in lines if one.startswith(name + ":"))

def read(path):
    results = BatchResults.from_parquet(path)
    return getattr(results, sys.argv[3])(unpack=False)

few, many = sys.argv[1:3]
read(few)
pa.default_memory_pool().release_unused()
before = status("VmRSS")
Path("/proc/self/clear_refs").write_text("5")
kept = read(many)
assert len(kept) == 1_000_000
# Joined chunks would be a copy of all strings.
assert sys.argv[3] != "to_polars" or kept.n_chunks() > 1
print(status("VmHWM") - before)
"""


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A file of a few rows and one of many, and the bytes of the latter in memory."""
    folder = tmp_path_factory.mktemp("memory")
    for name, rows in (("few", 100), ("many", ROWS)):
        numbers = pa.array(range(10_000_000, 10_000_000 + rows)).cast(pa.string())
        why = '", "why": "it says that the budget is approved"}'
        outputs = pc.binary_join_element_wise('{"label": "', numbers, why, "")
        table = pa.table({"outputs": outputs, "confidence_score": pa.repeat(0.5, rows)})
        pq.write_table(table, folder / f"{name}.parquet")
    return folder / "few.parquet", folder / "many.parquet", table.nbytes


@pytest.mark.skipif(
    not Path("/proc/self/clear_refs").exists(), reason="only Linux says how much memory was used"
)
@pytest.mark.parametrize("form", BESIDES)
def test_reading_takes_little_more_than_the_table(files, form):
    few, many, size = files
    measured = subprocess.run(
        [sys.executable, "-c", READ, few, many, form], capture_output=True, text=True, check=True
    )
    assert int(measured.stdout) < size + BESIDES[form]
