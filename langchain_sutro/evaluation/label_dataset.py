"""Labels as examples of a data set in LangSmith."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid5

from langsmith.run_trees import get_cached_client
from langsmith.schemas import ExampleCreate
from langsmith.utils import LangSmithConflictError, LangSmithNotFoundError

from langchain_sutro._core.exports import exported_from

if TYPE_CHECKING:
    from collections.abc import Sequence

    from langsmith import Client
    from langsmith.schemas import Dataset

    from langchain_sutro.evaluation.human_label import HumanLabel

__all__ = ["LabelledDataset", "add_to_dataset"]

_AT_ONCE = 100
# The name that LangSmith's client has for them; newer ones warn of the older one.
_REFERENCE = "reference_outputs" if "reference_outputs" in ExampleCreate.model_fields else "outputs"


@exported_from("langchain_sutro")
@dataclass(frozen=True)
class LabelledDataset:
    """What `HumanLabels.to_dataset` did.

    Attributes:
        id: The data set.
        name: Its name.
        added: Number of examples that were added.
        changed: Number of examples that were given another label.
        present: Number of examples that were there already, with this label.
    """

    id: UUID
    name: str
    added: int
    changed: int
    present: int


def add_to_dataset(
    labels: Sequence[HumanLabel], name: str, *, description: str | None, client: Client | None
) -> LabelledDataset:
    """Add an example for each label, unless it is there.

    Raises:
        LangSmithError: LangSmith cannot be asked.
    """
    client = client or get_cached_client()
    dataset = _dataset(client, name, description)
    known = {one.id: one.outputs for one in client.list_examples(dataset_id=dataset.id)}
    wanted = {uuid5(dataset.id, str(one.run_id)): one for one in labels}
    new = [_example(key, one) for key, one in wanted.items() if key not in known]
    for start in range(0, len(new), _AT_ONCE):
        client.create_examples(dataset_id=dataset.id, examples=new[start : start + _AT_ONCE])
    changed = [key for key, one in wanted.items() if known.get(key, _outputs(one)) != _outputs(one)]
    for key in changed:
        client.update_example(key, outputs=_outputs(wanted[key]), dataset_id=dataset.id)
    return LabelledDataset(
        dataset.id, name, len(new), len(changed), len(wanted) - len(new) - len(changed)
    )


def _dataset(client: Client, name: str, description: str | None) -> Dataset:
    found: Dataset
    try:
        found = client.read_dataset(dataset_name=name)
    except LangSmithNotFoundError:
        try:
            found = client.create_dataset(name, description=description)
        except LangSmithConflictError:
            # Another process was quicker.
            found = client.read_dataset(dataset_name=name)
    return found


def _outputs(label: HumanLabel) -> dict[str, Any]:
    return {"label": label.label}


def _example(example_id: UUID, label: HumanLabel) -> dict[str, Any]:
    return {
        "id": example_id,
        "inputs": label.inputs,
        _REFERENCE: _outputs(label),
        "metadata": {"run_id": str(label.run_id)},
    }
