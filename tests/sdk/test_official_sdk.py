"""The official SDK, unchanged and in an environment of its own, as a client of the deployment."""

import json
import os
import subprocess
import threading
import time
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from langchain_sutro.local import LocalDeployment, sample_functions

pytestmark = [pytest.mark.sdk, pytest.mark.timeout(900)]

HERE = Path(__file__).parent
LABELS = ["qualified", "not_qualified", "qualified"]
TABLE = """\
lead_id,query,region,source
00123,"Budget is approved, 400 seats, send a contract",EMEA,web
00124,"I am a student, is it free?",APAC,web
"""


def slow(text: str) -> str:
    time.sleep(0.01)
    return text


class QuietFiles(SimpleHTTPRequestHandler):
    def log_message(self, *args):
        pass


@pytest.fixture(scope="module")
def deployment():
    with LocalDeployment([*sample_functions(), slow]) as running:

        @running.function()
        def followed(text: str) -> str:
            """Answers when somebody follows the job's progress."""
            deadline = time.monotonic() + 60
            while not streams(running) and time.monotonic() < deadline:
                time.sleep(0.05)
            return text

        yield running


def streams(deployment):
    return [one for one in deployment.requests if "stream-job-progress" in one.path]


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("files")
    (folder / "leads.csv").write_text(TABLE)
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(QuietFiles, directory=folder))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/leads.csv"
    server.shutdown()
    server.server_close()
    thread.join()


def drive(python, driver, *arguments, home, **variables):
    """Run a driver as a user would: nothing but its own home and variables, and no proxies."""
    environment = {"PATH": os.environ["PATH"], "HOME": str(home), **variables}
    command = [str(python), str(HERE / driver), *map(str, arguments)]
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def answers(sdk_67, deployment, files, tmp_path_factory):
    """What the SDK 0.1.67 got."""
    home = tmp_path_factory.mktemp("home")
    driver = "deployment_driver.py"
    return drive(sdk_67, driver, home, deployment.api_key, files, home=home, **deployment.environ)


def test_the_sdk_authenticates_and_reads_quotas(answers):
    assert answers["authentication"]["authenticated"] is True
    assert [quota["priority"] for quota in answers["quotas"]] == [0, 1]


def test_run_function_gives_the_sdk_its_typed_answer(answers):
    real_time = answers["real_time"]
    assert real_time["answer"]["output"]["label"] == "qualified"
    assert 0.5 < real_time["confidence"] <= 1
    assert real_time["request_id"].startswith("rt_")
    assert real_time["unscored"] is None


def test_a_bare_string_reaches_a_function_with_one_field(answers):
    output = answers["real_time"]["text"]["output"]
    assert (output["company"], output["region"]) == ("Acme Foods", "EMEA")


def test_errors_reach_the_sdk_with_their_code(answers):
    missing, unknown = answers["real_time"]["missing"], answers["real_time"]["unknown"]
    assert missing["type"] == "SutroValidationError"
    assert (missing["status"], missing["body"]["code"]) == (422, "invalid_input")
    assert "region" in missing["body"]["detail"]
    assert (unknown["status"], unknown["body"]["code"]) == (404, "function_not_found")


@pytest.mark.parametrize("way", ["awaited", "results", "with_inputs", "joined"])
def test_results_of_a_batch_come_back_unpacked_and_in_order(answers, way):
    table = answers["batch"][way]
    assert [row["label"] for row in table["rows"]] == LABELS
    assert all(0.5 <= row["confidence_score"] <= 1 for row in table["rows"])


def test_results_can_be_joined_to_the_original_table(answers):
    assert answers["batch"]["joined"]["columns"][:2] == ["query", "region"]


def test_raw_results_stay_text(answers):
    rows = answers["batch"]["raw"]["rows"]
    assert [json.loads(row["inference_result"])["label"] for row in rows] == LABELS


def test_presigned_downloads_hold_the_same_results(answers):
    batch = answers["batch"]
    artifact = batch["url"]["artifact"]
    assert batch["url"]["format"] == "parquet"
    assert Path(batch["download"]).stat().st_size == artifact["size_bytes"]
    outputs = [json.loads(row["outputs"])["label"] for row in batch["downloaded"]["rows"]]
    assert outputs == LABELS


def test_jobs_are_listed_with_name_and_description(answers):
    job = answers["batch"]["jobs"][0]
    assert job["job_id"] == answers["batch"]["job_id"]
    assert (job["name"], job["description"], job["num_rows"]) == ("sdk", "proof", 3)


def test_a_table_behind_a_url_carries_its_id_column(answers):
    assert answers["from_url"]["status"] == "SUCCEEDED"
    rows = answers["from_url"]["results"]["rows"]
    assert [row["lead_id"] for row in rows] == ["00123", "00124"]


def test_a_running_job_is_cancelled(answers):
    assert answers["cancelled"]["answer"]["cancelled"] is True
    assert answers["cancelled"]["status"] == "CANCELLED"


def test_the_sdk_follows_the_progress_stream_to_its_end(answers, deployment):
    assert [one.status for one in streams(deployment)] == [200]
    assert answers["attached"].startswith("job-")


def test_storage_never_sees_the_key(answers, deployment):
    storage = [one for one in deployment.requests if one.path.startswith("/storage/")]
    assert storage
    assert not any("authorization" in one.headers for one in storage)


def test_the_hosted_generation_serves_sdk_0_1_60(sdk_60, deployment, tmp_path):
    answers = drive(sdk_60, "hosted_driver.py", deployment.url, deployment.api_key, home=tmp_path)
    classified, extracted = answers["classified"], answers["extracted"]
    assert classified["response"] == "qualified"
    assert [one["label"] for one in classified["predictions"]] == ["qualified", "not_qualified"]
    assert classified["confidence"] == classified["predictions"][0]["confidence"]
    assert classified["rationale"]
    assert "Judge whether" in classified["usage"]["system_prompt"]
    assert extracted["output"] == {"company": "Acme Foods", "segment": "unknown", "region": "EMEA"}
    assert "response" not in extracted
    assert [row["label"] for row in answers["results"]["rows"]] == LABELS[:2]
    assert answers["authentication"]["authenticated"] is True
