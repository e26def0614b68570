"""A local deployment of Sutro's HTTP API, to develop and test against without an account.

```python
from langchain_sutro.local import LocalDeployment

with LocalDeployment() as deployment:
    print(deployment.url, deployment.api_key)
```

`python -m langchain_sutro.local` does the same on the command line. `/openapi.json` describes the
API as it is served. Needs the extra `local`.
"""

from __future__ import annotations

import sys
from importlib.util import find_spec

# Asked for, not imported: scikit-learn takes a second, and is needed at the first answer only.
if missing := [name for name in ("fastapi", "uvicorn", "sklearn") if find_spec(name) is None]:
    _said = (
        f"The local deployment needs more packages ({', '.join(missing)} not found): "
        'pip install "langchain-sutro[local]"'
    )
    # `python -m langchain_sutro.local` would show a traceback; argv is "-m" while it looks for it.
    raise SystemExit(f"error: {_said}") if sys.argv[:1] == ["-m"] else ImportError(_said)

from langchain_sutro.local.deployment import LocalDeployment
from langchain_sutro.local.faults import Faults, HttpFault
from langchain_sutro.local.functions import Answer, LocalFunction, from_examples
from langchain_sutro.local.http import Received
from langchain_sutro.local.jobs import Quota
from langchain_sutro.local.samples import sample_functions, sample_leads

__all__ = [
    "Answer",
    "Faults",
    "HttpFault",
    "LocalDeployment",
    "LocalFunction",
    "Quota",
    "Received",
    "from_examples",
    "sample_functions",
    "sample_leads",
]
