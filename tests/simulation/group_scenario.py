"""One seed's scenario of a table of objects: a driver that dies, is started again, and collects."""

from contextlib import contextmanager
from unittest import mock

import fsspec
import pyarrow.compute as pc

from langchain_sutro import SutroFunction, SutroJobGroup
from langchain_sutro._core.jobs import connection, contents, slots, unread
from langchain_sutro._core.jobs.memory import memory
from langchain_sutro._core.service.driver import Sleep
from langchain_sutro._core.service.exchange import Policy
from langchain_sutro._core.service.steps import drive
from langchain_sutro.errors import SubmissionUnknownError, SutroError, SutroJobFailedError
from tests.simulation.objects import FOLDER, SCHEME, ObjectService, Store, answer_of
from tests.simulation.service import API, KEY
from tests.support.invariants import check

MOST_LIVES = 3000
# Whatever was under way has arrived, and is listed.
CERTAIN_SECONDS = 20_000


class Killed(BaseException):
    """The process is gone."""


class GroupStory:
    """A table of objects, submitted in parts by a driver that ends again and again.

    Args:
        seed: Which scenario.
        folder: For the checkpoint.
        objects: How many.
        rows: Of each.
        restarts: How often the driver ends.
        trace: Is told every event.
    """

    def __init__(self, seed, folder, *, objects, rows, restarts, trace=None):
        self.service = ObjectService.of(seed, objects, rows, trace)
        self.checkpoint = folder / "leads.json"
        self.restarts = restarts
        self.ends = 0
        self.lives = 0
        self.collected, self.died = set(), set()
        self.unknown_since = None
        self._steps = 0
        self._dead = False
        self._kept = None

    def play(self):
        """Let drivers follow each other until all results are there, and check the outcome."""
        with self._virtual():
            while not self._live():
                self.lives += 1
                check(self.lives < MOST_LIVES, "the last driver has everything")
                self.service.requests = 0
                self.service.now += self.service.rng.random() * self.service.rng.choice((5, 900))
                if self.ends == self.restarts:
                    self.service.end_faults()
        self._check()

    @contextmanager
    def _virtual(self):
        """The package on the time of the service, with requests that this answers."""
        Store.service = self.service
        fsspec.register_implementation(SCHEME, Store, clobber=True)
        token = slots._stop.set(self)
        try:
            with (
                mock.patch.object(connection, "run", self._run),
                # Threads would answer in another order each time.
                mock.patch.object(contents, "_AT_ONCE", 1),
                mock.patch.object(unread, "_AT_ONCE", 1),
            ):
                yield
        finally:
            slots._stop.reset(token)
            del Store.service
            memory.__init__()

    def _run(self, operation, session):
        return drive(operation, self._carry_out)

    def _carry_out(self, step):
        self._step()
        if isinstance(step, Sleep):
            self.service.now += step.seconds
            return None
        answer = self.service.answer(step)
        self._step()
        return answer

    def is_set(self):
        """As an event that never comes."""
        return False

    def wait(self, seconds):
        """As the same event."""
        self._step()
        self.service.now += seconds

    def _step(self):
        """The process may end here, with Ctrl-C or without another word."""
        if self._dead:
            raise Killed
        self._steps -= 1
        if self._steps != 0:
            return
        self.ends += 1
        if self.service.rng.random() < 0.25:
            self.service.tell("Ctrl-C")
            raise KeyboardInterrupt
        self.service.tell("killed")
        self._dead = True
        self._kept = self._content()
        raise Killed

    def _content(self):
        return self.checkpoint.read_bytes() if self.checkpoint.exists() else None

    def _live(self):
        """One process; says whether all is done."""
        rng = self.service.rng
        memory.__init__()
        self._dead = False
        more = self.ends < self.restarts
        many = len(self.service.objects)
        self._steps = rng.choice((1, 3, 10, many, 3 * many)) if more else 0
        try:
            self._collect(self._group())
        except Killed:
            # What it did while it was ending it did not do.
            if self._kept is None:
                self.checkpoint.unlink(missing_ok=True)
            else:
                self.checkpoint.write_bytes(self._kept)
        except KeyboardInterrupt:
            pass
        except SutroError as error:
            self.service.tell("gave up", type(error).__name__, error)
            self._gave_up(error)
        else:
            return True
        return False

    def _gave_up(self, error):
        if not isinstance(error, SubmissionUnknownError):
            return
        if self.unknown_since is None:
            self.unknown_since = self.service.now
        self.service.now += 3600

    def _group(self):
        rng = self.service.rng
        function = SutroFunction("judge", api_url=API, sutro_api_key=KEY, poll_interval=60.0)
        client = function.client
        client.policy = Policy(clock=self.service.clock, jitter=rng.random)
        if not self.checkpoint.exists():
            return function.submit_in_parts(
                f"{SCHEME}://{FOLDER}/*.parquet",
                checkpoint=self.checkpoint,
                max_jobs=rng.choice((2, 8, None)),
            )
        certain = (
            self.unknown_since is not None
            and self.service.now > self.unknown_since + CERTAIN_SECONDS
        )
        group = SutroJobGroup.resume(
            self.checkpoint, client=client, poll_interval=60.0, resubmit_unknown=certain
        )
        self.unknown_since = None
        return group

    def _collect(self, group):
        """Fetch what was not fetched before; a job that failed after it was paid stays so."""
        for number, job in enumerate(group.jobs):
            if number in self.collected or number in self.died:
                continue
            made = self.service.find(job.job_id)
            check(made.path == self.service.objects[number], "parts keep their order")
            try:
                results = job.results(timeout=None)
            except SutroJobFailedError:
                check(made.ending == "FAILED", "a job is said to end as it did")
                if made.unread:
                    raise
                self.died.add(number)
                continue
            answers = results.to_arrow(unpack=False)["inference_result"]
            check(len(answers) == self.service.rows, "no row is lost")
            check(pc.unique(answers).to_pylist() == [answer_of(made.path)], "no row is moved")
            self.collected.add(number)

    def _check(self):
        service = self.service
        check(self.ends == self.restarts, "the driver was ended as often as was wanted")
        check(
            self.collected | self.died == set(range(len(service.objects))),
            "each part has its results, or is known to have failed",
        )
        for path in service.objects:
            check(len(service.paid(path, float("inf"))) == 1, f"{path} is paid for once")
