"""How often intervals and guarantees hold, over data sets made at random.

`python -m tests.statistics.simulations [data sets]` runs all of it, by default with 10,000 data
sets for each set of parameters, and lists every set whose figure is off by more than 1 %; the tests
run a part.
"""

import argparse
from itertools import product

import numpy as np
from scipy.stats import binom

from langchain_sutro.statistics import agreement, compare, guaranteed_threshold
from langchain_sutro.statistics.corrected_shares import JudgedCounts
from langchain_sutro.statistics.intervals import normal_quantile, proportion
from langchain_sutro.statistics.paired_shares import mcnemar_mid_p, tango_interval

PREVALENCES = (0.1, 0.3, 0.5, 0.8, 0.95)
RATES = (0.7, 0.9, 0.98)
# Numbers of verdicts, and of labelled rows.
SIZES = ((30, 30), (30, 200), (100, 100), (300, 100), (1000, 200), (5000, 500))
EXAMPLES = (30, 100, 300, 1000, 5000)
# Shares of examples that only the second, and only the first, passes.
DIFFERING = (
    *((0.02, 0.02), (0.05, 0.05), (0.15, 0.15), (0.3, 0.3)),
    *((0.1, 0.05), (0.2, 0.1), (0.3, 0.05)),
)
# How frequent each label is, how often each of two judges is right, and the rows.
LABELS = ((0.5, 0.5), (0.9, 0.1), (0.98, 0.02), (0.4, 0.3, 0.3))
RIGHT = (0.8, 0.95)
ROWS = (30, 100, 1000)
Z = normal_quantile(0.95)
CHECKED = 50


def judged_counts(times, prevalence, sensitivity, specificity, verdicts, labelled, seed, at_random):
    """What a judge says in so many data sets, of which those are left that can be corrected."""
    generator = np.random.default_rng(seed)
    # Some data sets are refused, and made anew.
    positives = generator.binomial(labelled, prevalence, 4 * times)
    positives = positives[(positives > 0) & (positives < labelled)]
    right = generator.binomial(positives, sensitivity)
    refused = generator.binomial(labelled - positives, specificity)
    says_yes = prevalence * sensitivity + (1 - prevalence) * (1 - specificity)
    passed = generator.binomial(verdicts, says_yes, len(positives))
    if not at_random:
        better = right / positives + refused / (labelled - positives) > 1
        passed, right, positives, refused = (
            one[better] for one in (passed, right, positives, refused)
        )
    counts = [passed, np.full(len(passed), verdicts), right, positives, refused]
    counts.append(labelled - positives)
    return JudgedCounts(*(one[:times].astype(float) for one in counts), at_random=at_random)


def pass_rate_coverage(times, prevalence, *cell, seed=0, at_random=False):
    """The share of data sets whose 95 % interval holds the true pass rate.

    The interval holds what the score test accepts, and the test is much faster. So it stands for
    the interval, except where the estimate is cut to 0 or 1, which can make the interval wider. For
    some of the other data sets it is checked that both say the same.
    """
    counts = judged_counts(times, prevalence, *cell, seed, at_random)
    assert len(counts.passed) == times
    held = np.abs(counts.score(np.full(times, prevalence))) <= Z
    cut = np.isin(counts.share(), (0, 1))
    for chosen, known in ((cut, False), (~cut & (np.cumsum(~cut) <= CHECKED), True)):
        low, high = some_of(counts, chosen).interval(Z)
        found = (low <= prevalence) & (prevalence <= high)
        if known:
            assert (found == held[chosen]).all()
        held[chosen] = found
    return float(np.mean(held))


def some_of(counts, chosen):
    arrays = [value[chosen] for name, value in vars(counts).items() if name != "at_random"]
    return JudgedCounts(*arrays, at_random=counts.at_random)


def share_coverage(share, rows):
    """The exact probability that Wilson's 95 % interval holds a share."""
    found = [proportion(hits, rows, 0.95) for hits in range(rows + 1)]
    held = [one.low <= share <= one.high for one in found]
    return float(binom.pmf(np.flatnonzero(held), rows, share).sum())


def broken_guarantees(times, accuracy, rows, slope, seed=0):
    """The share of data sets for which the accuracy above the threshold is too low after all.

    With `slope` None every answer is right with nearly the chance that is asked for, but not quite,
    so that any threshold breaks the guarantee: the worst case.
    """
    generator = np.random.default_rng(seed)
    broken = found = 0
    for _ in range(times):
        confidences = generator.beta(4, 1, rows)
        chances = accuracy - 1e-9 if slope is None else chance_to_be_right(confidences, slope)
        right = generator.random(rows) < chances
        threshold = guaranteed_threshold(confidences, right, accuracy).threshold
        if threshold is None:
            continue
        found += 1
        if slope is None:
            broken += 1
            continue
        above = np.linspace(threshold, 1, 201)
        true = np.average(chance_to_be_right(above, slope), weights=above**3)
        broken += true < accuracy
    return broken / times, found / times


def chance_to_be_right(confidences, slope):
    return 1 - slope * (1 - confidences)


def differing_counts(times, examples, better, worse, seed):
    generator = np.random.default_rng(seed)
    found = generator.multinomial(examples, [better, worse, 1 - better - worse], times)
    return found[:, 0], found[:, 1]


def false_alarms(times, examples, differing, seed=0):
    """The share of comparisons of equal experiments with a p-value of at most 5 %."""
    counts = differing_counts(times, examples, differing / 2, differing / 2, seed)
    return float(np.mean(mcnemar_mid_p(*counts) <= 0.05))


def difference_coverage(times, examples, better, worse, seed=0):
    """The share of comparisons whose 95 % interval holds the true difference."""
    counts = differing_counts(times, examples, better, worse, seed)
    low, high = tango_interval(*counts, np.full(times, examples), Z)
    return float(np.mean((low <= better - worse) & (better - worse <= high)))


def graded(times, examples, levels, difference=0.0, seed=0):
    """False alarms and coverage for scores that are no shares, such as grades from 0 to 1."""
    generator = np.random.default_rng(seed)
    alarms = held = 0
    for number in range(times):
        first, second = generator.integers(0, levels, (2, examples)) / (levels - 1)
        found = compare(first, second + difference, seed=number)
        alarms += found.p_value <= 0.05
        held += found.difference.low <= difference <= found.difference.high
    return alarms / times, held / times


def both_labels(labels, right):
    """The probability of each pair of labels that two judges of equal skill give to a row."""
    kinds = len(labels)
    said = np.full((kinds, kinds), (1 - right) / (kinds - 1))
    np.fill_diagonal(said, right)
    return sum(share * np.outer(*(said[true],) * 2) for true, share in enumerate(labels))


def true_agreement(pairs):
    """Gwet's AC1, Krippendorff's alpha and Cohen's kappa of judges who answer like that."""
    same, shares = np.trace(pairs), pairs.sum(axis=0)
    by_chance = (shares**2).sum()
    kappa = (same - by_chance) / (1 - by_chance)
    by_chance = (shares * (1 - shares)).sum() / (len(shares) - 1)
    return np.array([(same - by_chance) / (1 - by_chance), kappa, kappa])


def agreement_coverage(times, labels, right, rows, seed=0):
    """The shares of data sets whose 95 % intervals hold the true AC1, alpha and kappa."""
    generator = np.random.default_rng(seed)
    pairs = both_labels(labels, right)
    truth, held, kinds = true_agreement(pairs), np.zeros(3), len(labels)
    for number in range(times):
        both = generator.choice(pairs.size, rows, p=pairs.ravel())
        found = agreement((both // kinds).tolist(), (both % kinds).tolist(), seed=number)
        intervals = (found.gwet_ac1, found.krippendorff_alpha, found.cohen_kappa)
        low, high = zip(*((one.low, one.high) for one in intervals), strict=True)
        held += (np.array(low) <= truth) & (truth <= np.array(high))
    return held / times


def report(name, cells, figures, wanted=0.95):
    """Print the spread of the figures, and each cell that is off."""
    found = np.array(figures)
    off = np.abs(found - wanted) > 0.01
    print(f"{name}: {len(found)} cells, mean {found.mean():.4f}, {found.min():.4f} to "
          f"{found.max():.4f}, {(~off).sum()} within 1 %", flush=True)  # fmt: skip
    for cell, figure in zip(cells, found, strict=True):
        if abs(figure - wanted) > 0.01:
            print(f"    {cell}: {figure:.4f}")


def main(times):
    """Print every figure."""
    for at_random in (False, True):
        cells = [(*cell[:3], *cell[3]) for cell in product(PREVALENCES, RATES, RATES, SIZES)]
        found = [pass_rate_coverage(times, *cell, at_random=at_random) for cell in cells]
        report(f"pass rate, labelled among verdicts: {at_random}", cells, found)
    cells = list(product((0.05, 0.1, 0.3, 0.5, 0.8, 0.95), (30, 100, 300, 1000)))
    report("one share (exact)", cells, [share_coverage(*cell) for cell in cells])
    cells = [(one, *two) for one, two in product(EXAMPLES, DIFFERING)]
    report("difference of shares", cells, [difference_coverage(times, *cell) for cell in cells])
    cells = list(product(EXAMPLES, (0.04, 0.1, 0.3, 0.6)))
    report("McNemar, size", cells, [false_alarms(times, *cell) for cell in cells], wanted=0.05)
    for accuracy, rows, slope in product((0.8, 0.9, 0.98), (100, 500, 3000), (0.2, 0.8, None)):
        broken, given = broken_guarantees(times, accuracy, rows, slope)
        print(f"guarantee {accuracy} of {rows} rows, slope {slope}: broken {broken:.4f}, "
              f"given {given:.3f}", flush=True)  # fmt: skip
    for examples, levels in ((30, 5), (100, 3)):
        alarms, held = graded(times, examples, levels)
        print(f"permutation, {examples} examples, {levels} grades: false alarms {alarms:.4f}, "
              f"coverage {held:.4f}", flush=True)  # fmt: skip
    cells = list(product(LABELS, RIGHT, ROWS))
    found = [agreement_coverage(times, *cell) for cell in cells]
    for name, figures in zip(("AC1", "alpha", "kappa"), zip(*found, strict=True), strict=True):
        report(f"agreement, {name}", cells, figures)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        prog="python -m tests.statistics.simulations",
        description="How often intervals and guarantees hold, over data sets made at random.",
    )
    parser.add_argument("sets", nargs="?", type=int, default=10_000, metavar="data sets")
    main(parser.parse_args().sets)
