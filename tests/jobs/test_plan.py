"""Which rows of which files are one job."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from langchain_sutro._core.jobs.plan import FileSize, Limits, Piece, plan

COUNTS = st.integers(1, 2000)
MAYBE = st.none() | COUNTS
FILES = st.lists(st.builds(FileSize, MAYBE, st.none() | st.integers(0, 10_000), st.integers(0, 1)))


@given(files=FILES, limits=st.builds(Limits, MAYBE, MAYBE, MAYBE))
def test_every_row_is_in_one_job_in_order_and_within_the_limits(files, limits):
    jobs = plan(files, limits)
    pieces = [piece for job in jobs for piece in job]
    assert all(jobs)
    assert [one.file for one in pieces] == sorted(one.file for one in pieces)
    for number, file in enumerate(files):
        own = [one for one in pieces if one.file == number]
        if file.rows is None:
            assert own == [Piece(number, 0, None)]
            continue
        covered = [row for one in own for row in range(one.first_row, one.first_row + one.rows)]
        assert covered == list(range(file.rows))
        counts = {one.rows for one in own}
        assert max(counts) - min(counts) <= 1
        assert min(counts) >= 1
    for job in jobs:
        check(job, files, limits)


def check(job, files, limits):
    own = [files[one.file] for one in job]
    if len(job) == 1:
        known = job[0].rows is not None
        assert not known or limits.rows is None or job[0].rows <= limits.rows
        return
    # Only whole files of one kind are joined.
    assert all(one == Piece(one.file, 0, files[one.file].rows) for one in job)
    assert len({file.kind for file in own}) == 1
    rows = sum(file.rows for file in own)
    assert rows <= limits.joined_rows
    assert limits.rows is None or rows <= limits.rows
    assert limits.size is None or sum(file.size or 0 for file in own) <= limits.size


@given(files=FILES, rows=COUNTS)
def test_neighbours_that_could_be_one_job_are_one(files, rows):
    jobs = plan(files, Limits(rows, None, rows))
    for job, following in pairwise(jobs):
        both = [files[one.file] for one in (*job, *following)]
        whole = all(one.rows == files[one.file].rows for one in (*job, *following))
        if whole and None not in [file.rows for file in both] and len({f.kind for f in both}) == 1:
            assert sum(file.rows for file in both[: len(job) + 1]) > rows


def test_files_without_limits_are_a_job_each():
    files = [FileSize(5, 100), FileSize(None, 7), FileSize(3, None)]
    assert plan(files, Limits()) == [[Piece(0, 0, 5)], [Piece(1, 0, None)], [Piece(2, 0, 3)]]
    assert plan([], Limits(1, 1, 1)) == []


def test_a_file_is_cut_by_rows_or_by_size():
    assert plan([FileSize(10, 100)], Limits(rows=4)) == [
        [Piece(0, 0, 4)], [Piece(0, 4, 3)], [Piece(0, 7, 3)],
    ]  # fmt: skip
    assert plan([FileSize(10, 100)], Limits(size=50)) == [[Piece(0, 0, 5)], [Piece(0, 5, 5)]]
    # A row cannot be cut.
    assert len(plan([FileSize(2, 100)], Limits(size=1))) == 2
