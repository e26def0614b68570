"""The SDK's verbs: both forms and the module's function have one signature and docstring."""

import inspect
import pydoc
from concurrent.futures import ThreadPoolExecutor

import pandas as pd
import pyarrow.parquet as pq
import pytest

import langchain_sutro
from langchain_sutro import SutroClient, errors
from langchain_sutro._core.service import results as _results_api
from tests.support.calls import call, modes

ROWS = [{"query": f"Quote for {n} seats", "region": "APAC"} for n in range(20)]
FORMS = sorted(
    name
    for name in vars(SutroClient)
    if not name.startswith("_") and f"a{name}" in vars(SutroClient)
)
VERBS = sorted(name for name in FORMS if hasattr(langchain_sutro, name))


@pytest.fixture
def client(deployment):
    return SutroClient(api_url=deployment.url, api_key=deployment.api_key)


@pytest.fixture
def job_id(client):
    return client.batch_run_function("lead-qualifier", ROWS, stay_attached=True)


def test_every_verb_has_all_three_forms():
    assert len(VERBS) == 12
    assert set(FORMS) - set(VERBS) == {"fetch_job"}


@pytest.mark.parametrize("name", FORMS)
def test_both_forms_have_one_signature_and_explain_it(name):
    form, twin = getattr(SutroClient, name), getattr(SutroClient, f"a{name}")
    assert inspect.signature(form) == inspect.signature(twin)
    assert "Steps" not in str(inspect.signature(form))
    assert inspect.iscoroutinefunction(twin)
    assert not inspect.iscoroutinefunction(form)
    assert (twin.__name__, twin.__qualname__) == (f"a{name}", f"SutroClient.a{name}")
    assert inspect.getdoc(twin).startswith(f"Asynchronous form of `{name}`.")
    assert inspect.getdoc(twin).partition("Args:")[2] == inspect.getdoc(form).partition("Args:")[2]


@pytest.mark.parametrize("name", VERBS)
def test_the_functions_have_the_methods_parameters_and_help(name):
    method, function = getattr(SutroClient, name), getattr(langchain_sutro, name)
    _, *parameters = inspect.signature(method).parameters.values()
    assert list(inspect.signature(function).parameters.values()) == parameters
    assert inspect.signature(function).return_annotation == str(
        inspect.signature(method).return_annotation
    )
    shown = pydoc.plain(pydoc.render_doc(function))
    assert f"{name}(" in shown
    assert inspect.getdoc(method).splitlines()[0] in shown


@modes
async def test_results_are_saved_as_a_file_of_the_services_name_or_ours(
    client, job_id, tmp_path, monkeypatch, mode
):
    monkeypatch.chdir(tmp_path)
    link = await call(mode, client, "results_download_url", job_id, include_inputs=True)
    name = link["artifact"]["filename"]
    saved = await call(mode, client, "download_job_results", job_id)
    into = await call(mode, client, "download_job_results", job_id, f"{tmp_path}/new/folder/")
    own = await call(
        mode, client, "download_job_results", job_id, tmp_path / "x.parquet", include_inputs=True
    )
    assert into.startswith(str(tmp_path / "new" / "folder"))
    assert len(saved.split("/")) == 1
    for path in (saved, into, own):
        assert pq.read_table(path).num_rows == 20
    assert "inputs" in pq.read_table(own).column_names
    assert link["artifact"]["size_bytes"] == (tmp_path / "x.parquet").stat().st_size
    assert name
    left = {path.name for path in tmp_path.rglob("*.part*")}
    assert left == set()


@modes
async def test_an_interrupted_download_is_continued_by_the_next_call(
    client, deployment, job_id, tmp_path, mode
):
    client.policy = client.policy.__class__(max_retries=0, lag_seconds=0)
    whole = client.download_job_results(job_id, tmp_path / "whole.parquet")
    deployment.faults.add("storage/*", truncate="connection")
    deployment.faults.add("storage/*", status=503, json={"detail": "down"})
    place = tmp_path / "results.parquet"
    with pytest.raises(errors.SutroServerError):
        await call(mode, client, "download_job_results", job_id, place)
    part = place.with_name("results.parquet.part")
    assert 0 < part.stat().st_size < (tmp_path / "whole.parquet").stat().st_size
    begun = part.stat().st_size
    saved = await call(mode, client, "download_job_results", job_id, place)
    assert pq.read_table(saved).equals(pq.read_table(whole))
    last = [one for one in deployment.requests if "storage" in one.path][-1]
    assert (last.headers["range"], last.status) == (f"bytes={begun}-", 206)
    assert list(tmp_path.glob("*.part*")) == []


@pytest.mark.parametrize("resume", [True, False])
def test_a_part_of_other_results_is_not_continued(client, deployment, job_id, tmp_path, resume):
    place = tmp_path / "results.parquet"
    place.with_name("results.parquet.part").write_bytes(b"something else")
    place.with_name("results.parquet.part.etag").write_text('"another"')
    assert pq.read_table(client.download_job_results(job_id, place, resume=resume)).num_rows == 20
    [asked] = [one for one in deployment.requests if "storage" in one.path]
    assert ("range" in asked.headers) is resume
    assert asked.status == 200


@pytest.mark.parametrize(
    "name", ["../../outside.parquet", "/etc/x.parquet", "..\\up.parquet", "..", "", 7, None, "a\nb"]
)
def test_the_services_file_name_reaches_no_other_directory(
    client, job_id, tmp_path, monkeypatch, name
):
    def elsewhere(service, job_id, **options):
        answer = yield from results_url(service, job_id, **options)
        return answer | {"artifact": {"filename": name}}

    results_url = _results_api.results_url
    monkeypatch.setattr(_results_api, "results_url", elsewhere)
    folder = tmp_path / "a" / "b"
    folder.mkdir(parents=True)
    client.download_job_results(job_id, folder)
    [saved] = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert saved.parent == folder


def test_a_place_that_cannot_be_written_is_named(client, job_id, tmp_path):
    with pytest.raises(errors.SutroConfigurationError, match=r"missing.*cannot be written"):
        client.download_job_results(job_id, tmp_path / "missing" / "x.parquet")


@modes
async def test_attach_shows_the_progress_to_the_end(client, deployment, capsys, mode):
    deployment.faults.add_job("lead-qualifier", rows_per_second=40)
    job_id = client.batch_run_function("lead-qualifier", ROWS, job_name="leads")
    await call(mode, client, "attach", job_id)
    assert client.get_job_status(job_id) == "SUCCEEDED"
    shown = capsys.readouterr()
    assert "leads" in shown.err
    assert "20/20" in shown.err
    assert shown.out == ""


@modes
async def test_attach_raises_for_a_job_that_failed(client, deployment, mode):
    deployment.faults.add_job("lead-qualifier", fail="no")
    job_id = client.batch_run_function("lead-qualifier", ROWS)
    with pytest.raises(errors.SutroJobFailedError):
        await call(mode, client, "attach", job_id)


@modes
async def test_a_cost_estimate_has_no_results_to_fetch(client, deployment, mode):
    job_id = client.batch_run_function("lead-qualifier", ROWS, dry_run=True)
    waited = await call(mode, client, "await_job_completion", job_id, is_cost_estimate=True)
    assert waited is None
    assert [one for one in deployment.requests if "results" in one.path] == []


@modes
async def test_a_reasoning_models_envelope_is_opened_on_request(client, deployment, mode):
    @deployment.function()
    def reasoned(text: str) -> dict:
        """Answers as a reasoning model does."""
        return {"content": {"label": text}, "reasoning_content": "since"}

    rows = [{"text": "a"}, {"text": "b"}]
    job_id = await call(mode, client, "batch_run_function", "reasoned", rows)
    closed = await call(mode, client, "await_job_completion", job_id)
    opened = await call(mode, client, "await_job_completion", job_id, unwrap_reasoning=True)
    again = await call(mode, client, "get_job_results", job_id, unwrap_reasoning=True)
    assert set(closed.columns) >= {"content", "reasoning_content"}
    assert list(opened["label"]) == ["a", "b"]
    pd.testing.assert_frame_equal(opened, again)


@modes
async def test_another_key_is_tried_without_the_clients_own(client, deployment, mode):
    with pytest.raises(errors.SutroAuthenticationError):
        await call(mode, client, "try_authentication", "sk_wrong")
    answer = await call(mode, client, "try_authentication", deployment.api_key)
    assert answer["authenticated"] is True
    assert await call(mode, client, "get_quotas")


def test_verbs_run_in_many_threads(client):
    with ThreadPoolExecutor(8) as pool:
        answers = list(
            pool.map(lambda row: client.run_function("lead-qualifier", row).answer, ROWS)
        )
    assert len(answers) == 20
