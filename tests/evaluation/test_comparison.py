"""Two experiments on the same examples: what differs, by how much, and whether it may be chance."""

import re
import uuid

import pytest

from langchain_sutro import compare_experiments
from langchain_sutro.errors import SutroInputError
from langchain_sutro.evaluation.dataset import evaluate_dataset
from langchain_sutro.evaluation.judged_runs import JudgedRuns
from langchain_sutro.statistics import compare
from tests.support.experiments import exact, examples
from tests.support.made_experiments import made, made_row

# LangSmith's older clients know no other word for an example's reference outputs.
pytestmark = pytest.mark.filterwarnings("ignore:'outputs' is deprecated")


def experiment(right, name="made-up", **rest):
    """A row for each example, right or not, with a judge's verdict."""
    return made(
        [
            made_row(
                number,
                answer="a" if good else "b",
                expected="a",
                grounded=("pass", 1) if good else ("fail", 0),
                **rest,
            )
            for number, good in enumerate(right)
        ],
        name,
    )


BEFORE = [True] * 70 + [False] * 30
AFTER = [True] * 67 + [False] * 3 + [True] * 15 + [False] * 15


def test_figures_are_compared_example_by_example():
    found = compare_experiments(experiment(BEFORE, "old"), experiment(AFTER, "new"))
    assert (found.first, found.second, found.examples) == ("old", "new", 100)
    accuracy = found.figure("accuracy")
    assert accuracy.comparison == compare(BEFORE, AFTER)
    assert accuracy.comparison.test == "mcnemar"
    assert (accuracy.comparison.better, accuracy.comparison.worse) == (15, 3)
    assert accuracy.examples_needed == accuracy.comparison.examples_needed(0.12)
    assert found.figure("grounded").comparison == accuracy.comparison
    passed, failed = found.figure("grounded", "pass"), found.figure("grounded", "fail")
    assert passed.comparison.difference.value == pytest.approx(0.12)
    assert failed.comparison.difference.value == pytest.approx(-0.12)
    assert found.figure("answer", "b").comparison == failed.comparison


def test_the_examples_that_differ_are_there_with_the_worse_first():
    found = compare_experiments(experiment(BEFORE), experiment(AFTER)).figure("grounded", "pass")
    assert len(found.differing) == 18
    worse = found.differing[:3]
    assert [pair.example.inputs["n"] for pair in worse] == [67, 68, 69]
    assert [(pair.first[0].answer, pair.second[0].answer) for pair in worse] == [("a", "b")] * 3
    assert found.differing[3].second[0].answer == "a"


def test_real_experiments_on_the_same_examples_are_compared(service):
    chosen = examples(20)
    first, second = (
        evaluate_dataset(
            service.function, chosen, evaluators=[service.judge, exact], upload_results=False
        )
        for _ in range(2)
    )
    found = compare_experiments(first, second)
    names = [(one.key, one.verdict) for one in found]
    assert names == [
        ("accuracy", None),
        ("agrees", None),
        ("agrees", "pass"),
        ("agrees", "fail"),
        ("agrees_confidence", None),
        ("exact", None),
        ("answer", "small"),
    ]
    assert {one.comparison.p_value for one in found} == {1.0}
    assert {one.examples_needed for one in found} == {None}
    assert not any(one.differing for one in found)


def test_examples_are_paired_by_their_ids_and_not_by_their_order():
    first = experiment(BEFORE)
    second = made([*first][::-1])
    found = compare_experiments(first, second)
    assert all(not one.differing for one in found)


def test_repetitions_of_an_example_count_once():
    rows = [
        made_row(number, repetition=again, rating=(None, (number + again * grow) % 7))
        for number in range(30)
        for again in range(2)
        for grow in (1,)
    ]
    found = compare_experiments(made(rows), made(rows[::-1]))
    assert found.examples == 30
    assert found.figure("rating").comparison.examples == 30
    assert found.figure("rating").comparison.test == "permutation"


def test_examples_without_a_figure_are_left_out_and_counted():
    first, second = experiment(BEFORE), [*experiment(BEFORE)]
    for number in range(5):
        second[number] = made_row(number, answer="a", expected="a")
    found = compare_experiments(first, made(second))
    assert found.figure("grounded").left_out == 5
    assert found.figure("grounded").comparison.examples == 95
    assert found.figure("accuracy").left_out == 0


@pytest.mark.parametrize(
    ("first", "second", "said"),
    [
        (
            BEFORE[:9],
            BEFORE,
            "91 of 100 examples of the second experiment are not in",
        ),
        (BEFORE, BEFORE[:99], "1 of 100 examples of the first experiment"),
        ([True], [True], "at least two examples"),
    ],
)
def test_examples_of_one_experiment_only_are_an_error(first, second, said):
    with pytest.raises(SutroInputError, match=said):
        compare_experiments(experiment(first), experiment(second))


def test_examples_of_one_experiment_only_can_be_left_out():
    found = compare_experiments(experiment(BEFORE[:50]), experiment(BEFORE), common=True)
    assert found.examples == 50
    others = made([made_row(number, answer="a") for number in range(100, 110)])
    with pytest.raises(SutroInputError, match="no example in common"):
        compare_experiments(experiment(BEFORE), others, common=True)


def test_what_has_no_pairs_is_an_error():
    plain, twice = experiment(BEFORE), made([*experiment(BEFORE), made_row(3, answer="a")])
    without = made([*experiment(BEFORE)[:2]])
    without._rows[1] = type(without[1])(run=without[1].run, example=None)
    for given, said in (
        (twice, "is twice in the second experiment, at the latest in row 100"),
        (without, "Row 1 of the second experiment has no example"),
        (JudgedRuns("traffic"), "The second is a JudgedRuns, and not the ExperimentResults"),
    ):
        with pytest.raises(SutroInputError, match=said):
            compare_experiments(plain, given)
    with pytest.raises(SutroInputError, match="no figure in common"):
        compare_experiments(
            made([made_row(number) for number in range(3)]),
            made([made_row(number, other=("x", None)) for number in range(3)]),
        )


def test_examples_that_were_changed_in_between_are_an_error_that_shows_none_of_their_values():
    changed = [*experiment(BEFORE)]
    changed[7] = made_row(7, answer="a", expected="a", inputs={"n": "confidential"})
    with pytest.raises(SutroInputError, match="1 examples have other inputs") as caught:
        compare_experiments(experiment(BEFORE), made(changed))
    assert "confidential" not in str(caught.value)
    assert str(changed[7].example.id) in str(caught.value)


def test_a_figure_that_is_not_there_is_an_error():
    found = compare_experiments(experiment(BEFORE), experiment(AFTER))
    with pytest.raises(SutroInputError, match="the figures are: accuracy: score, grounded: score"):
        found.figure("nothing")


def test_it_is_a_table_in_pandas_and_in_notebooks():
    found = compare_experiments(
        experiment(BEFORE, "<script>old"), experiment(AFTER, "new"), confidence_level=0.9
    )
    table = found.to_pandas()
    assert len(table) == len(found) == 6
    assert table.loc[0, ["key", "higher", "lower", "left_out"]].tolist() == ["accuracy", 15, 3, 0]
    assert table["low"][0] < 0.12 < table["high"][0]
    shown = found._repr_html_()
    assert "<script>" not in shown
    assert "&lt;script&gt;old" in shown
    assert "<th>90 % interval</th>" in shown
    assert "<td>grounded: pass</td><td>0.700</td><td>0.820</td><td>+0.120</td>" in shown
    assert re.search(r"<td>0\.0044</td><td>15</td><td>3</td><td>\d+</td>", shown)
    assert repr(found) == (
        "<ExperimentComparison: '<script>old' and 'new', 100 examples, 6 figures>"
    )


def test_many_different_answers_are_no_figures():
    first = made([made_row(number, answer=str(uuid.uuid4()), expected="x") for number in range(30)])
    assert [one.key for one in compare_experiments(first, first)] == ["accuracy"]
