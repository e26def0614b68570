"""A System One endpoint over Functions, for LangSmith's and Langfuse's evaluators and others.

```python
from langchain_sutro import systemone
from langchain_sutro.decisions import SutroDecisionModel

judges = SutroDecisionModel(model="judges", default="any-question")
app = systemone.app({"judges": judges}, key="a-key-of-yours")  # for any ASGI server
```

`python -m langchain_sutro.systemone --config decisions.yaml` serves the models of a file. Needs the
extra `systemone`.
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING

from langchain_sutro._core.exports import lazy_exports

if missing := [name for name in ("fastapi", "uvicorn") if find_spec(name) is None]:
    raise ImportError(
        f"The System One endpoint needs more packages ({', '.join(missing)} not found): "
        'pip install "langchain-sutro[systemone]"'
    )

if TYPE_CHECKING:
    from langchain_sutro.systemone.application import app
    from langchain_sutro.systemone.evaluators import create_langsmith_evaluator

__all__ = ["app", "create_langsmith_evaluator"]

__getattr__, __dir__ = lazy_exports(
    __name__, {"app": "application", "create_langsmith_evaluator": "evaluators"}
)
