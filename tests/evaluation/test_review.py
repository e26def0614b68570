"""`send_for_review`: the runs that people should look at, each once in the queue."""

import os
import signal
import subprocess
import sys
import threading
import warnings
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from uuid import UUID, uuid4

import pytest
from langsmith import uuid7
from langsmith.utils import LangSmithError
from urllib3.util import Retry

from langchain_sutro import (
    asend_for_review,
    evaluate_dataset,
    evaluate_runs,
    send_for_review,
)
from langchain_sutro.errors import SutroInputError
from langchain_sutro.evaluation import langsmith_api
from tests.support.judged_traffic import judge, publish_judges, trace
from tests.support.langsmith_recorder import LangSmithRecorder

NONE = {"uncertain": 0, "disagreement": 0, "audit": 0}


@pytest.fixture
def langsmith(request):
    with LangSmithRecorder(has_items=getattr(request, "param", "runs") == "items") as recorder:
        yield recorder
        assert recorder.check() == []


@pytest.fixture
def deployment(deployment, monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    for name, value in deployment.environ.items():
        monkeypatch.setenv(name, value)
    publish_judges(deployment)
    return deployment


@pytest.fixture
def pauses(monkeypatch):
    """The seconds for which a request to LangSmith is put off, which take no time here."""
    found = []
    monkeypatch.setattr(langsmith_api, "time", SimpleNamespace(sleep=found.append))
    return found


@pytest.fixture
def judged(deployment, langsmith):
    """What `evaluate_runs` returns for six runs, and their ids."""
    runs = trace(
        langsmith,
        [
            "yes 0.9 yes 0.99",
            "no 0.55 no 0.99",
            "yes 0.95 yes 0.6",
            "yes 0.97 no 0.97",
            "no 0.98 no 0.98",
            "yes 0.99 yes 0.99",
        ],
    )
    client = langsmith.client()
    found = evaluate_runs([judge(), judge("second")], "app", client=client)
    return found, [run.id for run in runs], client


def send_all(what, queue, **options):
    return send_for_review(what, queue, **{"audit": 1.0, **options})


def sent(found):
    return {one.run_id: one.why for one in found.sent}


class TestChoice:
    def test_the_least_confident_runs_go_into_the_queue(self, judged, langsmith):
        what, ids, client = judged
        found = send_for_review(what, "doubt", client=client, **NONE | {"uncertain": 2})
        assert sent(found) == {ids[1]: ("uncertain",), ids[2]: ("uncertain",)}
        assert set(langsmith.queue("doubt")["runs"]) == {str(ids[1]), str(ids[2])}
        assert {one.run_id: one.confidence for one in found.runs} == {ids[1]: 0.55, ids[2]: 0.6}
        assert (found.created, found.queue, found.candidates) == (True, "doubt", 6)

    def test_runs_on_which_judges_disagree_go_into_the_queue(self, judged):
        what, ids, client = judged
        found = send_for_review(what, "doubt", client=client, **NONE | {"disagreement": 5})
        assert sent(found) == {ids[3]: ("disagreement",)}

    def test_one_judge_disagrees_with_nobody(self, judged):
        what, ids, client = judged
        wanted = {**NONE, "disagreement": 5, "uncertain": 1}
        found = send_for_review(what, "doubt", judges="second", client=client, **wanted)
        assert sent(found) == {ids[2]: ("uncertain",)}

    def test_the_audit_is_a_share_of_all_runs(self, judged):
        what, ids, client = judged
        found = send_for_review(what, "doubt", client=client, **NONE | {"audit": 1.0})
        assert sent(found) == dict.fromkeys(ids, ("audit",))
        assert found.audit_share == 1.0

    def test_a_run_may_have_several_reasons_and_is_sent_once(self, judged, langsmith):
        what, ids, client = judged
        found = send_for_review(what, "doubt", client=client, audit=1.0, uncertain=6)
        assert sent(found)[ids[3]] == ("uncertain", "disagreement", "audit")
        assert len(langsmith.queue("doubt")["runs"]) == 6
        assert found.counts() == {"uncertain": 6, "disagreement": 1, "audit": 6}

    def test_runs_judged_in_an_earlier_call_are_chosen_from_too(self, judged, langsmith):
        _, ids, client = judged
        again = evaluate_runs([judge(), judge("second")], "app", client=client)
        assert again.judged == {}
        found = send_for_review(again, "doubt", client=client, **NONE | {"uncertain": 2})
        assert set(sent(found)) == {ids[1], ids[2]}

    def test_scores_of_judged_runs_are_in_the_order_of_the_runs(self, judged):
        what, _, client = judged
        assert what.scores("first") == [1, 0, 1, 1, 0, 1]
        again = evaluate_runs([judge(), judge("second")], "app", client=client)
        assert again.scores("second") == [1, 0, 1, 0, 0, 1]
        assert "answers" not in again.as_dict()
        with pytest.raises(SutroInputError, match="the keys are: first, second"):
            what.scores("third")

    def test_ids_of_runs_are_taken_with_the_feedback_that_they_have(self, judged):
        _, ids, client = judged
        unknown = uuid7()
        given = [*map(str, ids), unknown, ids[0]]
        found = send_for_review(given, "doubt", client=client, audit=0, uncertain=1)
        assert sent(found) == {ids[1]: ("uncertain",), ids[3]: ("disagreement",)}
        assert found.unknown == (unknown,)
        assert found.candidates == 6

    def test_what_people_said_is_not_the_confidence_of_a_judge(self, judged, langsmith):
        _, ids, client = judged
        langsmith.review(ids[5], "first_confidence", score=0.01)
        found = send_for_review(ids, "doubt", client=client, **NONE | {"uncertain": 1})
        assert set(sent(found)) == {ids[1]}

    def test_an_experiments_rows_are_taken(self, service, smith):
        results = evaluate_dataset(
            service.function, "sizes", evaluators=[service.judge], client=smith.smith
        )
        found = send_for_review(results, "rows", client=smith.smith, audit=0.1, uncertain=3)
        assert found.candidates == 50
        assert found.counts()["uncertain"] == 3
        assert len(smith.queue("rows")["runs"]) == len(found.sent)

    def test_an_evaluation_that_was_not_uploaded_is_refused(self, service, smith):
        results = evaluate_dataset(
            service.function, "sizes", upload_results=False, client=smith.smith
        )
        with pytest.raises(SutroInputError, match="not in LangSmith"):
            send_for_review(results, "rows", client=smith.smith)

    @pytest.mark.parametrize("odd", [-1, 1.5, True, "all"])
    @pytest.mark.parametrize("name", ["uncertain", "disagreement", "audit"])
    def test_odd_amounts_are_refused(self, name, odd):
        with pytest.raises(SutroInputError, match=name):
            send_for_review([uuid7()], "doubt", **{name: odd})

    @pytest.mark.parametrize("odd", ["app", {"a": 1}, ["no id"], 7, None])
    def test_what_has_no_runs_is_refused(self, odd):
        with pytest.raises(SutroInputError, match="ids of runs"):
            send_for_review(odd, "doubt")

    def test_an_unknown_judge_is_named(self, judged):
        what, _, client = judged
        with pytest.raises(SutroInputError, match="under third; the keys are: first, second"):
            send_for_review(what, "doubt", judges="third", client=client)

    async def test_the_asynchronous_form_does_the_same(self, judged, langsmith):
        what, _, client = judged
        found = await asend_for_review(what, "doubt", client=client, uncertain=2, audit=0.0)
        assert found.as_dict()["reasons"] == {"uncertain": 2, "disagreement": 1}
        assert (await asend_for_review(what, queue="doubt", client=client)).queue == "doubt"

    def test_the_table_says_why(self, judged):
        what, ids, client = judged
        found = send_for_review(what, "doubt", client=client, uncertain=1, audit=0)
        table = found.to_pandas().set_index("run_id")
        assert table.loc[str(ids[1]), "why"] == "uncertain"
        assert table.loc[str(ids[3])].tolist() == ["disagreement", 0.97, False]


@pytest.mark.parametrize("langsmith", ["runs", "items"], indirect=True)
class TestOnce:
    @pytest.fixture
    def judged(self, langsmith, monkeypatch, tmp_path):
        """Six runs that nobody has judged, of which all are sent."""
        monkeypatch.setenv("HOME", str(tmp_path))
        ids = [run.id for run in trace(langsmith, "abcdef")]
        return ids, ids, langsmith.client()

    def test_a_second_call_sends_nothing(self, judged, langsmith):
        what, _, client = judged
        first = send_all(what, "doubt", client=client)
        again = send_all(what, "doubt", client=client)
        assert again.sent == []
        assert [one.run_id for one in again.present] == [one.run_id for one in first.sent]
        assert again.created is False
        assert again.queue_id == first.queue_id

    def test_what_is_reviewed_is_not_sent_again(self, judged, langsmith):
        what, ids, client = judged
        send_all(what, "doubt", client=client)
        for run_id in ids[:3]:
            langsmith.review(run_id, "correct", score=1, queue="doubt")
        assert send_all(what, "doubt", client=client).sent == []

    def test_a_queue_is_found_by_its_id(self, judged, langsmith):
        what, _, client = judged
        made = client.create_annotation_queue(name="made by hand")
        found = send_all(what, made.id, client=client)
        assert (found.queue, found.created) == ("made by hand", False)
        assert send_all(what, str(made.id), client=client).sent == []
        assert len(langsmith.queues) == 1

    def test_an_unknown_id_and_a_name_of_two_queues_are_refused(self, judged):
        what, _, client = judged
        with pytest.raises(SutroInputError, match="no annotation queue with the id"):
            send_all(what, uuid4(), client=client)
        ids = [client.create_annotation_queue(name="two").id for _ in range(2)]
        with pytest.raises(SutroInputError, match="pass one of the ids") as caught:
            send_all(what, "two", client=client)
        assert all(str(one) in str(caught.value) for one in ids)

    def test_a_queue_is_made_with_what_reviewers_need(self, judged, langsmith):
        what, _, client = judged
        options = {"label": "correct", "instructions": "Is it?"}
        send_all(what, "doubt", client=client, **options)
        made = langsmith.queue("doubt")
        assert made["rubric_items"] == [{"feedback_key": "correct", "is_required": True}]
        assert made["rubric_instructions"] == "Is it?"

    def test_no_queue_is_made_for_nothing(self, judged, langsmith):
        what, _, client = judged
        found = send_all(what, "doubt", client=client, audit=0)
        assert (found.queue_id, found.runs, langsmith.queues) == (None, (), {})

    def test_a_call_that_broke_off_after_making_the_queue_is_completed(
        self, judged, langsmith, monkeypatch
    ):
        what, ids, _ = judged
        client = langsmith.client(retry_config=Retry(0))
        with monkeypatch.context() as broken:
            broken.setattr(langsmith, "add_to_queue", lambda *_: (500, {"detail": "broken"}))
            with pytest.raises(LangSmithError):
                send_all(what, "doubt", client=client)
        assert langsmith.queue("doubt")["runs"] == []
        found = send_all(what, "doubt", client=client)
        assert found.created is False
        assert len(found.sent) == len(ids) == len(langsmith.queue("doubt")["runs"])

    def test_an_answer_that_was_lost_does_not_add_runs_twice(self, judged, langsmith, monkeypatch):
        what, ids, _ = judged
        # The package repeats nothing that may have been carried out; the client does by default.
        client = langsmith.client(retry_config=Retry(0))
        take = langsmith.add_to_queue
        with monkeypatch.context() as broken:

            def taken_but_not_answered(*given):
                take(*given)
                return 500, {"detail": "gone"}

            broken.setattr(langsmith, "add_to_queue", taken_but_not_answered)
            with pytest.raises(LangSmithError):
                send_all(what, "doubt", client=client)
        assert send_all(what, "doubt", client=client).sent == []
        assert len(langsmith.queue("doubt")["runs"]) == len(ids)

    def test_a_server_that_has_too_much_to_do_is_asked_again(self, judged, langsmith, pauses):
        what, ids, client = judged
        langsmith.limited = 5
        assert len(send_all(what, "doubt", client=client).sent) == len(ids)

    @pytest.mark.parametrize(
        ("asked", "waited"),
        [
            ("7", [7, 7]),
            ("0", [0, 0]),
            ("3600", [60, 60]),
            ("Fri, 31 Dec 9999 23:59:59 GMT", [60, 60]),
            ("Thu, 01 Jan 1970 00:00:00 GMT", [0, 0]),
            # Nothing that says how long: longer with each attempt.
            *((nonsense, [1, 2]) for nonsense in (None, "soon", "nan", "inf")),
        ],
    )
    async def test_it_waits_as_long_as_the_server_asks(
        self, judged, langsmith, pauses, asked, waited
    ):
        what, ids, _ = judged
        client = langsmith.client(retry_config=Retry(0))
        langsmith.retry_after = asked
        langsmith.limited_adds = 2
        assert len(send_all(what, "doubt", client=client).sent) == len(ids)
        assert pauses == waited
        langsmith.limited_adds = 2
        wanted = {"audit": 1.0, "client": client}
        assert len((await asend_for_review(what, "again", **wanted)).sent) == len(ids)
        assert pauses == waited * 2

    def test_a_server_that_never_takes_it_is_an_error(self, judged, langsmith, pauses):
        what, _, _ = judged
        langsmith.limited_adds = 10**6
        with pytest.raises(LangSmithError, match="Rate limit"):
            send_all(what, "doubt", client=langsmith.client(retry_config=Retry(0)))
        assert len(pauses) == 7

    def test_many_runs_are_sent_a_hundred_at_a_time(self, langsmith, tmp_path):
        runs = trace(langsmith, [f"text {number}" for number in range(230)])
        client = langsmith.client()
        wanted = {**NONE, "audit": 1.0, "state": tmp_path / "state"}
        before = len(langsmith.requests)
        found = send_for_review([run.id for run in runs], "all", client=client, **wanted)
        assert len(found.sent) == 230
        assert [UUID(one) for one in langsmith.queue("all")["runs"]] == [
            one.run_id for one in found.runs
        ]
        adding = ("POST", "/items") if langsmith.has_items else ("POST", "/by-key")
        sent = [one for one in langsmith.requests[before:] if one[0] == "POST"]
        assert sum(path.endswith(adding[1]) for _, path in sent) == 3
        assert send_for_review([run.id for run in runs], "all", client=client, **wanted).sent == []

    def test_two_machines_make_one_queue(self, judged, langsmith, monkeypatch):
        what, _, client = judged
        take, others = langsmith.add_queue, []

        def first_another(given):
            if not others:
                others.append(take(dict(given)))
            return take(given)

        monkeypatch.setattr(langsmith, "add_queue", first_another)
        found = send_all(what, "doubt", client=client)
        assert len(langsmith.queues) == 1
        assert found.created is False


PROGRAM = """
import sys
from langsmith import Client
from langchain_sutro import send_for_review

client = Client(api_url=sys.argv[1], api_key="x")
send_for_review(sys.argv[2:], "doubt", audit=1.0, client=client)
"""


def program(recorder, runs):
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, recorder.url, *(str(run.id) for run in runs)],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )


@pytest.mark.slow
class TestProcesses:
    @pytest.fixture(autouse=True)
    def home(self, monkeypatch, tmp_path):
        monkeypatch.setenv("HOME", str(tmp_path))

    def test_a_process_killed_before_it_adds_runs_is_completed(self, langsmith, monkeypatch):
        runs = trace(langsmith, [f"text {number}" for number in range(5)])
        arrived, go_on = threading.Event(), threading.Event()

        def stop(*_):
            arrived.set()
            go_on.wait(100)
            return 500, {"detail": "nobody is there"}

        with monkeypatch.context() as stopped:
            stopped.setattr(langsmith, "add_to_queue", stop)
            killed = program(langsmith, runs)
            assert arrived.wait(100)
            killed.send_signal(signal.SIGKILL)
            killed.wait(100)
            go_on.set()
        assert langsmith.queue("doubt")["runs"] == []
        ids = [run.id for run in runs]
        found = send_for_review(ids, "doubt", audit=1.0, client=langsmith.client())
        assert (found.created, len(found.sent)) == (False, 5)

    def test_two_at_once_send_each_run_once(self, langsmith):
        runs = trace(langsmith, [f"text {number}" for number in range(150)])
        programs = [program(langsmith, runs) for _ in range(2)]
        assert [one.wait(100) for one in programs] == [0, 0]
        assert len(langsmith.queue("doubt")["runs"]) == 150


def test_runs_of_several_projects_go_into_one_queue(langsmith, tmp_path):
    ids = [trace(langsmith, ["a"], project=name)[0].id for name in ("one", "two")]
    wanted = {**NONE, "audit": 2, "state": tmp_path / "state"}
    found = send_for_review(ids, "both", client=langsmith.client(), **wanted)
    assert {one.run_id for one in found.sent} == set(ids)


@pytest.mark.parametrize("langsmith", ["runs", "items"], indirect=True)
@pytest.mark.parametrize("wrong", ["run_id", "session_id", "start_time"])
def test_the_recorder_knows_only_runs_that_were_sent(langsmith, wrong):
    client = langsmith.client()
    queue = client.create_annotation_queue(name="q")
    (run,) = trace(langsmith, ["a"])
    known = langsmith.runs[str(run.id)]
    key = {"run_id": run.id, "session_id": known["session_id"], "start_time": run.start_time}
    key[wrong] = uuid4() if wrong != "start_time" else run.start_time + timedelta(seconds=1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        with pytest.raises(LangSmithError, match="404"):
            client.add_runs_to_annotation_queue(queue.id, runs=[key])
    assert langsmith.queue("q")["runs"] == []
