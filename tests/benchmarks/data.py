"""The tables: made once for each size, and kept."""

import random
from pathlib import Path

REGIONS = ("EMEA", "APAC", "AMER", "LATAM")
LABELS = ("qualified", "not_qualified", "unclear")
WORDS = (
    "budget",
    "approved",
    "seats",
    "contract",
    "pilot",
    "pricing",
    "student",
    "licence",
    "team",
)
TEXT = 80
# What is done once before it is measured, so that imports and connections are there.
WARM_UP = 100


def prepare(folder, rows):
    """Tables of leads and of their results, with this many rows.

    Args:
        folder: Where each size has a folder of its own.
        rows: How many.

    Returns:
        The folder of this size.
    """
    import pyarrow as pa
    import pyarrow.csv
    import pyarrow.parquet

    made = folder / str(rows)
    if (made / "complete").exists():
        return made
    made.mkdir(parents=True, exist_ok=True)
    chance = random.Random(rows)
    leads = pa.table(
        {
            "query": [_text(chance, number, TEXT) for number in range(rows)],
            "region": [chance.choice(REGIONS) for _ in range(rows)],
        }
    )
    pa.parquet.write_table(leads, made / "leads.parquet")
    pa.csv.write_csv(leads, made / "leads.csv")
    results = pa.table(
        {
            "outputs": [
                f'{{"label":"{chance.choice(LABELS)}","rationale":"{_text(chance, number, 40)}"}}'
                for number in range(rows)
            ],
            "confidence_score": [round(chance.random(), 4) for _ in range(rows)],
        }
    )
    pa.parquet.write_table(results, made / "results.parquet")
    _write_json(made / "results.json", results)
    (made / "complete").touch()
    return made


def _text(chance, number, length):
    words = f"{number:08d} " + " ".join(chance.choices(WORDS, k=length // 4))
    return words[:length]


def _write_json(path, results):
    import orjson

    columns = {name: results[name].to_pylist() for name in results.column_names}
    path.write_bytes(orjson.dumps({"results": columns, "message": ""}))


def load(kind, folder):
    """The leads as a user holds them; files stay paths."""
    path = Path(folder) / "leads.parquet"
    if kind == "pandas":
        import pandas as pd

        return pd.read_parquet(path)
    if kind == "polars":
        import polars as pl

        return pl.read_parquet(path)
    if kind == "list":
        import csv

        with path.with_suffix(".csv").open(newline="") as file:
            return list(csv.DictReader(file))
    return str(path.with_suffix(f".{kind}"))
