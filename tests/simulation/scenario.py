"""One seed's scenario: submit, wait, fetch the results, and check every invariant on the way."""

import io
from datetime import timedelta

from langchain_sutro._core.service import exchange as _exchange
from langchain_sutro._core.service import job_search
from langchain_sutro._core.service import results as _results
from langchain_sutro._core.service import runs as _runs
from langchain_sutro._core.service import watch as _watch
from langchain_sutro._core.service.download import Download
from langchain_sutro._core.service.driver import Request, Sleep
from langchain_sutro._core.service.exchange import Policy
from langchain_sutro._core.service.marker import Marker
from langchain_sutro._core.service.submission import JobRequest
from langchain_sutro.errors import (
    SubmissionUnknownError,
    SutroAPIError,
    SutroConnectionError,
    SutroError,
    SutroInputError,
    SutroJobCancelledError,
    SutroJobFailedError,
    SutroJobTimeoutError,
)
from tests.simulation.jobs import Job, Table, file, outputs
from tests.simulation.service import DEPLOYMENT, HOSTED, START, Service
from tests.support.invariants import check
from tests.support.submissions import reused_or_submitted

_RESULTS = {"include_inputs": False, "include_cumulative_logprobs": False}
_ENDINGS = {SutroJobFailedError: "FAILED", SutroJobCancelledError: "CANCELLED"}


def play(seed: int, trace: list[str] | None = None) -> None:
    """Play one scenario.

    Args:
        seed: Which.
        trace: Is told every event.

    Raises:
        BrokenInvariantError: What must never happen happened.
    """
    _Story(Service.drawn(seed, trace)).play()


class _Story:
    def __init__(self, service: Service) -> None:
        self.service = service
        rng = service.rng
        self.settings = HOSTED if service.hosted else DEPLOYMENT
        self.policy = Policy(
            max_retries=rng.choice((0, 1, 3, 3)),
            repeat_runs=rng.random() < 0.1,
            lookup_seconds=rng.choice((5.0, 60.0)),
            clock=service.clock,
            jitter=rng.random,
        )
        self.no_faults = service.trouble == 0.0
        self.request = JobRequest("judge", description=rng.choice((None, "weekly [x]")))
        self.rows = Table(rng.choice((1, 2, 7, 30, 30, 400, 1500)))
        self.token = f"{rng.getrandbits(128):032x}"

    def play(self) -> None:
        if self.service.rng.random() < 0.1:
            self.run_once()
            return
        job = self.submit()
        if job is not None and self.wait(job):
            self.results(job)
        self.afterwards(job)

    def drive(self, operation, within: float, *, interrupt: bool = False):
        """Carry an operation out on virtual time, perhaps with Ctrl-C during the submission."""
        service = self.service
        end = service.now + within
        error: BaseException | None = None
        answer = None
        try:
            while True:
                step = operation.send(answer) if error is None else operation.throw(error)
                error = answer = None
                check(service.now <= end, f"an operation ends within {within:.0f} s")
                if isinstance(step, Sleep):
                    check(0 <= step.seconds <= 200, f"a pause is bearable, not {step.seconds}")
                    service.now += step.seconds
                    continue
                check(isinstance(step, Request), "an operation asks and sleeps")
                try:
                    answer = service.answer(step)
                except SutroConnectionError as failure:
                    error = failure
                if interrupt and step.url.endswith("/batch-inference"):
                    error = KeyboardInterrupt()
        except StopIteration as stop:
            service.tell("done", type(stop.value).__name__)
            return stop.value
        except SutroError as failure:
            service.tell("failed", type(failure).__name__, failure)
            raise
        finally:
            operation.close()

    def patience(self, read: float = 60.0) -> float:
        """The most that one request with its repetitions may take."""
        return (self.policy.max_retries + 1) * (read + 1 + 132 + 120)

    def run_once(self) -> None:
        service = self.service
        operation = _runs.run_function(
            _exchange.Service(self.settings, self.policy), "judge", b"{}"
        )
        try:
            self.drive(operation, self.patience(100))
        except (SutroConnectionError, SutroAPIError):
            check(not self.no_faults, "a run succeeds without faults")
        else:
            check(service.runs, "an answer comes from a run")
        check(service.runs <= 1 or self.policy.repeat_runs, "a run is not billed twice")

    def submit(self) -> Job | None:
        """The job, or None where the client knows of none."""
        service, rng = self.service, self.service.rng
        reuse = timedelta(hours=1) if rng.random() < 0.2 else None
        earlier = None
        if reuse is not None and rng.random() < 0.6:
            same = self.request.fingerprint(self.rows)
            earlier = service.make_job(str(Marker.new(same, "0" * 32)), self.rows.count, -400.0)
        operation = reused_or_submitted(
            _exchange.Service(self.settings, self.policy),
            self.request,
            self.rows,
            reuse=reuse,
            token=self.token,
            now=lambda: START + timedelta(seconds=service.now),
        )
        pages = 6 + service.strangers // service.page
        within = pages * self.patience() + self.patience(300) + self.policy.lookup_seconds
        try:
            submitted = self.drive(operation, within, interrupt=rng.random() < 0.05)
        except KeyboardInterrupt as interrupted:
            check(self.named(interrupted, self.token), "an interrupted submission says its token")
            return None
        except SubmissionUnknownError as error:
            check(error.token == self.token, "an unknown submission says its token")
            check(service.sent.get(self.token), "only what was sent is unknown")
            return None
        except SutroInputError:
            check(self.rows.count > service.quota, "only what is over the quota is refused")
            check(not service.posts, "what is refused is not sent")
            return None
        except (SutroAPIError, SutroConnectionError):
            check(
                not self.no_faults or self.rows.count > service.quota,
                "without faults a job is accepted",
            )
            check(self.made() is None, "an error without a token means that there is no job")
            return None
        job = service.find(submitted.job_id)
        check(job is not None, "a job that was submitted exists")
        usable = earlier is not None and earlier.ending == "SUCCEEDED"
        check(submitted.reused or not usable, "what can be taken up is not paid for again")
        if submitted.reused:
            check(job is earlier and not service.posts, "what is taken up is not sent")
            check(job.ending == "SUCCEEDED" or job.ended > service.now, "no failed job is reused")
        else:
            check(job is self.made(), "the job is the submission's own")
        return job

    def made(self) -> Job | None:
        mine = [job for job in self.service.jobs if self.token in job.description]
        check(len(mine) <= 1, "a submission makes one job at the most")
        return mine[0] if mine else None

    @staticmethod
    def named(error: BaseException, name: str) -> bool:
        return name in f"{error} {getattr(error, '__notes__', '')}"

    def wait(self, job: Job, timeout: float | None = None) -> bool:
        """Whether the job has succeeded, as far as the client could see."""
        service, rng = self.service, self.service.rng
        timeout = rng.choice((0.0, 20.0, 100.0, 400.0)) if timeout is None else timeout
        told = []
        begin = service.now
        operation = _watch.wait_for_job(
            _exchange.Service(self.settings, self.policy),
            job.job_id,
            timeout=timeout,
            poll_interval=rng.choice((5.0, 5.0, 20.0)),
            rows_total=rng.choice((None, job.rows)),
            on_progress=told.append if rng.random() < 0.5 else None,
        )
        ended = True
        try:
            self.drive(operation, timeout + 2 * self.patience() + 60)
        except (SutroJobFailedError, SutroJobCancelledError) as error:
            check(job.ending == _ENDINGS[type(error)], "a job is said to end as it did")
            check(service.now >= job.ended, "a job is not said to have ended before it did")
            ended = False
        except SutroJobTimeoutError as error:
            check(error.job_id == job.job_id, "a wait that ends early says which job goes on")
            check(service.now - begin >= timeout, "a wait does not end before its time")
            ended = False
        except (SutroAPIError, SutroConnectionError) as error:
            check(not self.no_faults, "a wait does not fail without faults")
            check(self.named(error, job.job_id), "an error of a wait says its job")
            ended = False
        else:
            check(job.ending == "SUCCEEDED", "success is success")
            check(service.now >= job.ended, "success is not seen before it comes")
        done = [known.rows_done for known in told]
        check(done == sorted(done) and all(d <= job.rows for d in done), "progress only grows")
        return ended

    def results(self, job: Job) -> None:
        """All rows, in order, or a typed error."""
        service = self.service
        target = Download(content := io.BytesIO())
        operation = _results.fetch_results(
            _exchange.Service(self.settings, self.policy), job.job_id, target, dict(_RESULTS)
        )
        try:
            columns = self.drive(operation, 20_000)
        except (SutroAPIError, SutroConnectionError):
            check(not self.no_faults, "results come without faults")
            return
        if columns is None:
            come, versions = content.getvalue(), range(service.storage.version, 0, -1)
            whole = any(come == file(version, job.rows) for version in versions)
            check(whole, "a file arrives whole, and all of it is of one object")
        else:
            check(columns["outputs"] == outputs(job.rows), "no row is lost or moved")

    def afterwards(self, job: Job | None) -> None:
        """Without faults, what was paid for is found, and gives all its rows."""
        service = self.service
        service.end_faults()
        self.no_faults = True
        self.policy.pacer.not_before = 0.0
        made = self.made()
        operation = job_search.find_job(_exchange.Service(self.settings, self.policy), self.token)
        pages = 3 + service.strangers + service.newer
        found = self.drive(operation, pages * self.patience())
        if made is None:
            check(found is None, "a token finds no job but its own")
        else:
            check(found and found["job_id"] == made.job_id, "a token finds its job")
        job = job or made
        if job is not None and job.ended < service.now:
            ended = self.wait(job, 400.0)
            check(ended == (job.ending == "SUCCEEDED"), "a success is seen in the end")
            if ended:
                self.results(job)
