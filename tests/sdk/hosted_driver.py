"""Runs in an environment with sutro 0.1.60: real-time and batch calls of the hosted generation.

Prints one JSON object; the SDK prints too, so its output goes to stderr.
"""

import json
import sys
import time

ANSWERS = sys.stdout
sys.stdout = sys.stderr

from sutro.sdk import Sutro  # noqa: E402

ROWS = [
    {"query": "We have budget approved for 400 seats, please send a contract.", "region": "EMEA"},
    {"query": "I am a student, is there a free licence?", "region": "APAC"},
]


def main():
    url, key = sys.argv[1:]
    client = Sutro(api_key=key, base_url=url, serving_base_url=url)
    job_id = client.batch_run_function("lead-qualifier", ROWS)
    for _ in range(200):
        if str(client.get_job_status(job_id)).rpartition(".")[2] == "SUCCEEDED":
            break
        time.sleep(0.05)
    results = client.await_job_completion(job_id)
    answers = {
        "classified": client.run_function("lead-qualifier", ROWS[0]),
        "extracted": client.run_function("lead-extractor", {"text": "Acme Foods in Berlin"}),
        "job_id": job_id,
        "results": {"columns": results.columns, "rows": results.to_dicts()},
        "authentication": client.try_authentication(key),
    }
    json.dump(answers, ANSWERS, default=str)


main()
