"""The client's memory does not grow with its table.

`SUTRO_FAULTS_ROWS` sets how large the table is; `python -m tests.faults.large 1000000` tells more.
"""

import os

import pytest

from tests.faults.large import measure

ROWS = int(os.environ.get("SUTRO_FAULTS_ROWS", "200000"))
# What pieces, buffers and pools take at most, and how much their sum differs from run to run.
MOST_MIB, NOISE_MIB = 96, 24


@pytest.mark.slow
@pytest.mark.timeout(60 + ROWS // 1000)
def test_a_table_of_any_size_goes_out_and_comes_back_in_the_same_memory():
    part, whole = (measure(count) for count in (ROWS // 4, ROWS))
    grown, grown_whole = (took["peak"] - took["before"] for took in (part, whole))
    assert grown_whole < MOST_MIB
    assert grown_whole < grown + NOISE_MIB
