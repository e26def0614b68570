"""A driver that dies and is started again and again, while the service and the storage fail too."""

import io
import os
import random

import pyarrow as pa
import pytest
from pyarrow import parquet

from langchain_sutro import SutroClient, SutroFunction, SutroJobGroup, errors
from langchain_sutro._core.jobs import checkpoint, contents, parts
from langchain_sutro._core.jobs.memory import memory
from langchain_sutro.local import LocalDeployment
from tests.faults.functions import FUNCTIONS
from tests.faults.network_faults import patient
from tests.support.numbered_rows import labels, rows
from tests.support.object_storage import BUCKET, object_storage

SEED = int(os.environ.get("SUTRO_FAULTS_SEED", "1"))
# As many as the driver is to be killed; a few in the suite.
RESTARTS = int(os.environ.get("SUTRO_RESTARTS", "12"))
PARTS, EACH = 8, 3


@pytest.fixture
def store():
    with object_storage() as running:
        for index in range(PARTS):
            content = io.BytesIO()
            part = rows(PARTS * EACH)[EACH * index : EACH * (index + 1)]
            parquet.write_table(pa.Table.from_pylist(part), content)
            running.files.pipe(f"{BUCKET}/in/{index}.parquet", content.getvalue())
        yield running


class Dying:
    """Kills the driver before or after a step, once."""

    def __init__(self, monkeypatch, rng):
        self.rng = rng
        self.left = None
        places = ((checkpoint.CheckpointFile, "write"), (parts, "submit"), (contents, "stage_rows"))
        for owner, name in places:
            monkeypatch.setattr(owner, name, self.around(getattr(owner, name)))

    def around(self, step):
        def call(*args, **kwargs):
            self.at()
            done = step(*args, **kwargs)
            self.at()
            return done

        return call

    def at(self):
        if self.left is not None:
            self.left -= 1
            if self.left < 0:
                # A process that was killed writes nothing more.
                raise KeyboardInterrupt

    def arm(self):
        self.left = self.rng.randrange(10)

    def rest(self):
        self.left = None


def test_a_driver_that_is_killed_again_and_again_pays_for_each_part_once(
    store, tmp_path, monkeypatch
):
    rng = random.Random(SEED)
    dying = Dying(monkeypatch, rng)
    place = tmp_path / "parts.json"
    now = store.clock
    with LocalDeployment(FUNCTIONS) as deployment:
        client = SutroClient(api_url=deployment.url, api_key=deployment.api_key)
        client.policy = patient()

        def attempt(*, sure=False):
            # A new process remembers nothing.
            memory.__init__()
            if place.exists():
                return SutroJobGroup.resume(
                    place, client=client, poll_interval=0.02, resubmit_unknown=sure
                )
            function = SutroFunction(
                "echo", api_url=deployment.url, api_key=deployment.api_key, poll_interval=0.02
            )
            function.client.policy = patient()
            return function.submit_in_parts(
                f"s3://{BUCKET}/in/", 2, stage=f"s3://{BUCKET}/staged", max_jobs=3, checkpoint=place
            )

        for _ in range(RESTARTS):
            store.clock = (lambda: now() + 7 * 3600) if rng.random() < 0.3 else now
            deployment.faults.clear()
            if rng.random() < 0.5:
                deployment.faults.add("batch-inference", **rng.choice(REFUSALS))
            dying.arm()
            try:
                attempt()
            except (KeyboardInterrupt, errors.SutroError):
                pass
            finally:
                dying.rest()
        deployment.faults.clear()
        store.clock = now
        for _ in range(10):
            try:
                group = attempt(sure=True)
                results = list(group.results())
            except errors.SutroJobFailedError:
                # Its URL had expired.
                continue
            break
        assert [one.answer for one in results] == labels(PARTS * EACH)
        assert len(group) == 2 * PARTS
        # Those that could not read their object have cost nothing.
        paid = [job["job_id"] for job in deployment.jobs if job["num_rows"]]
        assert sorted(paid) == sorted(job.job_id for job in group.jobs)


REFUSALS = (
    {"status": 429, "headers": {"retry-after": "0"}},
    {"status": 422, "json": {"detail": "quota"}},
    {"status": 503},
    {"status": 503, "handled": True},
    {"reset": "before"},
    {"reset": "after"},
)
