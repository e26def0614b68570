"""One process of Dagster: materializes an asset of a day, or asks the sensor."""

import json
import sys

import dagster as dg
import leads_dagster as page
from trouble import TROUBLE

DAY = "2026-11-25"
ASSETS = [page.leads_job, page.qualified_leads]


def materialized(instance, asset):
    done = dg.materialize(ASSETS, selection=[asset], partition_key=DAY, instance=instance)
    return done.output_for_node(asset.node_def.name)


def asked(instance):
    with dg.build_sensor_context(instance=instance, definitions=page.defs) as context:
        return [request.partition_key for request in page.jobs_have_ended(context)]


TROUBLE[sys.argv[2]]()
with dg.DagsterInstance.get() as instance:
    told = {"before": asked(instance)}
    if sys.argv[1] == "submit":
        told["value"] = materialized(instance, page.leads_job)
    else:
        told["value"] = materialized(instance, page.qualified_leads)
        told["after"] = asked(instance)
print(json.dumps(told))
