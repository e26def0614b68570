"""The main job, seen from the terminal: `make demo`.

Without `SUTRO_API_URL` and `SUTRO_API_KEY` a local deployment is started for the length of the
demo. Another deployment needs the Function and its fields:
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
from langchain_core.tracers.langchain import wait_for_all_tracers
from langsmith import traceable

from langchain_sutro import SutroFunction
from tests.langsmith_recorder import LangSmithRecorder

BOLD, DIM, END = ("\033[1m", "\033[2m", "\033[0m") if sys.stdout.isatty() else ("", "", "")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m cookbook.demo", description=__doc__)
    parser.add_argument("--function", default="lead-qualifier", help="default: %(default)s")
    parser.add_argument("--csv", type=Path, help="default: the leads that ship with the package")
    parser.add_argument("--text-field", default="query", help="default: %(default)s")
    options = parser.parse_args()
    with ExitStack() as stack:
        if not (os.environ.get("SUTRO_API_URL") and os.environ.get("SUTRO_API_KEY")):
            start_local(stack)
        recorder = record_traces(stack)
        table = options.csv or shipped_leads()
        with table.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        demonstrate(options.function, options.text_field, table, rows)
        wait_for_all_tracers()
        show_trace(recorder)


def start_local(stack: ExitStack) -> None:
    from langchain_sutro.local import LocalDeployment

    deployment = stack.enter_context(LocalDeployment())
    os.environ["SUTRO_API_URL"] = deployment.url
    os.environ["SUTRO_API_KEY"] = deployment.api_key
    print(f"{DIM}A local deployment answers at {deployment.url}{END}")


def shipped_leads() -> Path:
    from langchain_sutro.local import sample_leads

    return sample_leads()


def record_traces(stack: ExitStack) -> LangSmithRecorder:
    """Stand in for LangSmith, so that the trace can be shown without an account."""
    recorder = stack.enter_context(LangSmithRecorder())
    os.environ |= {
        "LANGSMITH_TRACING": "true",
        "LANGSMITH_ENDPOINT": recorder.url,
        "LANGSMITH_API_KEY": "lsv2_demo",
        "LANGSMITH_PROJECT": "sutro-demo",
    }
    return recorder


def demonstrate(name: str, text_field: str, table: Path, rows: list[dict[str, str]]) -> None:
    fields = [field for field in rows[0] if field != "label"]
    schema = {
        "type": "object",
        "properties": {field: {"type": "string"} for field in fields},
        "required": fields,
    }
    judge = SutroFunction(name, description="Decides about a lead.", args_schema=schema)
    first = {field: rows[0][field] for field in fields}

    heading("1. Invoke: one real-time run")
    result = judge.invoke(first)
    print(f"   {clip(first[text_field])}\n   → {verdict(result.answer, result.confidence)}")

    heading("2. A pipeline, inside a traced function with metadata and tags")

    @traceable(name="nightly check", metadata={"customer": "acme", "run": 42}, tags=["nightly"])
    def nightly(texts: list[str]) -> list[str]:
        others = {field: first[field] for field in fields if field != text_field}
        chain = (
            RunnableLambda(lambda text: {**others, text_field: text}, name="prepare")
            | judge
            | RunnableLambda(lambda found: found.answer, name="answer")
        )
        return chain.batch(texts)

    texts = [row[text_field] for row in rows[1:4]]
    for text, answer in zip(texts, nightly(texts), strict=True):
        print(f"   {clip(text)}\n   → {answer}")

    heading("3. A tool for an agent")
    tool = judge.as_tool()
    message = tool.invoke({"type": "tool_call", "id": "call_1", "name": tool.name, "args": first})
    print(f"   the model calls {tool.name}({clip(json.dumps(first))})")
    print(f"   and reads {message.content}")

    heading(f"4. A table: {len(rows)} rows of {table.name} as one Batch job")
    wanted = [{field: row[field] for field in fields} for row in rows]
    job = judge.submit(wanted)
    results = job.results(progress=True)
    print(f"   {job}")
    summary = results.summary()
    for answer, count in (summary.answers or {}).items():
        print(f"   {answer:>16} {count:5}  {'█' * round(40 * count / len(rows))}")
    if "label" in rows[0]:
        right = sum(
            row["label"] == getattr(result, "answer", None)
            for row, result in zip(rows, results, strict=True)
        )
        print(f"   agrees with the labels in the file on {right} of {len(rows)} rows")
    least = min(
        (pair for pair in zip(rows, results, strict=True) if hasattr(pair[1], "confidence")),
        key=lambda pair: pair[1].confidence or 0,
    )
    print(f"   least sure: {clip(least[0][text_field])}")
    print(f"   → {verdict(least[1].answer, least[1].confidence)}")


def show_trace(recorder: LangSmithRecorder) -> None:
    heading("5. What LangSmith was told")
    runs = sorted(recorder.runs.values(), key=lambda run: run["dotted_order"])
    for run in runs:
        depth = run["dotted_order"].count(".")
        metadata = (run.get("extra") or {}).get("metadata") or {}
        shown = {
            key: value
            for key, value in metadata.items()
            if key in ("customer", "run") or key.startswith("sutro_")
        }
        facts = ", ".join(f"{key}={value}" for key, value in shown.items())
        tags = [tag for tag in run.get("tags") or [] if not tag.startswith("seq:")]
        print(f"   {'  ' * depth}{run['name']} {DIM}[{run['run_type']}]{END} {facts} {tags or ''}")
    calls = [run for run in runs if run["run_type"] == "llm"]
    print(f"   {len(runs)} runs, {len(calls)} of them calls of the Function")


def heading(text: str) -> None:
    print(f"\n{BOLD}{text}{END}")


def verdict(answer: object, confidence: float | None) -> str:
    return f"{answer}" + (f" ({confidence:.0%})" if confidence is not None else "")


def clip(text: str) -> str:
    return text if len(text) <= 90 else text[:87] + "…"


if __name__ == "__main__":
    main()
