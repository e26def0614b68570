"""Files that an agent's model names: only tables below the root are read, and no other."""

import json
import os
import string
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from langchain_sutro.agents.job_toolkit import SutroJobToolkit
from langchain_sutro.agents.safe_files import RootFiles
from langchain_sutro.errors import SutroConfigurationError, SutroInputError
from tests.support.job_tools import LEADS, as_call, both_ways, sent_rows, told, tools_of


class TestFiles:
    @pytest.mark.parametrize(
        "name", ["leads.csv", "sub/leads.parquet", "./leads.csv", "sub//leads.parquet"]
    )
    @both_ways
    async def test_a_table_below_the_root_becomes_a_job(
        self, qualify, deployment, root, name, sync
    ):
        tools = tools_of(qualify, root=root)
        status, job = await told(tools, "start_job", sync=sync, file=name)
        assert (status, job["rows"]) == ("success", 3)
        assert sent_rows(deployment) == LEADS

    def test_only_the_functions_columns_are_sent(self, qualify, deployment, root):
        tools_of(qualify, root=root)["start_job"].invoke({"file": "leads.csv"})
        assert [list(row) for row in sent_rows(deployment)] == [["query", "region"]] * 3

    def test_without_schema_the_whole_table_is_sent(self, qualify, deployment, root):
        open_minded = qualify.model_copy(update={"args_schema": None, "_schema": None})
        tools_of(open_minded, root=root)["start_job"].invoke({"file": "leads.csv"})
        assert sent_rows(deployment)[0]["salary"] == "secret"

    @pytest.mark.parametrize(
        "name",
        [
            "link.csv",
            "inner.csv",
            "up/outside.csv",
            "../outside.csv",
            "sub/../../outside.csv",
            "sub/../leads.csv",
            "{parent}/outside.csv",
            "/etc/passwd.csv",
            "file:///etc/passwd.csv",
            "file://leads.csv",
            "https://example.com/leads.csv",
            "s3://bucket/leads.csv",
            "http://169.254.169.254/x.csv",
            "~/leads.csv",
            "C:\\leads.csv",
            "..\\outside.csv",
            "notes.txt",
            "leads.csv\u0000.txt",
            "leads.csv\u0000",
            "",
            ".",
            "..",
            ".csv",
            "folder.csv",
            "pipe.csv",
            "device.csv",
            "/dev/zero",
            "none.csv",
            "leads.csv/none.csv",
            "\ud800.csv",
            "x" * 5000 + ".csv",
            "a/" * 5000 + "x.csv",
        ],
    )
    def test_a_name_that_leads_elsewhere_opens_nothing(self, unreachable, root, name):
        tool = tools_of(unreachable, root=root)["start_job"]
        name = name.format(parent=root.parent)
        message = tool.invoke(as_call(tool, file=name))
        assert message.status == "error"
        assert str(root.parent) not in message.content.replace(name, "")

    def test_a_file_above_the_size_is_refused(self, unreachable, root):
        tool = tools_of(unreachable, root=root, max_bytes=20)["start_job"]
        with pytest.raises(SutroInputError, match="larger than the 20 bytes"):
            tool.invoke({"file": "leads.csv"})

    @pytest.mark.parametrize("name", ["leads.csv", "sub/leads.parquet"])
    def test_a_file_with_more_rows_is_refused(self, unreachable, root, name):
        tool = tools_of(unreachable, root=root, max_rows=2)["start_job"]
        with pytest.raises(SutroInputError, match="1 to 2 rows, but there are more"):
            tool.invoke({"file": name})

    @pytest.mark.parametrize(
        ("text", "said"),
        [
            ("", "is empty"),
            ("query,region\n", "has no rows"),
            ("query,area\na,b\n", r"'region': field required.* columns are: 'query', 'area'\."),
            ("query,region\na,b\nc\n", r"wrong\.csv, line 3: .* cells instead of"),
            ('query,region\na,"b\nc,d\ne,f\n', r"wrong\.csv, line 2: a quote is not closed"),
        ],
    )
    def test_a_wrong_table_is_named(self, unreachable, root, text, said):
        (root / "wrong.csv").write_text(text)
        with pytest.raises(SutroInputError, match=said):
            tools_of(unreachable, root=root)["start_job"].invoke({"file": "wrong.csv"})

    def test_the_limit_of_bytes_counts_what_is_sent(self, unreachable, root):
        cell = "x" * 100_000
        table = pa.table({"query": [cell] * 200, "region": ["APAC"] * 200})
        pq.write_table(table, root / "bomb.parquet")
        assert (root / "bomb.parquet").stat().st_size < 100_000
        start = tools_of(unreachable, root=root, max_bytes=100_000)["start_job"]
        with pytest.raises(SutroInputError, match="more than the 100,000 bytes of JSON"):
            start.invoke({"file": "bomb.parquet"})
        with pytest.raises(SutroInputError, match="more than the 100,000 bytes of JSON"):
            start.invoke({"rows": [{"query": cell, "region": "APAC"}]})

    def test_a_field_that_the_schema_does_not_name_is_not_sent(self, qualify, deployment, root):
        rows = [{**row, "note": "secret"} for row in LEADS]
        tools_of(qualify, root=root)["start_job"].invoke({"rows": rows})
        assert sent_rows(deployment) == LEADS

    @pytest.mark.parametrize("ending", ["tsv", "jsonl", "ndjson"])
    def test_other_kinds_of_text_files_are_read_too(self, qualify, deployment, root, ending):
        lines = [json.dumps(row) for row in LEADS]
        if ending == "tsv":
            lines = ["query\tregion", *("\t".join(row.values()) for row in LEADS)]
        (root / f"leads.{ending}").write_text("\n".join(lines))
        tools_of(qualify, root=root)["start_job"].invoke({"file": f"leads.{ending}"})
        assert sent_rows(deployment) == LEADS

    def test_a_parquet_file_that_is_none_is_named(self, unreachable, root):
        (root / "wrong.parquet").write_bytes(b"PAR1" * 10)
        with pytest.raises(SutroInputError, match=r"wrong\.parquet is not a Parquet file"):
            tools_of(unreachable, root=root)["start_job"].invoke({"file": "wrong.parquet"})

    def test_a_root_that_is_a_link_is_the_developers_choice(self, qualify, root):
        (root.parent / "alias").symlink_to(root)
        tool = tools_of(qualify, root=root.parent / "alias")["start_job"]
        assert json.loads(tool.invoke({"file": "leads.csv"}))["rows"] == 3

    @pytest.mark.parametrize("name", ["none", "outside.csv"])
    def test_a_root_that_is_no_directory_is_an_error(self, unreachable, root, name):
        with pytest.raises(SutroConfigurationError, match="root="):
            SutroJobToolkit(function=unreachable, root=root.parent / name)

    def test_a_file_that_becomes_a_link_meanwhile_is_not_followed(self, root, monkeypatch):
        files = RootFiles(root, 1 << 20)
        looked_at = os.stat

        def swap(path, *args, **kwargs):
            facts = looked_at(path, *args, **kwargs)
            if path == "leads.csv":
                (root / "leads.csv").unlink()
                (root / "leads.csv").symlink_to(root.parent / "outside.csv")
            return facts

        monkeypatch.setattr(os, "stat", swap)
        with pytest.raises(SutroInputError, match="no file"), files.copied("leads.csv"):
            raise AssertionError

    def test_a_file_that_becomes_a_pipe_meanwhile_blocks_nothing(self, root, monkeypatch):
        files = RootFiles(root, 1 << 20)
        looked_at = os.stat

        def swap(path, *args, **kwargs):
            facts = looked_at(path, *args, **kwargs)
            if path == "leads.csv":
                (root / "leads.csv").unlink()
                os.mkfifo(root / "leads.csv")
            return facts

        monkeypatch.setattr(os, "stat", swap)
        with pytest.raises(SutroInputError, match="no file"), files.copied("leads.csv"):
            raise AssertionError

    def test_no_descriptor_and_no_copy_is_left(self, root):
        files = RootFiles(root, 1 << 20)
        opened = Path("/dev/fd")
        before = len(list(opened.iterdir()))
        with files.copied("leads.csv") as copy:
            assert copy.read_bytes() == (root / "leads.csv").read_bytes()
        for name in ("link.csv", "pipe.csv", "none.csv", "sub/leads.csv"):
            with pytest.raises(SutroInputError), files.copied(name):
                raise AssertionError
        assert not copy.exists()
        assert len(list(opened.iterdir())) == before

    PIECES = st.sampled_from(
        ["..", ".", "", "sub", "up", "link.csv", "leads.csv", "outside.csv", "root", "~", "/",
         "file:", "http:", "\\", "%2e%2e", "\u2024\u2024", "\u2215", "pipe.csv", "device.csv",
         "leads.parquet", "\x00", "proc", "self", "cwd"]
    )  # fmt: skip

    @settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(
        st.one_of(
            st.lists(PIECES, max_size=6).map("/".join),
            st.lists(PIECES, max_size=6).map("".join),
            st.text(string.printable, max_size=20).map(lambda text: f"{text}.csv"),
            st.text(max_size=20).map(lambda text: f"../{text}.csv"),
        )
    )
    @example("up/root/leads.csv")
    def test_whatever_the_name_only_files_of_the_root_are_read(self, root, name):
        inside = {(root / "leads.csv").read_bytes(), (root / "sub/leads.parquet").read_bytes()}
        try:
            with RootFiles(root, 1 << 20).copied(name) as copy:
                read = copy.read_bytes()
        except SutroInputError:
            return
        assert read in inside
        assert not {"..", "up", "link.csv", "device.csv"} & set(name.split("/"))
