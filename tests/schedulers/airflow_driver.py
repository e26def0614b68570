"""One process of Airflow: runs the DAG of a day, with its trigger, without a scheduler."""

import json
import sys
from datetime import UTC, datetime

import leads_airflow as page
from trouble import TROUBLE

DAY = datetime(2026, 11, 25, tzinfo=UTC)

TROUBLE[sys.argv[2]]()
run = page.dag.test(run_after=DAY, logical_date=DAY)
(task,) = run.get_task_instances()
value = task.xcom_pull(task_ids="qualify")
print(json.dumps({"state": str(run.state), "run_id": run.run_id, "value": value}))
