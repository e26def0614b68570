"""How often intervals and guarantees hold, over data sets made at random.

`python -m tests.statistics.simulations [data sets]` runs all of it, by default with 10,000 data
sets for each set of parameters; the tests run a part.
"""

import sys
from itertools import product

import numpy as np

from langchain_sutro.statistics import compare, guaranteed_threshold, judge_rates, pass_rate

PREVALENCES = (0.1, 0.3, 0.5, 0.8, 0.95)
RATES = (0.7, 0.9, 0.98)
SIZES = ((30, 30), (200, 100), (1000, 200), (5000, 500))


def pass_rate_coverage(times, prevalence, sensitivity, specificity, verdicts, labelled, seed=0):
    """The share of data sets whose 95 % interval holds the true pass rate."""
    generator = np.random.default_rng(seed)
    held = made = 0
    while made < times:
        labels = generator.random(labelled) < prevalence
        if labels.all() or not labels.any():
            continue
        truth = generator.random(verdicts) < prevalence
        try:
            rates = judge_rates(labels, judged(generator, labels, sensitivity, specificity))
            said = judged(generator, truth, sensitivity, specificity)
            found = pass_rate(said, rates, seed=made).corrected
        except ValueError:
            # A judge that looks no better than chance, which the caller is told.
            continue
        held += found.low <= prevalence <= found.high
        made += 1
    return held / times


def judged(generator, truth, sensitivity, specificity):
    lucky = generator.random(len(truth))
    return np.where(truth, lucky < sensitivity, lucky >= specificity)


def broken_guarantees(times, accuracy, rows, slope, seed=0):
    """The share of data sets for which the accuracy above the threshold is too low after all."""
    generator = np.random.default_rng(seed)
    broken = found = 0
    for _ in range(times):
        confidences = generator.beta(4, 1, rows)
        right = generator.random(rows) < chance_to_be_right(confidences, slope)
        threshold = guaranteed_threshold(confidences, right, accuracy).threshold
        if threshold is None:
            continue
        found += 1
        above = np.linspace(threshold, 1, 2001)
        density = above**3
        true = np.average(chance_to_be_right(above, slope), weights=density)
        broken += true < accuracy
    return broken / times, found / times


def chance_to_be_right(confidences, slope):
    return 1 - slope * (1 - confidences)


def false_alarms(times, examples, differing, *, numeric=False, seed=0):
    """The share of comparisons of equal experiments with a p-value of at most 5 %."""
    generator = np.random.default_rng(seed)
    alarms = 0
    for number in range(times):
        if numeric:
            first = generator.normal(0, 1, examples)
            second = first + generator.normal(0, 1, examples)
        else:
            first = generator.random(examples) < 0.7
            flip = generator.random(examples) < differing
            # Exchangeable: which of the two is changed is a matter of chance.
            second = np.where(flip, ~first, first)
            swap = generator.random(examples) < 0.5
            first, second = np.where(swap, second, first), np.where(swap, first, second)
        alarms += compare(first, second, seed=number).p_value <= 0.05
    return alarms / times


def difference_coverage(times, examples, better, worse, seed=0):
    """The share of comparisons whose 95 % interval holds the true difference."""
    generator = np.random.default_rng(seed)
    held = 0
    for _ in range(times):
        kind = generator.random(examples)
        first = (kind >= better) & (kind < better + worse + 0.4)
        second = (kind < better) | ((kind >= better + worse) & (kind < better + worse + 0.4))
        found = compare(first, second).difference
        held += found.low <= better - worse <= found.high
    return held / times


def main(times):
    """Print every figure."""
    cells = list(product(PREVALENCES, RATES, RATES, SIZES))
    found = [pass_rate_coverage(times, *cell[:3], *cell[3]) for cell in cells]
    print(f"pass rate, 95 % intervals, {len(cells)} cells: mean {np.mean(found):.4f}, "
          f"least {min(found):.4f}, most {max(found):.4f}, "
          f"within 1 %: {np.mean(np.abs(np.array(found) - 0.95) <= 0.01):.2f}")  # fmt: skip
    for size in SIZES:
        part = [one for one, cell in zip(found, cells, strict=True) if cell[3] == size]
        print(f"  {size[0]} verdicts, {size[1]} labelled: {np.mean(part):.4f} "
              f"({min(part):.4f} to {max(part):.4f})")  # fmt: skip
    for accuracy, rows, slope in product((0.8, 0.9, 0.98), (100, 500, 3000), (0.2, 0.8, 1.0)):
        broken, given = broken_guarantees(times, accuracy, rows, slope)
        print(f"guarantee {accuracy} of {rows} rows, slope {slope}: broken {broken:.4f}, "
              f"given {given:.3f}")  # fmt: skip
    for examples, differing in product((30, 200, 1000), (0.05, 0.3)):
        print(f"McNemar, {examples} examples, {differing} differ: "
              f"false alarms {false_alarms(times, examples, differing):.4f}")  # fmt: skip
        print(f"difference, {examples} examples: coverage "
              f"{difference_coverage(times, examples, 0.2, 0.1):.4f}")  # fmt: skip
    alarms = false_alarms(max(100, times // 10), 40, 0, numeric=True)
    print(f"permutation, 40 examples: false alarms {alarms:.4f}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 10_000)
