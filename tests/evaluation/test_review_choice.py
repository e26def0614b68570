"""Which runs are chosen for review, whatever the judges said and in whatever order."""

from datetime import UTC, datetime
from random import Random
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from langchain_sutro.evaluation.candidates import Candidate
from langchain_sutro.evaluation.judge_answers import JudgeAnswer, JudgeAnswers
from langchain_sutro.evaluation.review_choice import ReviewPlan, in_audit

NOW, PROJECT = datetime(2026, 1, 1, tzinfo=UTC), UUID(int=7)
NUMBERS = st.none() | st.floats(0, 1)
ANSWERS = st.builds(JudgeAnswer, NUMBERS, st.none() | st.sampled_from(["yes", "no"]), NUMBERS)
CANDIDATES = st.builds(
    Candidate, st.uuids(), st.just(PROJECT), st.just(NOW),
    st.dictionaries(st.sampled_from("abc"), ANSWERS, max_size=3), NUMBERS,
)  # fmt: skip
RUNS = st.lists(CANDIDATES, unique_by=lambda one: one.id, max_size=30)
TIMES = st.datetimes(timezones=st.just(UTC))
AMOUNTS = st.integers(0, 40) | st.floats(0, 1)
PLANS = st.builds(ReviewPlan, AMOUNTS, AMOUNTS, AMOUNTS, st.integers(0, 3))


@settings(max_examples=60)
@given(RUNS, PLANS, st.randoms(use_true_random=False))
def test_neither_the_choice_nor_its_order_depends_on_the_order_of_the_runs(runs, plan, random):
    shuffled = runs[:]
    random.shuffle(shuffled)
    chosen, again = plan.choose(runs), plan.choose(shuffled)
    assert list(chosen.items()) == list(again.items())
    assert chosen.keys() <= {one.id for one in runs}
    assert all(why and len(set(why)) == len(why) for why in chosen.values())


@settings(max_examples=60)
@given(RUNS, st.integers(0, 40))
def test_nobody_less_sure_than_the_chosen_is_left_out(runs, amount):
    chosen = ReviewPlan(amount, 0, 0, 0).choose(runs)
    unsure = {one.id: one.least_confidence for one in runs if one.least_confidence is not None}
    assert len(chosen) == min(amount, len(unsure))
    left = [unsure[one] for one in unsure.keys() - chosen.keys()]
    assert not left or not chosen or min(left) >= max(unsure[one] for one in chosen)


@settings(max_examples=60)
@given(RUNS, AMOUNTS, st.integers(0, 3))
def test_the_audit_can_be_told_from_the_ids_alone(runs, amount, seed):
    plan = ReviewPlan(0, 0, amount, seed)
    share = plan.audit_share(one.id for one in runs)
    assert plan.choose(runs).keys() == {one.id for one in runs if in_audit(one.id, share, seed)}
    if isinstance(amount, int):
        assert len(plan.choose(runs)) == min(amount, len(runs))


@settings(max_examples=30)
@given(RUNS, st.floats(0, 1))
def test_a_share_audits_a_run_whatever_runs_are_beside_it(runs, share):
    plan = ReviewPlan(0, 0, share, 0)
    alone = {one.id for one in runs if plan.choose([one])}
    assert plan.choose(runs).keys() == alone


def test_an_audit_is_a_random_share_and_another_seed_another_one():
    ids = [UUID(int=Random(number).getrandbits(128)) for number in range(4000)]
    audits = [{one for one in ids if in_audit(one, 0.1, seed)} for seed in (0, 1)]
    assert all(300 < len(audit) < 500 for audit in audits)
    assert len(audits[0] & audits[1]) < 90


@pytest.mark.parametrize(
    ("answers", "apart"),
    [
        ([(1, "yes"), (0, "no")], 1),
        ([(1, "yes"), (1, "good")], 0),
        ([(0.2, None), (0.9, None), (0.5, None)], 0.7),
        ([(None, "yes"), (None, "no")], 1),
        ([(None, "Yes"), (None, "yes")], 0),
        ([(None, None), (1, None)], 0),
        ([(1, None)], 0),
    ],
)
def test_judges_disagree_by_score_or_by_verdict(answers, apart):
    said = {str(index): JudgeAnswer(*one) for index, one in enumerate(answers)}
    assert Candidate(UUID(int=1), PROJECT, NOW, said).disagreement == pytest.approx(apart)


@settings(max_examples=60)
@given(st.lists(st.tuples(st.uuids(), TIMES, ANSWERS), max_size=20))
def test_answers_are_kept_as_they_were_the_first_of_each_run(said):
    kept, first = JudgeAnswers(), {}
    for run_id, start, answer in said:
        kept.add(run_id, start, answer)
        first.setdefault(run_id, (run_id, start, answer))
    assert list(kept) == list(first.values())
