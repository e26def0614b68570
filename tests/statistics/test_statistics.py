"""Statistics of judges: known examples, what they promise, and what they refuse."""

import math
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from langchain_sutro import statistics
from langchain_sutro.errors import SutroConfigurationError, SutroInputError
from langchain_sutro.statistics import (
    Estimate,
    JudgeRates,
    agreement,
    compare,
    examples_needed,
    guaranteed_threshold,
    judge_rates,
    pass_rate,
)
from tests.statistics import simulations

BOOLEANS = st.lists(st.booleans(), min_size=1, max_size=60)


def judged(true_positives, false_negatives, true_negatives, false_positives):
    """Labels and verdicts with so many of each kind."""
    labels = [True] * (true_positives + false_negatives)
    labels += [False] * (true_negatives + false_positives)
    verdicts = [True] * true_positives + [False] * false_negatives
    verdicts += [False] * true_negatives + [True] * false_positives
    return labels, verdicts


def plug_in_interval(passed, verdicts, right, labelled, z=1.959964):
    """The 95 % interval of Lee et al., from shares to which a few rows of each kind are added."""
    raw, sensitivity, specificity = (
        (passed + z**2 / 2) / (verdicts + z**2),
        *((count + 1) / (labelled + 2) for count in right),
    )
    slope = sensitivity + specificity - 1
    share = (raw + specificity - 1) / slope
    of_pass = sensitivity * (1 - sensitivity) / (labelled + 2)
    of_fail = specificity * (1 - specificity) / (labelled + 2)
    centre = share + 2 * z**2 * (share * of_pass - (1 - share) * of_fail)
    spread = raw * (1 - raw) / (verdicts + z**2)
    spread += share**2 * of_pass + (1 - share) ** 2 * of_fail
    half = z * math.sqrt(spread) / slope
    return centre - half, centre + half


class TestJudgeRates:
    def test_rates_are_shares_of_the_labelled_rows(self):
        rates = judge_rates(*judged(80, 20, 45, 5))
        assert rates.sensitivity.value == 0.8
        assert rates.specificity.value == 0.9
        assert rates.accuracy.value == pytest.approx(125 / 150)
        assert (rates.positives, rates.negatives) == (100, 50)
        assert (rates.true_positives, rates.true_negatives) == (80, 45)
        # Wilson's interval of 80 of 100, as in Brown, Cai and DasGupta (2001).
        assert (rates.sensitivity.low, rates.sensitivity.high) == pytest.approx(
            (0.7111708, 0.8666331), abs=1e-6
        )
        assert str(rates.specificity) == "0.900 [0.786, 0.957]"

    def test_numbers_and_numpy_booleans_are_labels_too(self):
        assert judge_rates([1, 0, 1.0], np.array([True, False, False])).sensitivity.value == 0.5

    @pytest.mark.parametrize(
        ("labels", "verdicts", "said"),
        [
            ([True, False], [True], "2 labels and 1 verdicts"),
            ([], [], "labels is empty"),
            ([True, "no"], [True, False], r"labels\[1\] must be True or False .* not a str"),
            ([True, False], [True, None], r"verdicts\[1\] must be True or False .* NoneType"),
            ([2, 0], [1, 0], r"labels\[0\]"),
            ([True, True], [True, False], "No labelled row is False"),
            ([False], [False], "No labelled row is True"),
        ],
    )
    def test_what_cannot_be_rated_is_an_error(self, labels, verdicts, said):
        with pytest.raises(SutroInputError, match=said):
            judge_rates(labels, verdicts)


class TestPassRate:
    def test_the_correction_is_rogan_and_gladens(self):
        # 0.9 true, sensitivity 0.9, specificity 0.95: 0.9 * 0.9 + 0.1 * 0.05 = 0.815 is seen.
        rates = judge_rates(*judged(900, 100, 950, 50))
        found = pass_rate([True] * 815 + [False] * 185, rates)
        assert found.raw.value == 0.815
        assert found.corrected.value == pytest.approx(0.9)
        assert found.corrected.low < 0.9 < found.corrected.high
        assert found.corrected.high - found.corrected.low > found.raw.high - found.raw.low
        assert found.verdicts == 1000

    def test_a_perfect_judge_needs_hardly_any_correction(self):
        found = pass_rate([True] * 600 + [False] * 400, judge_rates(*judged(5000, 0, 5000, 0)))
        assert found.corrected.value == pytest.approx(0.6)
        assert found.corrected.low == pytest.approx(found.raw.low, abs=0.002)
        assert found.corrected.high == pytest.approx(found.raw.high, abs=0.002)

    def test_without_labelled_rows_nothing_is_corrected(self):
        found = pass_rate([True, False])
        assert found.corrected == found.raw
        assert found.rates is None

    def test_the_same_verdicts_give_the_same_interval(self):
        rates = judge_rates(*judged(18, 2, 15, 5))
        assert pass_rate([1, 0, 1], rates) == pass_rate([True, False, True], rates)

    def test_a_judge_no_better_than_chance_cannot_be_corrected(self):
        with pytest.raises(SutroInputError, match="no better than chance"):
            pass_rate([True], judge_rates(*judged(1, 1, 1, 1)))

    @given(BOOLEANS, *[st.integers(1, 30)] * 4)
    @settings(max_examples=50, deadline=None)
    def test_an_interval_lies_within_0_and_1_around_its_draws(self, verdicts, a, b, c, d):
        rates = judge_rates(*judged(a, b, c, d))
        try:
            found = pass_rate(verdicts, rates).corrected
        except SutroInputError:
            assert rates.sensitivity.value + rates.specificity.value <= 1
            return
        assert 0 <= found.low <= found.high <= 1
        assert 0 <= found.value <= 1

    def test_labelled_rows_among_the_verdicts_speak_for_themselves(self):
        # Tenenbein's estimate: 0.9 of the passed and 0.2 of the others are really good.
        rates = judge_rates(*judged(54, 12, 48, 6))
        verdicts = [True] * 600 + [False] * 400
        found = pass_rate(verdicts, rates, includes_labelled=True)
        assert found.corrected.value == pytest.approx(0.6 * 54 / 60 + 0.4 * 12 / 60)
        apart = pass_rate(verdicts, rates).corrected
        width = found.corrected.high - found.corrected.low
        assert width < 0.6 * (apart.high - apart.low)

    def test_where_every_row_is_labelled_the_labels_are_the_answer(self):
        labels, verdicts = judged(50, 10, 30, 10)
        rates = judge_rates(labels, verdicts)
        found = pass_rate(verdicts, rates, includes_labelled=True).corrected
        plain = pass_rate(labels).raw
        assert found.value == pytest.approx(0.6)
        assert (found.low, found.high) == pytest.approx((plain.low, plain.high), abs=1e-6)

    def test_a_useless_judge_leaves_what_the_labels_say(self):
        rates = judge_rates(*judged(20, 20, 30, 30))
        found = pass_rate([True, False] * 500, rates, includes_labelled=True).corrected
        assert found.value == pytest.approx(0.4)
        assert found.high - found.low > 0.15

    def test_labelled_rows_that_cannot_be_among_the_verdicts_are_an_error(self):
        rates = judge_rates(*judged(5, 0, 5, 0))
        for verdicts in ([True] * 9, [True] * 100):
            with pytest.raises(SutroInputError, match="10 labelled rows cannot be among"):
                pass_rate(verdicts, rates, includes_labelled=True)

    @pytest.mark.parametrize(
        ("share", "specificity", "sensitivity", "verdicts", "labelled"),
        [
            (0.5, 0.7, 0.9, 1000, 500),
            (0.8, 0.85, 0.9, 2000, 400),
            (0.3, 0.95, 0.8, 5000, 1000),
            (0.695, 0.8, 0.9, 200, 100),
        ],
    )
    def test_the_interval_of_lee_et_al_is_nearly_the_same(
        self, share, specificity, sensitivity, verdicts, labelled
    ):
        """Away from 0 and 1: "How to Correctly Report LLM-as-a-Judge Evaluations" (2025)."""
        right = round(sensitivity * labelled), round(specificity * labelled)
        rates = judge_rates(*judged(right[0], labelled - right[0], right[1], labelled - right[1]))
        raw = share * sensitivity + (1 - share) * (1 - specificity)
        passed = round(raw * verdicts)
        found = pass_rate([True] * passed + [False] * (verdicts - passed), rates).corrected
        low, high = plug_in_interval(passed, verdicts, right, labelled)
        assert found.value == pytest.approx(share, abs=0.003)
        assert (found.low, found.high) == pytest.approx((low, high), abs=0.004)

    def test_known_rates_leave_wilsons_interval(self):
        perfect = Estimate(1.0, 1.0, 1.0)
        sure = JudgeRates(perfect, perfect, perfect, 10**7, 10**7)
        for passed in (0, 3, 40):
            found = pass_rate([True] * passed + [False] * (40 - passed), sure)
            assert (found.corrected.low, found.corrected.high) == pytest.approx(
                (found.raw.low, found.raw.high), abs=1e-5
            )

    @pytest.mark.parametrize("among", [False, True])
    @pytest.mark.parametrize(
        "cell",
        [(0.1, 0.9, 0.9, 30, 200), (0.5, 0.7, 0.9, 300, 100), (0.95, 0.9, 0.7, 5000, 500)],
    )
    def test_intervals_hold_the_truth_in_95_percent_of_data_sets(self, cell, among):
        # 2,000 data sets: three standard errors are 1.5 %.
        found = simulations.pass_rate_coverage(2000, *cell, at_random=among)
        assert found == pytest.approx(0.95, abs=0.02)


class TestGuaranteedThreshold:
    def test_the_least_confidence_that_is_surely_accurate_enough(self):
        generator = np.random.default_rng(0)
        confidences = generator.uniform(0.5, 1, 4000)
        correct = generator.random(4000) < np.where(confidences > 0.7, 0.99, 0.6)
        found = guaranteed_threshold(confidences, correct, 0.95)
        assert 0.69 < found.threshold < 0.75
        assert found.accuracy > 0.95
        assert found.accepted == int((confidences >= found.threshold).sum())
        assert found.coverage == found.accepted / 4000
        assert found.reason == ""

    def test_equal_confidences_are_accepted_together(self):
        found = guaranteed_threshold([0.9] * 400 + [0.5] * 400, [True] * 400 + [False] * 400, 0.9)
        assert (found.threshold, found.accepted) == (0.9, 400)

    def test_too_few_rows_guarantee_nothing_and_say_how_many_are_needed(self):
        found = guaranteed_threshold([0.9] * 20, [True] * 20, 0.98)
        assert found.threshold is None
        assert found.accuracy is None
        assert found.reason == "20 labelled rows are too few: label at least 149."
        assert guaranteed_threshold([0.9] * 149, [True] * 149, 0.98).threshold == 0.9

    def test_answers_that_are_wrong_too_often_guarantee_nothing(self):
        found = guaranteed_threshold(np.linspace(0, 1, 1000), [True, False] * 500, 0.9)
        assert found.threshold is None
        assert "500 of 1000 labelled rows are right" in found.reason

    @pytest.mark.parametrize(
        ("arguments", "said"),
        [
            (([0.5], [True], 1.0), "accuracy must be between 0 and 1"),
            (([0.5, 0.6], [True], 0.9), "2 confidences and 1 rows"),
            (([None], [True], 0.9), r"confidences\[0\] must be a finite number, not a NoneType"),
            (([math.nan], [True], 0.9), r"confidences\[0\] .* not nan"),
        ],
    )
    def test_odd_input_is_an_error(self, arguments, said):
        with pytest.raises(SutroInputError, match=said):
            guaranteed_threshold(*arguments)

    @pytest.mark.parametrize(("rows", "slope"), [(100, 1.0), (500, 0.8), (3000, 0.8)])
    def test_guarantees_are_broken_in_at_most_5_percent_of_data_sets(self, rows, slope):
        broken, _ = simulations.broken_guarantees(400, 0.9, rows, slope)
        assert broken <= 0.05

    def test_the_worst_case_breaks_it_hardly_more_rarely(self):
        # 1,000 data sets: three standard errors are 2 %.
        broken, given = simulations.broken_guarantees(1000, 0.9, 500, None)
        assert broken == given
        assert 0.01 < broken <= 0.05 + 0.02


class TestCompare:
    def test_shares_are_compared_by_mcnemars_test(self):
        # 10 better and 2 worse: 2 * P(X <= 2) - P(X = 2) of a binomial with 12 trials.
        first = [0] * 10 + [1] * 2 + [1] * 88
        second = [1] * 10 + [0] * 2 + [1] * 88
        found = compare(first, second)
        assert found.test == "mcnemar"
        assert found.p_value == pytest.approx((2 * 79 - 66) / 4096)
        assert (found.better, found.worse, found.examples) == (10, 2, 100)
        assert found.difference.value == pytest.approx(0.08)
        assert found.difference.low < 0.08 < found.difference.high

    def test_fagerlands_example_of_few_that_differ(self):
        # Bentur et al. (2009), in Fagerland, Lydersen and Laake (2014): mid-p 0.039, and Tango's
        # interval 0.026 to 0.517.
        first = [1] * 1 + [0] * 7 + [1] * 1 + [0] * 12
        second = [1] * 1 + [1] * 7 + [0] * 1 + [0] * 12
        found = compare(first, second)
        assert found.p_value == pytest.approx(0.039, abs=0.0005)
        assert found.difference.low == pytest.approx(0.026, abs=0.0005)
        assert found.difference.high == pytest.approx(0.517, abs=0.0005)

    def test_agrestis_example_of_many_that_differ(self):
        # Approval of the Prime Minister, Agresti (1990): 150 and 86 changed their mind of 1,600.
        first = [1] * 944 + [0] * 656
        second = [1] * 794 + [0] * 150 + [1] * 86 + [0] * 570
        found = compare(first, second)
        assert (found.worse, found.better) == (150, 86)
        assert found.p_value == pytest.approx(3e-5, rel=0.1)
        assert found.difference.value == pytest.approx(-0.04)

    def test_other_scores_are_compared_by_permutation(self):
        generator = np.random.default_rng(1)
        first = generator.normal(0, 1, 60)
        found = compare(first, first + generator.normal(0.5, 0.5, 60))
        assert found.test == "permutation"
        assert found.p_value < 0.001
        assert found.difference.low < 0.5 < found.difference.high

    def test_equal_scores_do_not_differ(self):
        for scores in ([1, 0, 1], [0.5, 0.25, 0.75]):
            found = compare(scores, scores)
            assert found.p_value == 1
            assert found.difference.low <= 0 <= found.difference.high

    def test_it_says_how_many_examples_would_show_a_difference(self):
        # Differences with a deviation of 0.5: (1.96 + 0.84)^2 * 0.25 / 0.01 = 196.2.
        assert examples_needed(0.1, deviation=0.5) == 197
        assert examples_needed(-0.1, deviation=0.5) == 197
        assert examples_needed(0.1, deviation=0.5, power=0.9) == 263
        assert examples_needed(1, deviation=0) == 2
        assert compare([0, 1, 0, 1], [1, 1, 0, 0]).examples_needed(0.1) > 100
        with pytest.raises(SutroInputError, match="difference of 0"):
            examples_needed(0, deviation=1)
        with pytest.raises(SutroInputError, match="deviation"):
            examples_needed(1, deviation=math.nan)
        for difference in (math.nan, math.inf):
            with pytest.raises(SutroInputError, match="finite"):
                examples_needed(difference, deviation=1)

    @pytest.mark.parametrize(
        ("first", "second", "said"),
        [
            ([1, 0], [1], "2 and 1 scores"),
            ([1], [0], "at least two examples"),
            ([1, None], [0, 1], r"first\[1\]"),
            ([1, 0], [0, math.inf], r"second\[1\]"),
        ],
    )
    def test_what_cannot_be_compared_is_an_error(self, first, second, said):
        with pytest.raises(SutroInputError, match=said):
            compare(first, second)

    def test_equal_experiments_seldom_seem_to_differ(self):
        assert simulations.false_alarms(20_000, 300, 0.3) == pytest.approx(0.05, abs=0.01)
        assert simulations.false_alarms(20_000, 30, 0.05) < 0.05

    def test_intervals_hold_the_difference_in_95_percent_of_data_sets(self):
        for examples in (30, 1000):
            found = simulations.difference_coverage(20_000, examples, 0.2, 0.1)
            assert found == pytest.approx(0.95, abs=0.01)

    def test_grades_are_compared_with_the_same_care(self):
        # 100 data sets: three standard errors are 6.5 %.
        alarms, held = simulations.graded(100, 30, 5)
        assert alarms <= 0.12
        assert held >= 0.88


class TestAgreement:
    def test_krippendorffs_own_example(self):
        # Krippendorff (2011), with missing labels; AC1 as in Gwet's irrCAC.
        one = [1, 2, 3, 3, 2, 1, 4, 1, 2, None, None, None]
        two = [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, None, 3]
        three = [None, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, None]
        four = [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, None]
        found = agreement(one, two, three, four)
        assert found.krippendorff_alpha.value == pytest.approx(0.743, abs=0.0005)
        assert found.gwet_ac1.value == pytest.approx(0.77544, abs=0.00001)
        assert found.cohen_kappa is None
        assert found.rows == 11
        assert found.labels == (1, 2, 3, 4, 5)
        for one in (found.krippendorff_alpha, found.gwet_ac1):
            assert one.low < one.value <= one.high <= 1

    def test_cohens_textbook_example(self):
        first = ["yes"] * 25 + ["no"] * 25
        second = ["yes"] * 20 + ["no"] * 5 + ["yes"] * 10 + ["no"] * 15
        found = agreement(first, second)
        assert found.observed == pytest.approx(0.7)
        assert found.cohen_kappa.value == pytest.approx(0.4)
        assert found.cohen_kappa.low < 0.4 < found.cohen_kappa.high

    def test_ac1_holds_where_kappa_breaks_down(self):
        first = [True] * 118 + [False] * 2 + [True] * 5
        second = [True] * 118 + [True] * 2 + [False] * 5
        found = agreement(first, second)
        assert found.cohen_kappa.value < 0
        assert found.gwet_ac1.value > 0.9

    def test_judges_who_always_say_the_same_agree(self):
        found = agreement(["a"] * 5, ["a"] * 5)
        assert found.observed == 1
        assert found.gwet_ac1.value == found.krippendorff_alpha.value == 1
        assert found.cohen_kappa.value == 1

    @pytest.mark.parametrize(
        ("judges", "said"),
        [
            (([1, 2],), "at least two"),
            (([1], [1, 2]), "different numbers of labels: 1, 2"),
            (([1, None], [None, 2]), "Fewer than two rows"),
            (([1, math.nan], [math.nan, 2]), "Fewer than two rows"),
            (([[1], [2]], [[1], [2]]), "A label is a list"),
        ],
    )
    def test_what_cannot_agree_is_an_error(self, judges, said):
        with pytest.raises(SutroInputError, match=said):
            agreement(*judges)

    @pytest.mark.parametrize("missing", [math.nan, np.float64("nan"), pd.NA, pd.NaT])
    def test_what_pandas_has_for_a_missing_label_is_no_label(self, missing):
        first, second = ["a", "b", None, "a", "b"], ["a", "a", "a", None, "b"]
        found = agreement(pd.Series([missing if one is None else one for one in first]), second)
        assert found == agreement(first, second)
        assert found.labels == ("a", "b")

    def test_intervals_hold_the_agreement_of_balanced_labels(self):
        # 200 data sets: three standard errors are 4.6 %.
        held = simulations.agreement_coverage(200, (0.5, 0.5), 0.8, 100)
        assert (held >= 0.88).all()
        # The simulation would notice intervals that are too narrow.
        assert simulations.agreement_coverage(200, (0.98, 0.02), 0.95, 30)[2] < 0.6

    def test_the_simulation_knows_the_true_agreement(self):
        # Two judges who are always right, and two who guess.
        perfect = simulations.both_labels((0.3, 0.7), 1)
        assert simulations.true_agreement(perfect) == pytest.approx([1, 1, 1])
        guesses = simulations.both_labels((0.5, 0.5), 0.5)
        assert simulations.true_agreement(guesses) == pytest.approx([0, 0, 0])

    @given(st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from("ab")), min_size=2))
    @settings(max_examples=40, deadline=None)
    def test_measures_do_not_depend_on_the_order_of_judges(self, rows):
        first, second = map(list, zip(*rows, strict=True))
        one, other = agreement(first, second), agreement(second, first)
        assert one.gwet_ac1.value == pytest.approx(other.gwet_ac1.value)
        assert one.krippendorff_alpha.value == pytest.approx(other.krippendorff_alpha.value)
        assert one.krippendorff_alpha.value <= 1


@pytest.mark.parametrize("level", [0, 1, -0.5, 95, math.nan])
def test_a_confidence_level_is_between_0_and_1(level):
    for call in (
        lambda: judge_rates([1, 0], [1, 0], confidence_level=level),
        lambda: pass_rate([1, 0], confidence_level=level),
        lambda: guaranteed_threshold([0.5], [1], 0.9, confidence_level=level),
        lambda: compare([1, 0], [1, 0], confidence_level=level),
        lambda: agreement([1, 0], [1, 0], confidence_level=level),
    ):
        with pytest.raises(SutroInputError, match="confidence_level"):
            call()


def test_a_missing_library_is_named_with_its_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "statsmodels.stats.proportion", None)
    with pytest.raises(
        SutroConfigurationError, match=r"statsmodels.*langchain-sutro\[statistics\]"
    ):
        pass_rate([True])


def test_importing_it_loads_neither_scipy_nor_statsmodels():
    code = (
        "import sys, langchain_sutro.statistics; print({'scipy', 'statsmodels'} & {*sys.modules})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
    assert statistics.__all__ == dir(statistics)
