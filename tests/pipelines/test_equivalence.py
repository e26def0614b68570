"""A batch of `one_job` is what `invoke` of the pipeline returns or raises for each row."""

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from langchain_sutro import one_job
from tests.pipelines.trees import ROWS, trees
from tests.support.amounts import amount


def shown(outcomes):
    return [repr(one) for one in outcomes]


FORMS = ("batch", "abatch", "batch_as_completed", "abatch_as_completed")
EXAMPLES = amount(150, 8000, "SUTRO_ONE_JOB_EXAMPLES")


@pytest.mark.timeout(amount(120, 1800))
@settings(max_examples=EXAMPLES)
@given(tree=trees(5), rows=ROWS, form=st.sampled_from(FORMS), keep=st.booleans())
def test_a_batch_is_what_invoke_gives_for_each_row(tree, rows, form, keep):
    tree_of_one = one_job(tree.chain)
    expected = tree.run(lambda: [outcome(tree, row) for row in rows])
    first = next((one for one in expected if isinstance(one, Exception)), None)
    got = tree.run(lambda: called(tree_of_one, form, rows, return_exceptions=keep))
    if first is not None and not keep:
        assert repr(got) == repr(first)
    else:
        assert shown(got) == shown(expected)
    for step in tree.steps:
        assert len(step.batches) <= tree.most_batches[step.name]


def outcome(tree, row):
    try:
        return tree.chain.invoke(dict(row))
    except Exception as error:  # noqa: BLE001 - compared
        return error


def called(chain, form, rows, **options):
    rows = [dict(row) for row in rows]
    if form == "batch":
        return chain.batch(rows, **options)
    if form == "abatch":
        return asyncio.run(chain.abatch(rows, **options))
    if form == "batch_as_completed":
        return [one for _, one in sorted(chain.batch_as_completed(rows, **options), key=first_of)]

    async def collected():
        return [one async for one in chain.abatch_as_completed(rows, **options)]

    return [one for _, one in sorted(asyncio.run(collected()), key=first_of)]


def first_of(pair):
    return pair[0]
