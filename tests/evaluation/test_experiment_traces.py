"""What an evaluation writes to LangSmith, and what it reads there."""

import uuid
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from langsmith import traceable, tracing_context

from langchain_sutro import TraceContext
from langchain_sutro._core.tracing import stable_id
from langchain_sutro.evaluation import experiment as experiment_module
from langchain_sutro.evaluation.dataset import evaluate_dataset
from tests.support import langsmith_recorder as recorder_module
from tests.support.calls import modes
from tests.support.experiments import (
    complete_feedback,
    dataset,
    evaluated,
    exact,
    examples,
    no_doubles,
    runs_of,
    scores,
    session,
    share_right,
)

# LangSmith's older clients know no other word for an example's reference outputs.
pytestmark = pytest.mark.filterwarnings("ignore:'outputs' is deprecated")


@modes
async def test_feedback_is_linked_to_the_judges_run_of_its_row(smith, service, mode):
    await evaluated(
        mode,
        service.function,
        "sizes",
        evaluators=[service.judge],
        experiment_name="one",
    )
    smith.wait()
    judged = {run["id"]: run for run in runs_of(smith, "evaluators")}
    targets = {run["id"]: run for run in runs_of(smith, "one")}
    assert len(judged) == 50
    given = [one for one in smith.feedback if one["key"] == "agrees"]
    assert len(given) == 50
    for one in given:
        source = judged[one["feedback_source"]["metadata"]["__run"]["run_id"]]
        answer = targets[one["run_id"]]["outputs"]["output"]["label"]
        assert source["inputs"]["answer"] == answer
        assert source["extra"]["metadata"]["reference_run_id"] == one["run_id"]
        assert one["comment"].startswith(answer)
        assert one["session_id"] == session(smith, "one")["id"]


@modes
@pytest.mark.parametrize("as_examples", [True, False])
async def test_upload_results_false_writes_nothing(smith, service, mode, as_examples):
    @traceable
    def inner(outputs):
        return len(outputs)

    def traced(outputs):
        return inner(outputs) > 0

    smith.smith.info  # noqa: B018 - asked once, by whoever comes first
    before = len(smith.requests)
    results = await evaluated(
        mode,
        service.function,
        examples() if as_examples else "sizes",
        evaluators=[service.judge, traced],
        summary_evaluators=[share_right],
        upload_results=False,
        client=smith.smith,
    )
    smith.wait()
    after = smith.requests[before:]
    assert [method for method, _ in after if method != "GET"] == []
    assert not as_examples or after == [], after
    assert service.jobs() == 2
    assert results.experiment_name is None
    assert results.summary().scores == {
        "agrees": pytest.approx(0.9),
        "agrees_confidence": pytest.approx(0.75),
        "traced": 1.0,
    }
    assert results.summary().summary_scores == {"share_right": pytest.approx(0.9)}


def test_without_upload_and_with_examples_no_client_is_made(service):
    from langsmith import run_trees

    run_trees._CLIENT = None
    evaluate_dataset(service.function, examples(3), evaluators=[exact], upload_results=False)
    assert run_trees._CLIENT is None


@given(
    st.integers(1_500_000_000_000_000, 4_000_000_000_000_000),
    st.lists(st.text(max_size=5), max_size=3),
)
def test_an_id_is_of_version_7_tells_its_time_and_is_always_the_same(microseconds, parts):
    aware = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=microseconds)
    at = aware.replace(tzinfo=None)  # as LangSmith's answers are
    made = stable_id(at, *parts)
    assert (made.version, made.variant) == (7, uuid.RFC_4122)
    assert made == stable_id(aware, *parts)
    assert abs((made.int >> 80) - microseconds / 1000) <= 1
    assert made != stable_id(at, *parts, "more")


def test_nothing_is_dropped_where_the_clients_queue_is_short(service, monkeypatch):
    monkeypatch.setenv("LANGSMITH_TRACING_QUEUE_MAX_SIZE", "100")
    monkeypatch.setattr(experiment_module, "PORTION", 50)
    with (
        recorder_module.LangSmithRecorder(zstd=False) as smith,
        recorder_module.tracing_to(smith, monkeypatch),
    ):
        dataset(smith.client(), "many", 300)
        smith.delay = 0.02
        evaluate_dataset(
            service.function,
            "many",
            evaluators=[service.judge],
            experiment_name="all",
        )
        smith.wait()
        assert len(runs_of(smith, "all")) == len(runs_of(smith, "evaluators")) == 300
        assert len(scores(smith, "all", "agrees")) == 300
        assert smith.check() == []


def test_servers_of_the_next_generation_are_read_too(service, monkeypatch):
    complete_feedback(monkeypatch)
    with (
        recorder_module.LangSmithRecorder(smithdb=True) as smith,
        recorder_module.tracing_to(smith, monkeypatch),
    ):
        dataset(smith.client(), "sizes", 50)
        for _ in range(2):
            evaluate_dataset(service.function, "sizes", experiment_name="next")
            evaluate_dataset(service.judge, experiment="next", summary_evaluators=[share_right])
            smith.wait()
        assert service.jobs() == 2
        assert len(runs_of(smith, "next")) == len(runs_of(smith, "evaluators")) == 50
        assert no_doubles(smith)
        assert smith.check() == []


@modes
async def test_the_active_traces_metadata_and_tags_reach_the_runs(smith, service, mode):
    with tracing_context(metadata={"customer": "acme"}, tags=["nightly"], enabled=True):
        await evaluated(mode, service.function, "sizes", experiment_name="inside")
        silent = service.function.model_copy(update={"forward_trace_context": False})
        await evaluated(mode, silent, "sizes", experiment_name="silent")
    smith.wait()
    for run in runs_of(smith, "inside"):
        assert run["extra"]["metadata"]["customer"] == "acme"
        assert run["tags"] == ["nightly"]
    assert "customer" not in runs_of(smith, "silent")[0]["extra"]["metadata"]


@modes
async def test_a_hook_renames_what_the_runs_are_given(smith, service, mode):
    def rename(context):
        return TraceContext({f"app.{key}": one for key, one in context.metadata.items()})

    hooked = service.function.model_copy(update={"trace_context_hook": rename})
    with tracing_context(
        metadata={"customer": "acme", "keys": ["sk_live_hush0123456789"]}, enabled=True
    ):
        await evaluated(mode, hooked, "sizes", experiment_name="hooked")
    smith.wait()
    runs = runs_of(smith, "hooked")
    for run in runs:
        assert run["extra"]["metadata"]["app.customer"] == "acme"
        assert "customer" not in run["extra"]["metadata"]
    assert "hush" not in str(runs)


def test_an_experiment_leaves_no_other_trace(smith, service):
    evaluate_dataset(
        service.function,
        "sizes",
        evaluators=[service.judge],
        experiment_name="only",
    )
    smith.wait()
    assert len(smith.runs) == 100


def test_no_asset_reaches_a_run(smith, service):
    made = smith.smith.create_dataset("assets")
    asset = {"base64": "QUJD" * 500, "mime_type": "image/png"}
    smith.smith.create_examples(
        dataset_id=made.id, examples=[{"inputs": {"n": 1, "picture": asset}}]
    )
    evaluate_dataset(service.function, "assets", experiment_name="pictures")
    smith.wait()
    assert "QUJDQUJD" not in str(runs_of(smith, "pictures"))


def test_a_judge_can_look_at_an_experiment_without_writing(smith, service):
    evaluate_dataset(service.function, "sizes", experiment_name="seen")
    smith.wait()
    before = len(smith.requests)
    results = evaluate_dataset(service.judge, experiment="seen", upload_results=False)
    smith.wait()
    reads = {("GET", path) for _, path in smith.requests} | {("POST", "/runs/query")}
    assert set(smith.requests[before:]) <= reads
    assert results.summary().scores["agrees"] == pytest.approx(0.9)
