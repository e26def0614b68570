"""A Function as an evaluator, with LangSmith's own ways of calling one."""

import os
import pickle
import subprocess
import sys
import textwrap
import uuid
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import langsmith
import pytest
from langsmith import aevaluate, evaluate, trace
from langsmith.evaluation import EvaluationResult, aevaluate_existing, evaluate_existing
from langsmith.run_trees import RunTree
from langsmith.schemas import Example
from packaging.version import Version
from pydantic import BaseModel

from langchain_sutro import SutroFunction, errors
from langchain_sutro.evaluation.evaluator import SutroEvaluator
from langchain_sutro.local import Answer
from tests.support.calls import modes, posts
from tests.support.langsmith_recorder import LangSmithRecorder, tracing_to

ANY = {"type": "object", "properties": {}, "additionalProperties": True}
VERDICT = {
    "type": "object",
    "properties": {"verdict": {"type": "string"}, "rationale": {"type": "string"}},
}
FIELDS = {
    "question": "inputs.n",
    "answer": "outputs.label",
    "expected": "reference_outputs.label",
}
KEYS = ["right", "right_confidence"]


def agrees(row):
    verdict = "pass" if row["answer"] == row["expected"] else "fail"
    why = f"{row['question']}: {row['answer']} beside {row['expected']}"
    return Answer({"verdict": verdict, "rationale": why}, confidence=0.75)


def app(inputs):
    return {"label": "big" if inputs["n"] >= 30 else "small"}


async def async_app(inputs):
    return app(inputs)


def expected(n):
    """Every tenth is wrong."""
    return {"label": "big" if (n >= 30) == bool(n % 10) else "small"}


def is_right(n):
    return app({"n": n}) == expected(n)


def examples(count=50):
    return [
        Example(id=uuid.uuid4(), inputs={"n": n}, outputs=expected(n), dataset_id=uuid.uuid4())
        for n in range(count)
    ]


def dataset(client, count=50):
    made = client.create_dataset("sizes")
    client.create_examples(
        dataset_id=made.id,
        inputs=[{"n": n} for n in range(count)],
        outputs=[expected(n) for n in range(count)],
    )


@pytest.fixture
def service(deployment, monkeypatch):
    """A deployment with a judge."""
    for name, value in deployment.environ.items():
        monkeypatch.setenv(name, value)
    deployment.publish("agrees", agrees, input_schema=ANY, output_schema=VERDICT)
    return deployment


@pytest.fixture
def judge(service):
    return SutroEvaluator("agrees", key="right", fields=FIELDS, score={"pass": 1, "fail": 0})


@pytest.fixture
def smith(langsmith_recorder):
    """LangSmith with a data set, as `smith.api` sees it."""
    langsmith_recorder.api = langsmith_recorder.client()
    dataset(langsmith_recorder.api)
    return langsmith_recorder


def calls(service):
    return len(posts(service, "/run"))


def feedback(smith, key="right"):
    return [one for one in smith.feedback if one["key"] == key]


async def evaluated(mode, smith, judge, data="sizes", **options):
    """`evaluate` or `aevaluate`, until all has arrived."""
    options |= {"evaluators": [judge], "client": smith.api}
    if mode == "async":
        results = await aevaluate(async_app, data=data, **options)
        await results.wait()
        rows = [row async for row in results]
    else:
        results = evaluate(app, data=data, **options)
        results.wait()
        rows = list(results)
    given = sum(len(row["evaluation_results"]["results"]) for row in rows)
    arrive(smith, given if options.get("upload_results", True) else 0)
    return SimpleNamespace(name=results.experiment_name, rows=rows)


def arrive(smith, given):
    """Wait for so much feedback."""
    smith.wait()
    smith.api.flush()
    smith.until(lambda: len(smith.feedback) >= given)


def check_judged(smith, targets):
    """Each target has its verdict and confidence, from a run of the judge of its own."""
    judged = {run["id"]: run for run in smith.project("evaluators")}
    assert len(judged) == len(feedback(smith)) == len(targets)
    assert {run["name"] for run in judged.values()} == {"right"}
    assert {run["run_type"] for run in judged.values()} == {"llm"}
    linked = set()
    for one in feedback(smith):
        target = targets[one["run_id"]]
        n = smith.examples[target["reference_example_id"]]["inputs"]["n"]
        assert one["score"] == float(is_right(n))
        assert one["value"] == ("pass" if is_right(n) else "fail")
        assert one["comment"].startswith(f"{n}: ")
        assert one["session_id"] == target["session_id"]
        info = one["feedback_source"]["metadata"]
        assert info["provider"] == "sutro"
        assert (info["function"], info["generation"]) == ("agrees", "deployment")
        source = judged[info["__run"]["run_id"]]
        linked.add(source["id"])
        assert source["inputs"]["question"] == n
        facts = source["extra"]["metadata"]
        assert facts["target_run_id"] == facts["reference_run_id"] == target["id"]
        assert facts["reference_example_id"] == target["reference_example_id"]
        assert facts["sutro_function"] == "agrees"
    assert linked == judged.keys()
    confidences = feedback(smith, "right_confidence")
    assert [one["score"] for one in confidences] == [0.75] * len(targets)
    assert {one["run_id"] for one in confidences} == targets.keys()


@modes
@pytest.mark.parametrize("concurrency", [0, 8])
async def test_evaluate_makes_one_run_of_the_judge_for_each_of_50_examples(
    smith, service, judge, mode, concurrency
):
    done = await evaluated(mode, smith, judge, max_concurrency=concurrency)
    targets = {run["id"]: run for run in smith.project(done.name)}
    assert len(targets) == calls(service) == 50
    check_judged(smith, targets)
    assert smith.unknown == []
    assert [len(row["evaluation_results"]["results"]) for row in done.rows] == [2] * 50
    (made,) = [one for one in smith.sessions.values() if one["name"] == done.name]
    # LangSmith knows the keys before there is feedback.
    assert made.get("evaluator_keys", KEYS) == KEYS


@modes
@pytest.mark.parametrize("smithdb", [False, True])
async def test_an_experiment_that_exists_is_judged(monkeypatch, service, judge, mode, smithdb):
    with LangSmithRecorder(smithdb=smithdb) as smith, tracing_to(smith, monkeypatch):
        smith.api = smith.client()
        dataset(smith.api)
        before = evaluate(app, data="sizes", client=smith.api)
        before.wait()
        smith.api.flush()
        assert smith.feedback == []
        name = before.experiment_name
        if mode == "async":
            results = await aevaluate_existing(name, evaluators=[judge], client=smith.api)
            await results.wait()
        else:
            evaluate_existing(name, evaluators=[judge], client=smith.api).wait()
        arrive(smith, 100)
        targets = {run["id"]: run for run in smith.project(name)}
        assert len(targets) == calls(service) == 50
        check_judged(smith, targets)
        assert smith.check() == smith.unknown == []


@modes
async def test_nothing_is_uploaded_where_results_are_not(langsmith_recorder, service, judge, mode):
    smith = langsmith_recorder
    smith.api = smith.client()
    done = await evaluated(mode, smith, judge, data=examples(10), upload_results=False)
    assert calls(service) == 10
    assert smith.feedback == []
    # Before 0.15.1 LangSmith's `aevaluate` uploaded the target's runs itself; nothing is ours.
    uploads = mode == "async" and Version(langsmith.__version__) < Version("0.15.1")
    names = {"AsyncTarget"} if uploads else set()
    assert {run["name"] for run in smith.ordered()} == names
    assert {path for method, path in smith.requests if method != "GET"} <= {"/runs/multipart"}
    assert mode == "async" or {method for method, _ in smith.requests} <= {"GET"}
    for row in done.rows:
        verdict, confidence = row["evaluation_results"]["results"]
        assert verdict.score == float(is_right(row["example"].inputs["n"]))
        assert confidence.score == 0.75
        # There is no run to show.
        assert verdict.source_run_id is None


def test_a_target_that_is_a_function_uploads_nothing_either(langsmith_recorder, service):
    smith = langsmith_recorder
    fields = {"question": "inputs.question", "answer": "outputs.output.verdict"}
    judge = SutroEvaluator("agrees", fields={**fields, "expected": "inputs.expected"})
    data = [
        Example(id=uuid.uuid4(), inputs={"question": n, "answer": "a", "expected": "pass"})
        for n in range(10)
    ]
    results = evaluate(
        SutroFunction("agrees"),
        data=data,
        evaluators=[judge],
        upload_results=False,
        client=smith.client(),
    )
    values = [row["evaluation_results"]["results"][0].value for row in results]
    smith.wait()
    # What was judged is that "a" is not "pass".
    assert values == ["fail"] * 10
    assert calls(service) == 20
    assert {method for method, _ in smith.requests} <= {"GET"}


@modes
async def test_feedback_has_no_source_where_evaluators_are_not_traced(smith, judge, mode):
    await evaluated(mode, smith, judge, disable_evaluator_tracing=True)
    assert smith.project("evaluators") == []
    assert len(feedback(smith)) == 50
    for one in feedback(smith):
        assert "__run" not in one["feedback_source"]["metadata"]


@modes
async def test_a_failed_judgement_is_told_and_is_no_score(smith, service, mode):
    judge = SutroEvaluator(SutroFunction("agrees", max_retries=0), key="right", fields=FIELDS)
    service.faults.add("functions/*", times=3, status=500)
    await evaluated(mode, smith, judge)
    assert len(smith.project("evaluators")) == 50
    failed = [one for one in feedback(smith) if one.get("value") is None]
    assert len(failed) == 3
    assert len(feedback(smith)) == len(feedback(smith, "right_confidence")) == 50
    errors_ = {run["id"]: run["error"] for run in smith.project("evaluators") if run.get("error")}
    for one in failed:
        assert one.get("score") is None
        assert one["comment"].startswith("SutroServerError(")
        assert one["error"] is one["extra"]["error"] is True
        assert "SutroServerError" in errors_[one["feedback_source"]["metadata"]["__run"]["run_id"]]


@modes
async def test_a_field_that_is_nowhere_is_told_and_costs_no_call(smith, service, mode, caplog):
    judge = SutroEvaluator("agrees", key="right", fields={**FIELDS, "tone": "outputs.tone"})
    await evaluated(mode, smith, judge)
    assert calls(service) == 0
    assert smith.project("evaluators") == []
    assert len(feedback(smith)) == 50
    for one in feedback(smith):
        assert "'tone' comes from 'outputs.tone'" in one["comment"]
        assert one.get("score") is None
        # No run of the judge was made.
        assert "__run" not in one["feedback_source"]["metadata"]
    assert caplog.text.count("Evaluator right: SutroInputError(") == 50


@modes
async def test_a_call_for_a_run_gives_what_an_evaluator_function_may_return(smith, judge, mode):
    target = RunTree(name="app", inputs={"n": 3}, outputs=app({"n": 3}), client=smith.api)
    (example,) = examples(1)
    told = judge(target, example) if mode == "sync" else await judge.acall(target, example)
    smith.wait()
    verdict, confidence = told["results"]
    assert isinstance(verdict, EvaluationResult)
    assert (verdict.score, verdict.value, confidence.score) == (0, "fail", 0.75)
    (run,) = smith.ordered()
    assert run["id"] == str(verdict.source_run_id) == str(confidence.source_run_id)
    assert run["extra"]["metadata"]["target_run_id"] == str(target.id)


@modes
async def test_a_call_with_values_gives_what_openevals_gives(service, judge, mode):
    values = {
        "inputs": {"n": 3},
        "outputs": {"label": "small"},
        "reference_outputs": {"label": "small"},
    }
    told = judge(**values) if mode == "sync" else await judge.acall(**values)
    verdict, confidence = told
    assert verdict["key"] == "right"
    assert (verdict["score"], verdict["value"]) == (1, "pass")
    assert verdict["comment"] == "3: small beside small"
    assert (confidence["key"], confidence["score"]) == ("right_confidence", 0.75)
    # Tracing is off.
    assert "source_run_id" not in verdict
    alone = SutroEvaluator("agrees", fields=FIELDS, score={"pass": 1}, confidence_key=None)
    told = alone(**values) if mode == "sync" else await alone.acall(**values)
    assert told["key"] == "agrees"
    assert told["score"] == 1


@modes
async def test_a_call_raises_what_went_wrong(service, judge, mode):
    values = {"inputs": {"n": 3}, "outputs": {}, "reference_outputs": {"label": "small"}}
    with pytest.raises(errors.SutroInputError, match=r"outputs\.label"):
        judge(**values) if mode == "sync" else await judge.acall(**values)
    strict = SutroEvaluator("agrees", fields={**FIELDS, "answer": "inputs.n"}, score={"pass": 1})
    with pytest.raises(errors.SutroError, match="'fail', but score= has only 'pass'"):
        strict(**values) if mode == "sync" else await strict.acall(**values)


def test_calls_from_plain_threads_need_nothing_around_them(service, judge):
    def call(n):
        return judge(inputs={"n": n}, outputs=app({"n": n}), reference_outputs=expected(n))

    with ThreadPoolExecutor(8) as pool:
        told = list(pool.map(call, range(40)))
    assert [verdict["score"] for verdict, _ in told] == [int(is_right(n)) for n in range(40)]
    assert calls(service) == 40


@modes
async def test_an_evaluator_function_may_call_it(smith, service, judge, mode):
    def wrapped(inputs, outputs, reference_outputs):
        return judge(inputs=inputs, outputs=outputs, reference_outputs=reference_outputs)

    await evaluated(mode, smith, wrapped if mode == "sync" else judge.acall)
    # `evaluate` itself gives the runs of its evaluators ids of version 4.
    smith.violations[:] = [one for one in smith.violations if "version 7" not in one]
    assert calls(service) == len(feedback(smith)) == 50
    judged = {run["id"]: run for run in smith.project("evaluators") if run["name"] == "right"}
    assert len(judged) == 50
    for key in KEYS:
        given = feedback(smith, key)
        assert {one["feedback_source"]["metadata"]["__run"]["run_id"] for one in given} == {*judged}


def test_a_judge_is_below_what_calls_it(smith, judge):
    values = {"inputs": {"n": 3}, "outputs": {"label": "a"}, "reference_outputs": {"label": "a"}}
    with trace("pipeline") as outer:
        told = judge(**values)
    smith.wait()
    outer.client.flush()
    (pipeline,) = smith.by_name("pipeline")
    (below,) = smith.children(pipeline)
    assert below["id"] == str(told[0]["source_run_id"])


PYTEST = """
import langsmith
import pytest
from langsmith import testing as t
from langchain_sutro.evaluation import SutroEvaluator

judge = SutroEvaluator(
    "agrees",
    key="right",
    fields={
        "question": "inputs.n",
        "answer": "outputs.label",
        "expected": "reference_outputs.label",
    },
    score={"pass": 1, "fail": 0},
)

@pytest.mark.langsmith
@pytest.mark.parametrize("n", [3, 40])
def test_app(n):
    t.log_inputs({"n": n})
    outputs, reference_outputs = {"label": "small"}, {"label": "small" if n < 30 else "big"}
    t.log_outputs(outputs)
    t.log_reference_outputs(reference_outputs)
    verdict, _ = judge(inputs={"n": n}, outputs=outputs, reference_outputs=reference_outputs)
    assert verdict["score"] == (n < 30)

@pytest.mark.langsmith
async def test_async():
    t.log_inputs({"n": 5})
    t.log_outputs({"label": "small"})
    await judge.acall(
        inputs={"n": 5}, outputs={"label": "small"}, reference_outputs={"label": "small"}
    )
"""


def test_in_a_pytest_test_that_langsmith_records_it_gives_the_tests_feedback(service, tmp_path):
    (tmp_path / "test_app.py").write_text(textwrap.dedent(PYTEST))
    with LangSmithRecorder() as smith:
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", tmp_path,
             "-o", "asyncio_mode=auto", "test_app.py"],
            cwd=tmp_path,
            env={
                **os.environ,
                "LANGSMITH_TRACING": "true",
                "LANGSMITH_ENDPOINT": smith.url,
                "LANGSMITH_API_KEY": "lsv2_test",
                "LANGSMITH_TEST_SUITE": "suite",
            },
            capture_output=True,
            text=True,
            check=False,
            timeout=100,
        )  # fmt: skip
        assert "3 passed" in done.stdout, done.stdout + done.stderr
        tests = {run["id"] for run in smith.ordered() if run["name"].startswith("test_")}
        judged = {run["id"] for run in smith.project("evaluators")}
        assert len(tests) == len(judged) == 3
        given = [one for one in smith.feedback if one["key"] in KEYS]
        assert len(given) == 6
        assert {one["run_id"] for one in given} == tests
        links = {one["feedback_source"]["metadata"]["__run"]["run_id"] for one in given}
        assert links == judged
        assert sorted(one["score"] for one in feedback(smith)) == [0, 1, 1]
        for run in smith.project("evaluators"):
            assert run["extra"]["metadata"]["reference_run_id"] in tests
            assert not run.get("parent_run_id")
        assert [one for one in smith.check() if not one.startswith("test_")] == []


def test_settings_of_the_function_that_change_its_result_are_taken_over():
    class Verdict(BaseModel):
        verdict: str

    judge = SutroEvaluator(
        SutroFunction("agrees", output="answer", output_model=Verdict, min_confidence=0.9)
    )
    assert (judge.function.output, judge.function.output_model) == ("full", None)
    (weak, _) = judge.feedback({"output": "pass", "confidence": 0.5})["results"]
    assert weak.extra == {"low_confidence": True}
    unscored = SutroEvaluator(SutroFunction("agrees", confidence_scoring=False))
    assert unscored.feedback_keys == ["agrees"]


def test_feedback_is_linked_to_the_runs_that_are_given():
    source, target = uuid.uuid4(), uuid.uuid4()
    judge = SutroEvaluator("agrees")
    for outcome in ({"output": "pass", "confidence": 1}, errors.SutroError("failed")):
        given = judge.feedback(outcome, source_run_id=source, target_run_id=target)
        assert len(given["results"]) == 2
        for one in given["results"]:
            assert (one.source_run_id, one.target_run_id) == (source, target)


def test_fields_are_found_by_their_names_if_the_function_has_a_schema():
    class Judged(BaseModel):
        question: str
        answer: str

    judge = SutroEvaluator(SutroFunction("agrees", args_schema=Judged))
    run = RunTree(name="app", inputs={"question": "How many?"}, outputs={"answer": "40"})
    assert judge.row(run) == {"question": "How many?", "answer": "40"}
    example = Example(id=uuid.uuid4(), inputs={"question": "Really?"}, outputs={"answer": "42"})
    assert judge.row(run, example) == {"question": "Really?", "answer": "40"}


def test_one_key_for_verdict_and_confidence_is_refused():
    with pytest.raises(errors.SutroConfigurationError, match="both 'agrees'"):
        SutroEvaluator("agrees", confidence_key="agrees")


def test_it_is_made_without_a_connection_named_and_pickled(service, judge):
    assert repr(judge) == "SutroEvaluator('agrees', key='right')"
    assert judge.feedback_keys == KEYS
    assert service.requests == []
    again = pickle.loads(pickle.dumps(judge))
    values = {"inputs": {"n": 3}, "outputs": {"label": "a"}, "reference_outputs": {"label": "a"}}
    assert again(**values)[0]["score"] == 1
