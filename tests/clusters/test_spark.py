"""Functions over Spark data frames, on a local Spark: tasks fail and die, rows do not."""

import shutil

import pytest

from tests.clusters.processes import output
from tests.clusters.rows import judged

pytestmark = [pytest.mark.sdk, pytest.mark.slow, pytest.mark.timeout(900)]

COUNT, PARTS = 60, 6


@pytest.fixture(scope="module")
def spark_python(cluster_python):
    """Python of an environment with Spark, which needs Java."""
    if shutil.which("java") is None:
        pytest.skip("Spark needs Java, and there is none on this machine.")
    return cluster_python("spark", "pyspark==4.3.0")


def test_rows_of_a_data_frame_are_judged_once_whatever_becomes_of_its_tasks(
    spark_python, start, deployment, tmp_path
):
    told = output(start(spark_python, "spark_driver", tmp_path, PYSPARK_PYTHON=str(spark_python)))
    assert told["rows"] == told["again"] == judged(COUNT)
    jobs = [job for job in deployment.jobs if job["model"] == "echo"]
    assert told["parts"] == len(jobs) == PARTS
    assert {job["num_rows"] for job in jobs} == {COUNT // PARTS}
    assert told["page"] == 1
    assert told["other"] == "SutroConfigurationError"
    columns = ["n", "id", "note", "label", "confidence_score", "error"]
    assert told["empty"] == [[], columns]
