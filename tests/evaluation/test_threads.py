"""`evaluate_runs` with whole threads: a conversation is one row."""

from datetime import UTC, datetime, timedelta

import pytest
from langsmith.schemas import Run

from langchain_sutro import aevaluate_runs, evaluate_runs
from langchain_sutro.errors import SutroInputError
from tests.support.langsmith_recorder import LangSmithRecorder
from tests.support.production import START, feedback, jobs, judge, say


def turn(question, answer):
    messages = [{"role": "user", "content": question}], [{"role": "assistant", "content": answer}]
    return tuple({"messages": said} for said in messages)


def words(inputs):
    return {"text": " / ".join(one["content"] for one in inputs["messages"])}


def judge_threads(langsmith, *, fields=words, **options):
    judges = options.pop("judges", None) or judge(key="kind", fields=fields)
    return evaluate_runs(judges, "app", threads=True, client=langsmith.client(), **options)


def judged(langsmith):
    """The runs that got feedback, and what the judge was given."""
    verdicts = [one for one in langsmith.feedback if one["key"] == "kind"]
    sources = [one["feedback_source"]["metadata"]["__run"]["run_id"] for one in verdicts]
    inputs = [langsmith.runs[source]["inputs"]["text"] for source in sources]
    return dict(zip((one["run_id"] for one in verdicts), inputs, strict=True))


@pytest.mark.parametrize("key", ["thread_id", "session_id", "conversation_id"])
def test_a_thread_is_one_row_and_its_last_run_gets_the_feedback(judging, langsmith, key):
    first = say(langsmith, "a", turn("Hi", "Yes?"), turn("Two seats", "Here."), key=key)
    second = say(langsmith, "b", turn("Bye", "Bye!"), minute=1, key=key)
    say(langsmith, None, turn("no", "thread"))
    before = len(judging.jobs)
    found = judge_threads(langsmith)
    assert (found.selected, found.judged) == (2, {"kind": 2})
    assert [job["num_rows"] for job in jobs(judging, before)] == [2]
    assert judged(langsmith) == {
        str(first[1].id): "Hi / Yes? / Two seats / Here.",
        str(second[0].id): "Bye / Bye!",
    }


async def test_the_asynchronous_form_does_the_same(judging, langsmith):
    (_, last) = say(langsmith, "a", turn("Hi", "Yes?"), turn("Two", "Here."))
    both = [judge(key="kind", fields=words), judge("loud", fields=words)]
    found = await aevaluate_runs(both, "app", threads=True, client=langsmith.client())
    assert found.judged == {"kind": 1, "loud": 1}
    assert judged(langsmith) == {str(last.id): "Hi / Yes? / Two / Here."}


def test_a_thread_is_judged_once_and_anew_when_it_went_on(judging, langsmith):
    (first,) = say(langsmith, "a", turn("Hi", "Yes?"))
    judge_threads(langsmith)
    before = len(judging.jobs)
    again = judge_threads(langsmith)
    assert (again.judged, again.skipped) == ({}, {"kind": 1})
    assert len(judging.jobs) == before
    (second,) = say(langsmith, "a", turn("Two", "Here."), minute=5)
    assert judge_threads(langsmith).judged == {"kind": 1}
    assert judge_threads(langsmith).judged == {}
    assert judged(langsmith) == {
        str(first.id): "Hi / Yes?",
        str(second.id): "Hi / Yes? / Two / Here.",
    }


def test_a_thread_that_may_go_on_is_not_judged(judging, langsmith):
    say(langsmith, "a", turn("Hi", "Yes?"))
    now = datetime.now(UTC)
    say(langsmith, "a", turn("Two", "Here."), start_time=now, end_time=now)
    found = judge_threads(langsmith)
    assert (found.selected, found.judged) == (0, {})
    assert judge_threads(langsmith, idle=timedelta(0)).judged == {"kind": 1}


@pytest.mark.parametrize(
    "wanted",
    [
        {"since": START + timedelta(minutes=9)},
        {"filter": 'eq(name, "late")'},
        {"trace_filter": 'eq(name, "late")'},
        {"tree_filter": 'eq(name, "late")'},
    ],
)
def test_a_thread_of_which_one_run_is_selected_is_judged_whole(judging, langsmith, wanted):
    say(langsmith, "a", turn("Hi", "Yes?"))
    (late,) = say(langsmith, "a", turn("Two", "Here."), minute=10)
    langsmith.runs[str(late.id)]["name"] = "late"
    (last,) = say(langsmith, "a", turn("Bye", "Bye!"), minute=11)
    say(langsmith, "b", turn("other", "thread"), minute=1)
    found = judge_threads(langsmith, **wanted)
    assert (found.selected, found.judged) == (1, {"kind": 1})
    assert judged(langsmith) == {str(last.id): "Hi / Yes? / Two / Here. / Bye / Bye!"}


def test_a_thread_is_judged_as_it_was_until_then(judging, langsmith):
    first, *_ = say(langsmith, "a", turn("Hi", "Yes?"), turn("Two", "Here."))
    judge_threads(langsmith, until=START + timedelta(seconds=30), filter='eq(name, "chat")')
    assert judged(langsmith) == {str(first.id): "Hi / Yes?"}


@pytest.mark.parametrize("sample", [0.4, 7])
def test_a_sample_of_threads_is_the_same_each_time(judging, langsmith, sample):
    for number in range(20):
        say(langsmith, f'"thread" {number}\\', turn("Hi", str(number)), minute=number)
    judge_threads(langsmith, sample=sample)
    first = set(judged(langsmith))
    assert len(first) == 7 if sample == 7 else 2 <= len(first) <= 15
    assert judge_threads(langsmith, sample=sample, since=START).judged == {}
    loud = judge("loud", fields=words)
    judge_threads(langsmith, sample=sample, judges=loud)
    assert {run_id for key, run_id in feedback(langsmith) if key == "loud"} == first


def test_a_limit_counts_threads_and_takes_the_latest(judging, langsmith):
    for number in range(5):
        say(langsmith, f"{number}", turn("Hi", str(number)), turn("Bye", "."), minute=number)
    judge_threads(langsmith, limit=2)
    assert set(judged(langsmith).values()) == {"Hi / 4 / Bye / .", "Hi / 3 / Bye / ."}
    judge_threads(langsmith, limit=2)
    assert len(judged(langsmith)) == 4


def test_fields_are_found_in_the_whole_thread(judging, langsmith):
    say(langsmith, "a", ({"question": "Why?"}, {"text": "Because."}), turn("Two", "Here."))
    fields = {"text": "inputs.turns.0.outputs.text"}
    judge_threads(langsmith, fields=fields)
    assert set(judged(langsmith).values()) == {"Because."}
    last = judge(key="last", fields={"text": "outputs.messages.-1.content"})
    judge_threads(langsmith, judges=last)
    assert {one["score"] for one in langsmith.feedback if one["key"] == "last"} == {0.0}


def test_scores_are_those_of_the_evaluator_called_with_the_thread(judging, langsmith):
    for number, answer in enumerate(["Yes?", "That is a long answer"]):
        say(langsmith, f"{number}", turn("Hi", "Hm."), turn("?", answer), minute=number)
    text = {"text": "outputs.messages.-1.content"}
    one = judge(key="kind", fields=text, min_confidence=0.8)
    judge_threads(langsmith, judges=one)
    given = [(f["key"], f["score"], f.get("value"), f["run_id"]) for f in langsmith.feedback]
    for run_id in {run_id for *_, run_id in given}:
        stored = langsmith.shown_run(langsmith.runs[run_id])
        run = Run(**{name: value for name, value in stored.items() if name != "thread_id"})
        for result in one.evaluate_run(run)["results"]:
            assert (result.key, result.score, result.value, run_id) in given


@pytest.mark.parametrize("smithdb", [False, True])
def test_requests_are_few(judging, smithdb):
    with LangSmithRecorder(smithdb=smithdb) as langsmith:
        for number in range(60):
            say(langsmith, f"{number}", turn("Hi", "Yes?"), turn("Two", "Here."), minute=number)
        before = len(langsmith.requests)
        assert judge_threads(langsmith).judged == {"kind": 60}
        since = langsmith.requests[before:]
        assert sum(path.endswith("/runs/query") for _, path in since) == 2
        before = len(langsmith.requests)
        judge_threads(langsmith, since=START)
        assert sum(path.endswith("/runs/query") for _, path in langsmith.requests[before:]) == 2
        assert langsmith.check() == []


@pytest.mark.parametrize("wanted", [{"name": "chat"}, {"idle": timedelta(seconds=-1)}])
def test_odd_arguments_are_refused(wanted):
    with pytest.raises(SutroInputError, match=next(iter(wanted))):
        evaluate_runs(judge(), "app", threads=True, **wanted)
