"""One process of Prefect: runs a flow of a day."""

import json
import sys

import leads_prefect as page
from trouble import TROUBLE

TROUBLE[sys.argv[2]]()
flow = {"submit": page.start, "collect": page.finish}[sys.argv[1]]
value = flow("2026-11-25")
print(json.dumps({"value": value}))
