"""Secrets planted wherever a service, a user and the environment can put them are found nowhere."""

import asyncio
import base64
import logging
import pickle
import tempfile
import traceback
from dataclasses import replace
from urllib.parse import quote

import orjson
import pytest
from pydantic import BaseModel

from langchain_sutro import (
    SutroFunction,
    SutroJob,
    SutroJobToolkit,
    wait_for_job_traces,
)
from tests.support.amounts import amount
from tests.support.calls import modes
from tests.support.raw_server import http, raw_server
from tests.support.secrets import PRESIGNED
from tests.support.tool_calls import call

BIRD = "c4n4ry"
KEY = f"sk_{BIRD}_0123456789abcdef"
SIGNATURE = f"{BIRD}deadbeefcafe0123456789"
SECRETS = {
    "key": KEY,
    "key in a header": f"Authorization: Key {KEY}",
    "key in capitals": KEY.upper(),
    "encoded key": quote(KEY).replace("_", "%5F"),
    "key in base64": base64.b64encode(KEY.encode()).decode(),
    "key in hex": KEY.encode().hex(),
    "key in two lines": f"{KEY[:12]}\n{KEY[12:]}",
    "bearer": f"Authorization: Bearer {BIRD}.token-0123456789",
    "another key": f"sk-proj-{BIRD}0123456789abcdef0123",
    "database": f"postgres://user:{BIRD}@db.example/x",
    "proxy": f"http://user:{BIRD}@proxy.example:8080",
    "cookie": f"Set-Cookie: session={BIRD}; Path=/",
    **{cloud: url(SIGNATURE) for cloud, url in PRESIGNED.items()},
    **{f"{cloud}, encoded": quote(url(SIGNATURE), safe="") for cloud, url in PRESIGNED.items()},
}
# What a piece of each is found by, in any case.
FOUND = (BIRD, BIRD.encode().hex(), base64.b64encode(KEY.encode()).decode()[4:16].lower())


STAGES = ("/run", "batch-inference", "job-failed", "file", "job-results", "results-url")
# Each stage meets another half or quarter of the secrets, and all with `make test-thorough`.
STEP = {"sync": amount(2, 1), "async": amount(4, 1)}


class Lead(BaseModel):
    """Decides whether a sales lead is qualified."""

    query: str


LEAD = {"query": "300 seats"}


class Service:
    """Answers with a secret in every text; each endpoint fails where the stage says so."""

    def __init__(self, secret, stage):
        self.secret, self.stage = secret, stage
        self.server = None
        said = f"It said {secret} of that."
        self.refusal = {
            "detail": said, "details": [{"msg": said, "loc": [said]}], "code": secret,
            "request_id": secret, "error": {"message": said}, "message": said,
        }  # fmt: skip
        self.reason = {"message": said, "additional_context": {"trace": said}}

    def __call__(self, method, path, body):
        if self.stage in path and "failed" not in self.stage:
            return self._answer(self.refusal, "422 No")
        status = "FAILED" if self.stage == "job-failed" else "SUCCEEDED"
        for part, answer in {
            "/run": {"output": {"label": "yes"}, "request_id": "rt_1"},
            "batch-inference": {"results": "job-1"},
            "job-status": {"job_status": status, "metadata": {"failure_reason": self.reason}},
            "jobs/job-1/results-url": {"urls": {"get": self._file()}},
            "jobs/job-1": {
                "job": {"job_id": "job-1", "status": status, "failure_reason": self.reason}
            },
            "job-results": {"results": {"outputs": ['{"label":"yes"}']}},
            "list-jobs": {"jobs": []},
            "stream": {"message": self.secret},
        }.items():
            if part in path:
                return self._answer(answer)
        return self._answer(self.refusal, "403 No")

    def _answer(self, value, status="200 OK"):
        header = self.secret.replace("\n", " ")
        return http(orjson.dumps(value), status, retry_after=header, location=header, x_echo=header)

    def _file(self):
        return f"{self.server.url}/file?X-Amz-Signature={SIGNATURE}"


class Seen(list):
    """All that a caller and those around get to see."""

    async def of(self, work, mode):
        try:
            found = await (asyncio.to_thread(work[0]) if mode == "sync" else work[1]())
        except Exception as error:  # noqa: BLE001 - whatever it is, it is looked at
            each = error
            while each is not None:
                self.append("".join(traceback.format_exception(each)))
                self += [repr(each), str(each), repr(vars(each)), repr(pickle.dumps(each))]
                each = each.__cause__ or each.__context__
        else:
            self.append(repr(found))
            return found
        return None


@modes
@pytest.mark.parametrize("stage", STAGES)
async def test_no_secret_is_seen_anywhere(
    mode, stage, langsmith_recorder, monkeypatch, caplog, tmp_path
):
    caplog.set_level(logging.DEBUG)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr("langchain_sutro._core.jobs.calls._FEW_ROWS", 0)
    monkeypatch.setenv("HTTPS_PROXY", SECRETS["proxy"])
    seen = Seen()
    step = STEP[mode]
    for name, secret in list(SECRETS.items())[list(STAGES).index(stage) % step :: step]:
        service = Service(secret, stage)
        with raw_server(service) as server:
            service.server = server
            function = SutroFunction(
                "f",
                args_schema=Lead,
                api_url=server.url,
                api_key=KEY,
                max_retries=0,
                timeout=5.0,
                poll_interval=0.01,
            )
            function.client.policy = replace(
                function.client.policy, lookup_seconds=0.01, outage_seconds=0.01, lag_seconds=0.01
            )
            await everything(seen, function, tmp_path / f"{name}.json", mode)
            seen += [repr(function), repr(function.client), repr(vars(function.client))]
            seen.append(repr(pickle.dumps(function)))
            seen.append(repr(pickle.dumps(function.client.settings)))
    assert wait_for_job_traces(30)
    await asyncio.to_thread(langsmith_recorder.wait)
    runs = langsmith_recorder.ordered()
    for run in runs:
        # Those of jobs whose results nobody could fetch.
        run.setdefault("end_time", run["start_time"])
    seen.append(repr(runs))
    seen.append(caplog.text)
    seen += [path.read_bytes().decode("latin-1") for path in tmp_path.rglob("*") if path.is_file()]
    assert "It said" in "".join(seen)
    places = [each for each in seen if any(secret in each.lower() for secret in FOUND)]
    assert places == []


async def everything(seen, function, checkpoint, mode):
    """What can be done with a Function, up to where it fails."""
    job = SutroJob("job-1", client=function.client, function="f", rows=1)
    toolkit = SutroJobToolkit(function=function, prefix="")
    tools = {each.name: each for each in toolkit.get_tools()}
    tool, start, status, fetch = (
        (function.as_tool(), LEAD),
        (tools["start_job"], {"rows": [LEAD]}),
        (tools["job_status"], {"job_id": "job-1", "wait_seconds": 0}),
        (tools["fetch_results"], {"job_id": "job-1"}),
    )
    for work in (
        (lambda: function.invoke(LEAD), lambda: function.ainvoke(LEAD)),
        (lambda: function.batch([LEAD]), lambda: function.abatch([LEAD])),
        (
            lambda: function.batch([LEAD], return_exceptions=True),
            lambda: function.abatch([LEAD], return_exceptions=True),
        ),
        (
            lambda: function.submit_in_parts([LEAD], 1, checkpoint=checkpoint),
            lambda: function.asubmit_in_parts([LEAD], 1, checkpoint=checkpoint),
        ),
        (job.wait, job.await_),
        (job.results, job.aresults),
        (job.progress, job.aprogress),
        (job.cancel, job.acancel),
        *(
            (
                lambda t=made, a=args: t.invoke(call(t, a)),
                lambda t=made, a=args: t.ainvoke(call(t, a)),
            )
            for made, args in (tool, start, status, fetch)
        ),
    ):
        await seen.of(work, mode)
