"""Files that are broken by chance: a right table or an error of this package, never fewer rows."""

import csv
import gzip
import io
import json
import random
import zlib

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from langchain_sutro.errors import SutroInputError
from tests.support.spooled import rows_of

ROWS = [
    {"query": f'{number} seats, "please"\r\nby Friday ü {"x" * (number % 50)}', "region": "APAC"}
    for number in range(400)
]


def as_csv() -> bytes:
    out = io.StringIO(newline="")
    writer = csv.DictWriter(out, ["query", "region"], lineterminator="\r\n")
    writer.writeheader()
    writer.writerows(ROWS)
    return out.getvalue().encode()


def as_parquet() -> bytes:
    out = io.BytesIO()
    table = pa.Table.from_pylist(ROWS)
    pq.write_table(table, out, write_page_checksum=True, row_group_size=100)
    return out.getvalue()


def read_csv(content: bytes):
    """What Python's strict reader makes of it; None if it is not valid."""
    try:
        text = content.decode("utf-8-sig")
        records = [one for one in csv.reader(io.StringIO(text, newline=""), strict=True) if one]
    except (ValueError, csv.Error):
        return None
    header = records[0] if records else []
    if not header or any(len(one) != len(header) for one in records):
        return None
    return [dict(zip(header, one, strict=True)) for one in records[1:]]


def read_json_lines(content: bytes):
    try:
        lines = content.decode("utf-8-sig").split("\n")
        return [json.loads(line) for line in lines if line.strip()]
    except ValueError:
        return None


def read_gzip(content: bytes):
    try:
        return read_csv(gzip.decompress(content))
    except (OSError, EOFError, ValueError, zlib.error):
        return None


GOOD = {
    "csv": (as_csv(), read_csv),
    "jsonl": ("\n".join(map(json.dumps, ROWS)).encode(), read_json_lines),
    "csv.gz": (gzip.compress(as_csv(), mtime=0), read_gzip),
    "parquet": (as_parquet(), None),
}


def broken(good: bytes, how: str, chance: random.Random) -> bytes:
    place = chance.randrange(len(good))
    if how == "flipped":
        flipped = good[place] ^ chance.randrange(1, 256)
        return good[:place] + bytes([flipped]) + good[place + 1 :]
    if how == "cut":
        return good[:place]
    if how == "joined":
        return good[:place] + good
    if how == "removed":
        return good[:place] + good[place + chance.randrange(1, 40) :]
    if how == "quoted":
        return good[:place] + b'"' + good[place:]
    text = good.decode("utf-8", errors="replace")
    return text.encode(chance.choice(["utf-16", "utf-16-le", "latin-1", "utf-32"]), "replace")


@pytest.mark.parametrize("how", ["flipped", "cut", "joined", "removed", "quoted", "encoded"])
@pytest.mark.parametrize("ending", GOOD)
def test_a_broken_file_is_read_right_or_refused(tmp_path, ending, how):
    good, right = GOOD[ending]
    chance = random.Random(f"{ending} {how}")
    path = tmp_path / f"t.{ending}"
    refused = []
    for _ in range(20):
        content = broken(good, how, chance)
        path.write_bytes(content)
        try:
            rows = rows_of(path)
        except SutroInputError as error:
            refused.append(str(error))
            continue
        if right is None:
            # The names of columns in its footer have no checksum, but the rows have.
            assert [list(row.values()) for row in rows] == [list(row.values()) for row in ROWS]
        else:
            assert rows == right(content)
    assert not [said for said in refused if str(tmp_path) in said or "by Friday" in said]
    if ending == "parquet" and how != "joined":
        assert refused
