"""Runs in an environment with sutro 0.1.67: does the main verbs, and prints one JSON object.

URL and key come from the environment, as for any user. The SDK prints too, so its output goes to
stderr.
"""

import json
import sys
import time
from pathlib import Path

ANSWERS = sys.stdout
sys.stdout = sys.stderr

import sutro as so  # noqa: E402

ROWS = [
    {"query": "We have budget approved for 400 seats, please send a contract.", "region": "EMEA"},
    {"query": "I am a student, is there a free licence?", "region": "APAC"},
    {"query": "Our pilot went well, can your team call me about pricing?", "region": "AMER"},
]


def frame(table):
    return {"columns": table.columns, "rows": table.to_dicts()}


def ended(job_id):
    """Wait without the SDK's five seconds between two looks."""
    for _ in range(200):
        status = str(so.get_job_status(job_id)).rpartition(".")[2]
        if status in ("SUCCEEDED", "FAILED", "CANCELLED"):
            return status
        time.sleep(0.05)
    raise TimeoutError(job_id)


def error(call):
    try:
        call()
    except Exception as problem:  # noqa: BLE001 - any error is an answer here
        return {
            "type": type(problem).__name__,
            "status": problem.response.status_code,
            "body": problem.response.json(),
        }
    return None


def real_time():
    answer = so.run_function("lead-qualifier", ROWS[0])
    unscored = so.run_function("lead-qualifier", ROWS[0], confidence_scoring=False)
    return {
        "answer": dict(answer),
        "confidence": answer.confidence,
        "request_id": answer.request_id,
        "unscored": unscored.confidence,
        "text": dict(so.run_function("lead-extractor", "Acme Foods in Berlin, 40 people")),
        "missing": error(lambda: so.run_function("lead-qualifier", {"query": "x"})),
        "unknown": error(lambda: so.run_function("no-such-function", {"query": "x"})),
    }


def batch(folder):
    import polars as pl

    job_id = so.batch_run_function("lead-qualifier", ROWS, job_name="sdk", description="proof")
    ended(job_id)
    download = so.download_job_results(job_id, output_path=str(folder / "results.parquet"))
    return {
        "job_id": job_id,
        "awaited": frame(so.await_job_completion(job_id)),
        "results": frame(so.get_job_results(job_id)),
        "raw": frame(so.get_job_results(job_id, unpack_json=False)),
        "with_inputs": frame(so.get_job_results(job_id, include_inputs=True)),
        "joined": frame(so.get_job_results(job_id, with_original_df=pl.DataFrame(ROWS))),
        "url": so.results_download_url(job_id),
        "download": download,
        "downloaded": frame(pl.read_parquet(download)),
        "jobs": so.list_jobs(),
    }


def from_url(url):
    job_id = so.batch_run_function("lead-qualifier", url, id_column="lead_id")
    return {"status": ended(job_id), "results": frame(so.get_job_results(job_id))}


def cancelled():
    job_id = so.batch_run_function("slow", [{"text": str(number)} for number in range(1000)])
    answer = so.cancel_job(job_id)
    return {"job_id": job_id, "answer": answer, "status": ended(job_id)}


def attached():
    """The progress stream, as the SDK follows it."""
    rows = [{"text": str(number)} for number in range(150)]
    return so.batch_run_function("followed", rows, stay_attached=True)


def main():
    folder = Path(sys.argv[1])
    answers = {
        "authentication": so.try_authentication(sys.argv[2]),
        "quotas": so.get_quotas(),
        "real_time": real_time(),
        "batch": batch(folder),
        "from_url": from_url(sys.argv[3]),
        "cancelled": cancelled(),
        "attached": attached(),
    }
    json.dump(answers, ANSWERS, default=str)


main()
