"""Functions for job toolkits, and a folder of tables for them."""

import os

import pandas as pd
import pytest

from langchain_sutro import SutroFunction
from tests.support.job_tools import LEADS, Lead


@pytest.fixture
def qualify(deployment):
    return SutroFunction(
        "lead-qualifier",
        args_schema=Lead,
        description="Decides whether a sales lead is qualified.",
        api_url=deployment.url,
        api_key=deployment.api_key,
        poll_interval=0.1,
    )


@pytest.fixture
def unreachable():
    """A Function behind a port that nobody answers: whatever is sent is another error."""
    return SutroFunction(
        "lead-qualifier",
        args_schema=Lead,
        api_url="http://127.0.0.1:9",
        api_key="sk-local",
        max_retries=0,
    )


@pytest.fixture
def root(tmp_path):
    """A root with tables, beside things that nobody may read."""
    root = tmp_path / "root"
    (root / "sub").mkdir(parents=True)
    pd.DataFrame(LEADS).assign(salary="secret").to_csv(root / "leads.csv", index=False)
    pd.DataFrame(LEADS).to_parquet(root / "sub" / "leads.parquet")
    (root / "notes.txt").write_text("query,region\nnotes,x\n")
    (root / "folder.csv").mkdir()
    os.mkfifo(root / "pipe.csv")
    outside = tmp_path / "outside.csv"
    outside.write_text("query,region\noutside,x\n")
    (root / "link.csv").symlink_to(outside)
    (root / "inner.csv").symlink_to(root / "leads.csv")
    (root / "up").symlink_to(tmp_path)
    (root / "device.csv").symlink_to("/dev/zero")
    return root
