"""The main job, seen from the terminal: `make demo`.

Without `SUTRO_API_URL` and `SUTRO_API_KEY` a local deployment is started for the length of the
demo. Another deployment needs the Function and its fields, which are the columns of a CSV (a
column `label` is kept to compare with):
`python -m cookbook.demo --function my-judge --csv rows.csv --text-field question`.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import sys
from contextlib import ExitStack
from pathlib import Path

from langchain_core.runnables import RunnableLambda
from langsmith import traceable

from cookbook.recorded_runs import RecordedRuns, recorded_runs
from langchain_sutro import FunctionResult, SutroFunction, wait_for_job_traces
from langchain_sutro.errors import SutroError

BOLD, DIM, END = ("\033[1m", "\033[2m", "\033[0m") if sys.stdout.isatty() else ("", "", "")
# Of runs that are alike, so many are shown.
ALIKE = 2


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m cookbook.demo",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--function", default="lead-qualifier", help="default: %(default)s")
    parser.add_argument("--csv", type=Path, help="default: the leads that ship with the package")
    parser.add_argument("--text-field", default="query", help="default: %(default)s")
    options = parser.parse_args()
    with ExitStack() as stack:
        table = options.csv or shipped_leads()
        try:
            with table.open(newline="", encoding="utf-8") as file:
                rows = list(csv.DictReader(file))
        except OSError as error:
            parser.error(str(error))
        if not rows or options.text_field not in rows[0]:
            parser.error(f"{table} has no rows with a column {options.text_field!r}.")
        if not (os.environ.get("SUTRO_API_URL") and os.environ.get("SUTRO_API_KEY")):
            start_local(stack)
        print(f"{DIM}The deployment:   {os.environ['SUTRO_API_URL']}")
        runs = record_traces(stack)
        print(f"The trace:        kept on this machine, see 5.{END}")
        try:
            demonstrate(options.function, options.text_field, table, rows)
        except SutroError as error:
            sys.exit(f"{type(error).__name__}: {error}")
        # A table's rows are traced in the background.
        wait_for_job_traces()
        show_trace(runs)


def start_local(stack: ExitStack) -> None:
    from langchain_sutro.local import LocalDeployment

    deployment = stack.enter_context(LocalDeployment())
    os.environ |= deployment.environ
    print(f"{DIM}No deployment is set (SUTRO_API_URL, SUTRO_API_KEY), so one is started here. Its")
    print(f"Function lead-qualifier is a small classifier; it needs no account.{END}")


def shipped_leads() -> Path:
    from langchain_sutro.local import sample_leads

    return sample_leads()


def record_traces(stack: ExitStack) -> RecordedRuns:
    """Keep the trace on this machine, so that it can be shown without an account."""
    # Nothing of the demo goes to a LangSmith that happens to be set up.
    for name in [name for name in os.environ if name.startswith(("LANGSMITH_", "LANGCHAIN_"))]:
        del os.environ[name]
    return stack.enter_context(recorded_runs("sutro-demo"))


def demonstrate(name: str, text_field: str, table: Path, rows: list[dict[str, str]]) -> None:
    fields = [field for field in rows[0] if field != "label"]
    schema = {
        "type": "object",
        "properties": {field: {"type": "string"} for field in fields},
        "required": fields,
    }
    judge = SutroFunction(name, description=f"Judges one {text_field}.", args_schema=schema)
    wanted = [{field: row[field] for field in fields} for row in rows]
    first = wanted[0]

    heading("1. One call", "judge.invoke(row)")
    result = judge.invoke(first)
    print(f"   {clip(first[text_field])}\n   → {verdict(result)}")
    if result.rationale:
        print(f"     {clip(result.rationale)}")

    heading("2. A pipeline, as one Batch job", "(prepare | judge | answer).batch(texts)")
    print(f'   {DIM}called in @traceable(metadata={{"customer": "acme", "run": 42}}, ', end="")
    print(f'tags=["nightly"]){END}')

    @traceable(name="nightly check", metadata={"customer": "acme", "run": 42}, tags=["nightly"])
    def nightly(texts: list[str]) -> list[str]:
        others = {field: first[field] for field in fields if field != text_field}
        chain = (
            RunnableLambda(lambda text: {**others, text_field: text}, name="prepare")
            | judge
            | RunnableLambda(lambda found: found.answer, name="answer")
        )
        return chain.batch(texts)

    texts = [row[text_field] for row in wanted[1:4]]
    for text, answer in zip(texts, nightly(texts), strict=True):
        print(f"   {clip(text)}\n   → {clip(str(answer))}")

    heading("3. A tool for an agent", "judge.as_tool()")
    tool = judge.as_tool()
    message = tool.invoke({"type": "tool_call", "id": "call_1", "name": tool.name, "args": first})
    print(f"   the model calls  {tool.name}({', '.join(fields)})")
    print(f"   and reads        {clip(message.content)}")

    heading(f"4. A table: {len(rows)} rows of {table.name}, as one Batch job", "judge.submit(rows)")
    job = judge.submit(wanted)
    print(f"   {job.job_id}")
    results = job.results(progress=sys.stderr.isatty())
    show_answers(results.summary().answers or {})
    told = [
        (row, one)
        for row, one in zip(rows, results, strict=True)
        if isinstance(one, FunctionResult)
    ]
    if "label" in rows[0]:
        right = sum(row["label"] == one.answer for row, one in told)
        print(f"   {right} of {len(rows)} as the column `label` of the file has it")
    if len(told) < len(rows):
        print(f"   {len(rows) - len(told)} rows without an answer")
    scored = [pair for pair in told if pair[1].confidence is not None]
    if scored:
        row, least = min(scored, key=lambda pair: pair[1].confidence)
        print(f"   the least sure: {clip(row[text_field])}\n   → {verdict(least)}")


def show_answers(answers: dict[str | bool, int]) -> None:
    widest = max((len(str(answer)) for answer in answers), default=0)
    for answer, count in answers.items():
        bar = "█" * round(40 * count / sum(answers.values()))
        print(f"   {answer!s:>{widest}} {count:5}  {bar}")


def show_trace(recorded: RecordedRuns) -> None:
    heading("5. What LangSmith is sent", "no extra code: LANGSMITH_TRACING=true")
    runs = recorded.ordered()
    roots = [run for run in runs if run.get("parent_run_id") is None]
    for part, root in enumerate(roots, 1):
        show_runs(recorded, [root], f"{part}. ")
    calls = [run for run in runs if run["run_type"] == "llm"]
    marked = [run for run in calls if facts(run).get("customer") == "acme"]
    print(
        f"   {len(runs)} runs, {len(calls)} of them answers of the Function; {len(marked)} of these"
    )
    print("   have the metadata and tags of 2, which were passed on to them.")


def show_runs(recorded: RecordedRuns, runs: list[dict], margin: str) -> None:
    """Runs and what is below them; of many of one name the first few."""
    by_name: dict[str, list[dict]] = {}
    for run in runs:
        by_name.setdefault(run["name"], []).append(run)
    below = " " * (len(margin) + 2)
    for name, alike in by_name.items():
        for run in alike[:ALIKE]:
            told = "  ".join(f"{key}={value}" for key, value in facts(run).items())
            print(f"   {margin}{BOLD}{name}{END} [{run['run_type']}] {DIM}{told}{END}")
            show_runs(recorded, recorded.children(run), below)
        if len(alike) > ALIKE:
            print(f"   {margin}… {len(alike) - ALIKE} more {name}")


def facts(run: dict) -> dict[str, object]:
    """Of a run's metadata what the demo is about, and its tags."""
    metadata = (run.get("extra") or {}).get("metadata") or {}
    names = {
        "customer": "customer",
        "run": "run",
        "sutro_request_id": "request",
        "sutro_job_id": "job",
        "sutro_row_index": "row",
        "sutro_confidence": "confidence",
        "sutro_rows_total": "rows",
        "sutro_cost_usd": "cost_usd",
    }
    found = {short: metadata[name] for name, short in names.items() if name in metadata}
    found |= {name: f"{found[name][:12]}…" for name in ("request", "job") if name in found}
    tags = [tag for tag in run.get("tags") or [] if not tag.startswith("seq:")]
    return found | ({"tags": json.dumps(tags)} if tags else {})


def heading(text: str, code: str) -> None:
    print(f"\n{BOLD}{text}{END}  {DIM}{code}{END}")


def verdict(result: FunctionResult) -> str:
    sure = "" if result.confidence is None else f"  (confidence {result.confidence:.3f})"
    return f"{clip(str(result.answer))}{sure}"


def clip(text: str) -> str:
    return text if len(text) <= 90 else text[:89] + "…"


if __name__ == "__main__":
    main()
