"""The fixtures for users' own tests, used as a user would."""

import pytest

from langchain_sutro import SutroFunction, run_function
from langchain_sutro.local import Answer
from tests.support.calls import LEAD

pytest_plugins = ["pytester"]


def test_the_samples_answer_without_any_settings(sutro_deployment):
    assert SutroFunction("lead-qualifier").invoke(LEAD).answer
    assert run_function("lead-qualifier", LEAD).answer
    assert len(sutro_deployment.requests) == 2


def test_a_stand_in_answers_whatever_fields_it_gets(sutro_deployment, sutro_function):
    judge = sutro_function("judge", lambda row: Answer(f"about {row['topic']}", confidence=0.3))
    result = judge.invoke({"topic": "tests", "other": 1})
    assert (result.answer, result.confidence) == ("about tests", 0.3)
    assert judge.batch([{"topic": "a"}, {"topic": "b"}])[1].answer == "about b"
    assert len(sutro_deployment.jobs) == 1


def test_things_can_be_made_to_go_wrong(sutro_deployment, sutro_function):
    from langchain_sutro import errors

    judge = sutro_function("judge", lambda _: "fine", max_retries=0)
    sutro_deployment.faults.add("functions/*", status=429, json={"detail": "slow down"})
    with pytest.raises(errors.SutroRateLimitError):
        judge.invoke({"a": "b"})
    assert judge.invoke({"a": "b"}).answer == "fine"


def test_a_users_suite_needs_one_line(pytester):
    pytester.makeconftest('pytest_plugins = ["langchain_sutro.testing"]')
    pytester.makepyfile(
        """
        from langchain_sutro import SutroFunction

        def test_the_calls_are_recorded(sutro_deployment, sutro_function):
            judge = sutro_function("judge", lambda row: "fine")
            assert SutroFunction("judge", output="answer").invoke({"a": 1}) == "fine"
            [call] = sutro_deployment.requests
            assert (call.method, call.path) == ("POST", "/v1/functions/judge/run")
            assert call.body["input"] == {"a": 1}
            assert sutro_deployment.api_key not in repr(call)
        """
    )
    pytester.runpytest_subprocess("-q", "-p", "no:socket").assert_outcomes(passed=1)
