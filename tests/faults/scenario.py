"""One seed's scenario on real sockets: work under network faults, and what is found afterwards."""

import asyncio
from collections import Counter
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Self

from langchain_sutro import SutroFunction, SutroJob, SutroJobGroup, errors
from langchain_sutro.local import LocalDeployment
from tests.faults.functions import FIELD, LABEL, echo
from tests.faults.invariants import check_error, check_rows, check_secrets, logged, told
from tests.faults.network_faults import (
    READ_SECONDS,
    arm,
    arm_job,
    impatient,
    patient,
    submissions_wait,
)
from tests.support.invariants import check

_KINDS = {"submit": 40, "batch": 20, "cancel": 10, "parts": 15, "run": 15}


class Environment:
    """A deployment and an event loop for many scenarios, one after the other."""

    def __init__(self) -> None:
        self.ran: Counter[str] = Counter()
        self.most_jobs: dict[str, int] = {}
        self.deployment = LocalDeployment([], heartbeat_seconds=0.05)
        self.runner = asyncio.Runner()

    def __enter__(self) -> Self:
        self.deployment.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.runner.close()
        self.deployment.stop()

    def publish(self, name: str) -> None:
        """A Function of one scenario, which counts what it is asked."""

        def counted(row):
            self.ran[row["n"]] += 1
            return echo(row)

        self.deployment.publish(name, counted, input_schema=FIELD, output_schema=LABEL)

    def jobs(self, name: str) -> list[dict]:
        """The jobs of a scenario's Function, oldest first."""
        return [job for job in self.deployment.jobs if job["model"] == name]

    def audit(self) -> None:
        """What was still on its way when its scenario ended is counted too."""
        made = Counter(job["model"] for job in self.deployment.jobs)
        for name, most in self.most_jobs.items():
            check(made[name] <= most, f"{name}: {made[name]} jobs where there may be {most}")


class Scenario:
    """Submits, waits and fetches under network faults; then looks at what became of it.

    Args:
        environment: Where it runs.
        seed: Which scenario.
    """

    def __init__(self, environment: Environment, seed: int) -> None:
        self.rng = rng = Random(seed)
        self.environment = environment
        self.deployment = environment.deployment
        self.name = f"echo-{seed}"
        [self.kind] = rng.choices(list(_KINDS), list(_KINDS.values()))
        self.asynchronous = self.kind == "cancel" or rng.random() < 0.5
        count = rng.choice((1, 2, 5, 9, 30))
        self.rows = [{"n": f"{seed}.{index}"} for index in range(count)]
        self.labels = [f"<{row['n']}>" for row in self.rows]
        self.fault: dict = {}
        self.network_faults: list[str] = []
        self.function = SutroFunction(
            self.name,
            api_url=self.deployment.url,
            api_key=self.deployment.api_key,
            poll_interval=0.01,
        )
        self.client = self.function.client

    def __str__(self) -> str:
        way = "asynchronous" if self.asynchronous else "synchronous"
        return "\n  ".join(
            (f"{self.kind}, {way}, {len(self.rows)} rows, {self.fault}", *self.network_faults)
        )

    @property
    def spoilt(self) -> set[int]:
        """Rows without an output."""
        return {
            row for fault in ("null_rows", "unparseable_rows") for row in self.fault.get(fault, ())
        }

    def play(self) -> None:
        """Raises BrokenInvariantError if an invariant is broken."""
        self.environment.publish(self.name)
        self.client.policy = impatient(self.rng)
        submissions_wait(READ_SECONDS)
        if self.kind in ("submit", "batch", "cancel"):
            self.fault = arm_job(self.deployment.faults, self.name, self.rng, len(self.rows))
        self.network_faults = arm(self.deployment.faults, self.rng)
        try:
            with logged() as lines:
                getattr(self, self.kind)()
        finally:
            self.deployment.faults.clear()
        check_secrets("\n".join(lines), self.deployment.api_key)

    def call(self, owner: object, verb: str, *args, **options):
        """A method, or its asynchronous twin."""
        if self.asynchronous:
            return self.environment.runner.run(getattr(owner, f"a{verb}")(*args, **options))
        return getattr(owner, verb)(*args, **options)

    def end_faults(self) -> None:
        self.deployment.faults.clear()
        self.client.policy = patient()
        submissions_wait(30.0)

    def run(self) -> None:
        """One real-time run: it is billed at most once."""
        row = self.rows[0]
        try:
            result = self.call(self.function, "invoke", row)
        except Exception as error:  # noqa: BLE001 - whether it is typed is what is checked
            check_error(error, self.deployment.api_key)
        else:
            check_rows([result], self.labels[:1], set())
            check(self.environment.ran[row["n"]], "an answer comes from a run")
        check(self.environment.ran[row["n"]] <= 1, "a run is not billed twice")

    def batch(self) -> None:
        """One job behind one call."""
        self.judged(lambda: self.call(self.function, "batch", self.rows, return_exceptions=True))

    def submit(self) -> None:
        """A job that is waited for, by its handle or by its id alone."""
        reported: list[int] = []
        options = {}
        if self.rng.random() < 0.5:
            options["on_progress"] = lambda known: reported.append(known.rows_done)
        by_id = self.rng.random() < 0.3

        def work():
            job = self.call(self.function, "submit", self.rows)
            if by_id:
                job = SutroJob.from_id(job.job_id, client=self.client)
            return self.call(job, "results", timeout=20.0, **options)

        self.judged(work)
        check(reported == sorted(reported), "progress only grows")

    def cancel(self) -> None:
        """A task that is cancelled somewhere on its way."""
        moment = self.rng.random() * 0.12

        async def submitted_and_fetched():
            job = await self.function.asubmit(self.rows)
            return await job.aresults()

        async def cancelled():
            task = asyncio.ensure_future(submitted_and_fetched())
            await asyncio.wait({task}, timeout=moment)
            task.cancel()
            return await task

        self.judged(lambda: self.environment.runner.run(cancelled()))

    def judged(self, work) -> None:
        """Carry work on one job out, and check what comes of it."""
        self.environment.most_jobs[self.name] = 1
        try:
            results = list(work())
        except asyncio.CancelledError as error:
            check(self.kind == "cancel", "nobody cancelled this")
            self.failed(error)
        except Exception as error:  # noqa: BLE001 - whether it is typed is what is checked
            check_error(error, self.deployment.api_key)
            self.failed(error)
        else:
            if self.answered(results):
                check(len(self.environment.jobs(self.name)) == 1, "answers come from one job")
        self.afterwards()

    def answered(self, results: list) -> bool:
        """Whether there are answers; else the batch has the same error for each row."""
        first = results[0]
        if isinstance(first, errors.SutroError) and not isinstance(first, errors.SutroRowError):
            check_error(first, self.deployment.api_key)
            check(all(one is first for one in results), "a job's error is that of each row")
            self.failed(first)
            return False
        check_rows(results, self.labels, self.spoilt)
        return True

    def failed(self, error: BaseException) -> None:
        """What may have been paid for can be found again by what the error says."""
        jobs = self.environment.jobs(self.name)
        check(len(jobs) <= 1, "a submission makes one job at the most")
        if isinstance(error, errors.SutroJobFailedError):
            check("fail" in self.fault, "only a job that failed is said to have failed")
        names = [name for job in jobs for name in (job["job_id"], token(job))]
        text = told(error)
        check(not jobs or any(name in text for name in names), f"{error!r} tells job or token")

    def afterwards(self) -> None:
        """Without faults: a job that was made gives all its rows, and is not made again."""
        self.end_faults()
        for job in self.environment.jobs(self.name):
            found = self.call(SutroJob, "find", token(job), client=self.client)
            check(found and found.job_id == job["job_id"], "a job is found by its token")
            try:
                results = list(self.call(found, "results", timeout=60.0))
            except errors.SutroJobFailedError:
                check("fail" in self.fault, "no job fails but one that was made to")
                return
            check("fail" not in self.fault, "a job that failed has no results")
            check_rows(results, self.labels, self.spoilt)
        again = self.function.model_copy(update={"reuse_jobs": timedelta(hours=1)})
        made = len(self.environment.jobs(self.name))
        if made and self.rng.random() < 0.3:
            self.call(again, "submit", self.rows)
            check(
                len(self.environment.jobs(self.name)) == made,
                "a job is taken up and not paid again",
            )

    def parts(self) -> None:
        """Several jobs behind one handle, finished from the manifest if anything breaks."""
        size = max(1, len(self.rows) // 3)
        self.environment.most_jobs[self.name] = most = -(-len(self.rows) // size)
        with TemporaryDirectory() as folder:
            manifest = Path(folder) / "parts.json"
            attempts = [
                lambda: self.call(
                    self.function, "submit_in_parts", self.rows, size, checkpoint=manifest
                ),
                lambda: SutroJobGroup.resume(manifest, self.rows, client=self.client),
                # Without faults, what is not listed after this long was never made.
                lambda: SutroJobGroup.resume(
                    manifest, self.rows, client=self.client, resubmit_unknown=True
                ),
            ]
            for number, attempt in enumerate(attempts):
                if number == 2:
                    self.end_faults()
                    self.client.policy = replace(patient(), lookup_seconds=3.0)
                try:
                    results = list(self.call(attempt(), "results", timeout=20.0))
                except Exception as error:  # noqa: BLE001 - see above
                    check_error(error, self.deployment.api_key)
                    check(number < 2, f"without faults a group is finished, but {error!r}")
                    self.reachable(error, manifest)
                else:
                    check_rows(results, self.labels, set())
                    break
        check(len(self.environment.jobs(self.name)) == most, f"{most} parts are {most} jobs")

    def reachable(self, error: BaseException, manifest: Path) -> None:
        """Every job of the group is named by the manifest or the error."""
        text = told(error) + manifest.read_text()
        for job in self.environment.jobs(self.name):
            check(job["job_id"] in text or token(job) in text, f"{job['job_id']} is not lost")


def token(job: dict) -> str:
    """What the client wrote into a job's description."""
    return job["description"].partition("token=")[2][:32]
