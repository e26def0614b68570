"""Gathering on virtual time: calls arrive, are cancelled, jobs fail, and loops end."""

import asyncio
import gc
import logging
import random
import time

import pytest

from langchain_sutro._core.gathering import Gathering, LoopGatherer, Rules
from tests.gathering.virtual_loop import VirtualLoop
from tests.support.amounts import amount

RULES = Rules(quiet=0.2, max_rows=4, max_wait=1.0)
SEEDS = amount(1500, 100_000, "SUTRO_GATHERING_SEEDS")


class RowError(Exception):
    """The error of one row."""


class JobError(Exception):
    """The error of a whole job."""


class Jobs:
    """Runs the rows of each group as a job on virtual time, and keeps what happened."""

    def __init__(self, chance):
        self.chance = chance
        self.submitted, self.running, self.ended = [], 0, []

    def __call__(self):
        return self

    async def arun(self, rows):
        at = asyncio.get_running_loop().time()
        self.submitted.append((at, list(rows)))
        self.running += 1
        try:
            await asyncio.sleep(self.chance.choice([0.0, 0.1, 0.5, 3.0]))
            if self.chance.random() < 0.2:
                raise JobError(rows[0])
            return [RowError(row) if row % 7 == 0 else ("answer", row) for row in rows]
        except asyncio.CancelledError as cancelled:
            cancelled.add_note("job-1 continues")
            self.ended.append(rows)
            raise
        finally:
            self.running -= 1


class Scenario:
    """What one seed makes of the gatherer."""

    def __init__(self, seed):
        self.chance = random.Random(seed)
        self.rules = Rules(
            quiet=self.chance.choice([0.0, 0.05, 0.2]),
            max_rows=self.chance.choice([1, 2, 5, 100]),
            max_wait=self.chance.choice([0.2, 0.5, 1.0]),
        )
        self.jobs = Jobs(self.chance)
        self.gatherer = LoopGatherer(self.rules, self.jobs)
        self.ends_early = self.chance.random() < 0.2
        self.outcomes = {}
        self.joined = {}

    async def call(self, row, start, patience):
        loop = asyncio.get_running_loop()
        await asyncio.sleep(start)
        self.joined[row] = loop.time()
        try:
            async with asyncio.timeout(patience):
                outcome = await self.gatherer.call(row)
        except TimeoutError:
            outcome = "gave up"
        except (RowError, JobError) as error:
            outcome = error
        except asyncio.CancelledError:
            assert row not in self.outcomes
            self.outcomes[row] = "cancelled"
            raise
        assert row not in self.outcomes, "answered twice"
        self.outcomes[row] = outcome

    async def main(self):
        count = self.chance.randint(1, 12)
        tasks = [
            asyncio.ensure_future(
                self.call(
                    row,
                    self.chance.choice([0.0, 0.1, 0.19, 0.3, self.chance.uniform(0, 2)]),
                    self.chance.choice([None, None, None, 0.05, 0.4]),
                )
            )
            for row in range(1, count + 1)
        ]
        if self.ends_early:
            await asyncio.sleep(self.chance.uniform(0, 1.5))
            return count  # the runner cancels what is left
        await asyncio.gather(*tasks)
        left = asyncio.all_tasks() - {asyncio.current_task()}
        # The task of a group ends with its last answer.
        await asyncio.sleep(0)
        assert not [task for task in left if not task.done()], "a task is left behind"
        return count

    def run(self):
        with asyncio.Runner(loop_factory=VirtualLoop) as runner:
            count = runner.run(self.main())
        self.check(count)

    def check(self, count):
        assert self.jobs.running == 0
        rows = [row for _, job in self.jobs.submitted for row in job]
        assert len(rows) == len(set(rows)), "a row was submitted twice"
        submitted = {row: (at, job) for at, job in self.jobs.submitted for row in job}
        for row in range(1, count + 1):
            outcome = self.outcomes.get(row)
            if row not in self.joined or (outcome is None and self.ends_early):
                continue  # the loop ended before its call was made
            if outcome in ("gave up", "cancelled"):
                continue
            assert row in submitted, "an answer without a job"
            _, job = submitted[row]
            if isinstance(outcome, JobError):
                assert outcome.args == (job[0],)
                assert f"row {job.index(row)} of the {len(job)}" in outcome.__notes__[-1]
            elif isinstance(outcome, RowError):
                assert outcome.args == (row,)
                assert row % 7 == 0
            else:
                assert outcome == ("answer", row), "a row was shifted"
        for at, job in self.jobs.submitted:
            self.check_submission(at, [self.joined[row] for row in job])

    def check_submission(self, at, times):
        assert times == sorted(times), "rows keep the order of their calls"
        assert len(times) <= self.rules.max_rows
        # A call that was given up may have moved the time, and is not among the rows.
        assert at <= times[0] + self.rules.max_wait + 1e-6
        full = len(times) == self.rules.max_rows
        waited = at >= times[0] + self.rules.max_wait - 1e-6
        assert full or waited or at >= times[-1] + self.rules.quiet - 1e-6


@pytest.mark.timeout(amount(120, 1200))
@pytest.mark.parametrize("part", range(5))
def test_every_call_is_answered_once_whatever_happens(part, caplog):
    caplog.set_level(logging.CRITICAL)
    for seed in range(part * SEEDS // 5, (part + 1) * SEEDS // 5):
        Scenario(seed).run()


def run(main):
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(main)


class Echo:
    """A job that answers at once."""

    def __init__(self):
        self.submitted = []

    def __call__(self):
        return self

    async def arun(self, rows):
        self.submitted.append((asyncio.get_running_loop().time(), rows))
        return rows


def test_calls_are_submitted_after_the_quiet_time():
    echo = Echo()
    gatherer = LoopGatherer(RULES, echo)

    async def main():
        async def call(row, after):
            await asyncio.sleep(after)
            return await gatherer.call(row)

        return await asyncio.gather(call("a", 0.0), call("b", 0.15), call("c", 0.6))

    assert run(main()) == ["a", "b", "c"]
    times = [(round(at, 6), rows) for at, rows in echo.submitted]
    assert times == [(0.35, ["a", "b"]), (0.8, ["c"])]


def test_calls_are_submitted_at_the_latest_after_max_wait():
    echo = Echo()
    gatherer = LoopGatherer(Rules(0.2, 100, 1.0), echo)

    async def main():
        async def call(row):
            await asyncio.sleep(row * 0.1)
            return await gatherer.call(row)

        return await asyncio.gather(*map(call, range(15)))

    assert run(main()) == list(range(15))
    [(first, rows), (second, rest)] = echo.submitted
    assert (round(first, 6), round(second, 6)) == (1.0, 1.6)
    assert rows + rest == list(range(15))


def test_calls_are_submitted_at_once_when_there_are_max_rows():
    echo = Echo()
    gatherer = LoopGatherer(RULES, echo)

    async def main():
        return await asyncio.gather(*(gatherer.call(row) for row in range(9)))

    assert run(main()) == list(range(9))
    assert [(at, len(rows)) for at, rows in echo.submitted] == [(0.0, 4), (0.0, 4), (0.2, 1)]


def test_the_row_of_a_cancelled_call_is_dropped_and_the_others_stay():
    echo = Echo()
    gatherer = LoopGatherer(RULES, echo)

    async def main():
        calls = [asyncio.ensure_future(gatherer.call(row)) for row in range(3)]
        await asyncio.sleep(0.1)
        calls[1].cancel()
        return await asyncio.gather(*calls, return_exceptions=True)

    first, cancelled, last = run(main())
    assert (first, last) == (0, 2)
    assert isinstance(cancelled, asyncio.CancelledError)
    assert echo.submitted == [(pytest.approx(0.2), [0, 2])]


class Endless:
    """A job that does not end."""

    def __init__(self):
        self.cancelled = 0

    def __call__(self):
        return self

    async def arun(self, rows):
        try:
            await asyncio.sleep(10**9)
        except asyncio.CancelledError as cancelled:
            cancelled.add_note("job-1 continues: return to it.")
            self.cancelled += 1
            raise


def test_the_job_ends_only_when_nobody_waits():
    endless = Endless()
    gatherer = LoopGatherer(RULES, endless)

    async def main():
        calls = [asyncio.ensure_future(gatherer.call(row)) for row in range(2)]
        await asyncio.sleep(1)
        calls[0].cancel()
        await asyncio.sleep(1)
        assert endless.cancelled == 0
        calls[1].cancel()
        with pytest.raises(asyncio.CancelledError) as last:
            await calls[1]
        return last.value

    last = run(main())
    assert endless.cancelled == 1
    assert last.__notes__ == ["job-1 continues: return to it."]


def test_a_loop_that_ends_says_which_job_continues(caplog):
    gatherer = LoopGatherer(RULES, Endless())

    async def main():
        calls.extend(asyncio.ensure_future(gatherer.call(row)) for row in range(2))
        await asyncio.sleep(1)

    calls = []
    run(main())
    assert "job-1 continues: return to it." in caplog.text


def test_a_loop_that_is_closed_says_what_was_not_submitted(caplog):
    gatherer = LoopGatherer(Rules(5.0, 100, 10.0), Echo())
    loop = VirtualLoop()
    call = loop.create_task(gatherer.call("a"))
    loop.run_until_complete(asyncio.sleep(1))
    loop.set_exception_handler(lambda *_: None)
    loop.close()
    del call
    gc.collect()
    assert "1 rows of their job were not submitted" in caplog.text


def test_one_gatherer_serves_several_loops():
    echo = Echo()
    gatherer = LoopGatherer(RULES, echo)

    async def main(row):
        return await gatherer.call(row)

    assert [run(main(row)) for row in range(3)] == [0, 1, 2]
    assert len(echo.submitted) == 3


def test_a_busy_loop_is_given_the_quiet_time_again():
    gathering = Gathering(RULES)
    gathering.join("a", 0.0)
    assert gathering.due() == 0.2
    gathering.disturbed(0.5)
    assert gathering.due() == 0.7

    echo = Echo()
    gatherer = LoopGatherer(Rules(0.01, 100, 5.0), echo)

    async def late():
        await asyncio.sleep(0.02)
        return await gatherer.call("late")

    async def main():
        first = asyncio.ensure_future(gatherer.call("first"))
        second = asyncio.ensure_future(late())
        await asyncio.sleep(0)
        time.sleep(0.05)  # noqa: ASYNC251 - what is tested
        await asyncio.gather(first, second)

    asyncio.run(main())
    assert len(echo.submitted) == 1
