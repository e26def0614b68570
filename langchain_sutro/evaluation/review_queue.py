"""An annotation queue of LangSmith: which runs are in it, and more of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid5

from langsmith.utils import LangSmithConflictError

from langchain_sutro.errors import SutroInputError
from langchain_sutro.evaluation.langsmith_api import ask, check_cursor, send_once

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from langsmith import Client

    from langchain_sutro.evaluation.candidates import Candidate

__all__ = ["ReviewQueue"]

_PAGE = 100
# From this version on the server has queue items, which take the place of the queue's runs.
_ITEMS_SINCE = (0, 16, 14)
_SECTIONS = ("needs_my_review", "needs_others_review", "archived")


@dataclass(frozen=True)
class ReviewQueue:
    """A queue that exists.

    Attributes:
        client: LangSmith's client.
        id: The queue.
        name: Its name.
        created: Whether this process has made it.
    """

    client: Client
    id: UUID
    name: str
    created: bool = False

    @classmethod
    def find(cls, client: Client, queue: str | UUID) -> ReviewQueue | None:
        """The queue of this id or name; None if no queue has the name.

        Raises:
            SutroInputError: It is neither a name nor an id, there is no queue with this id, or
                several have the name.
            LangSmithError: LangSmith cannot be asked.
        """
        if not isinstance(queue, str | UUID):
            raise SutroInputError(
                f"The queue must be a name or an id, not a {type(queue).__name__}."
            )
        try:
            wanted = queue if isinstance(queue, UUID) else UUID(queue)
        except ValueError:
            wanted = None
        if wanted is not None:
            found = list(client.list_annotation_queues(queue_ids=[wanted]))
            if not found:
                raise SutroInputError(f"LangSmith has no annotation queue with the id {wanted}.")
        else:
            listed = client.list_annotation_queues(name=str(queue))
            found = [one for one in listed if one.name == queue]
        if len(found) > 1:
            ids = ", ".join(sorted(str(one.id) for one in found))
            raise SutroInputError(
                f"Several queues are called {queue!r}: pass one of the ids {ids}."
            )
        return cls(client, found[0].id, found[0].name) if found else None

    @classmethod
    def make(
        cls,
        client: Client,
        name: str,
        project_id: UUID,
        *,
        instructions: str | None,
        label: str | None,
    ) -> ReviewQueue:
        """Make a queue, unless another process does so at the same moment.

        Args:
            client: LangSmith's client.
            name: Its name.
            project_id: The project of its runs. The queue's id follows from it and the name, so
                that LangSmith refuses a second one.
            instructions: What reviewers read.
            label: The feedback key that they fill in.

        Raises:
            LangSmithError: LangSmith cannot be reached, or refuses.
        """
        options: dict[str, Any] = {"name": name, "rubric_instructions": instructions}
        if label is not None:
            options["rubric_items"] = [{"feedback_key": label, "is_required": True}]
        try:
            made = client.create_annotation_queue(queue_id=uuid5(project_id, name), **options)
        except LangSmithConflictError:
            if (other := cls.find(client, name)) is not None:
                return other
            # The id is that of a queue which has another name now.
            made = client.create_annotation_queue(**options)
        return cls(client, made.id, made.name, created=True)

    def runs(self) -> Iterator[UUID]:
        """The runs in it, whether they are reviewed or not."""
        return self._of_items() if self._has_items else self._of_runs()

    def _of_runs(self) -> Iterator[UUID]:
        offset = 0
        while True:
            window = {"offset": offset, "limit": _PAGE}
            page = ask(self.client, f"/annotation-queues/{self.id}/runs", params=window)
            yield from (UUID(one["id"]) for one in page)
            offset += len(page)
            if len(page) < _PAGE:
                return

    def _of_items(self) -> Iterator[UUID]:
        for section in _SECTIONS:
            params: dict[str, Any] = {"status": section, "page_size": _PAGE, "item_type": "RUN"}
            seen: set[str] = set()
            while True:
                page = ask(self.client, self._items, params=params)
                yield from (UUID(one["run_id"]) for one in page["items"] or ())
                if not page.get("next_cursor"):
                    break
                check_cursor(page["next_cursor"], seen)
                params["cursor"] = page["next_cursor"]

    def add(self, runs: Sequence[Candidate]) -> None:
        """Put runs into it that are not in it.

        Raises:
            LangSmithError: LangSmith cannot be reached, or refuses.
        """
        for start in range(0, len(runs), _PAGE):
            keys = [
                {
                    "run_id": str(one.id),
                    "session_id": str(one.session_id),
                    "start_time": one.start_time.isoformat(),
                }
                for one in runs[start : start + _PAGE]
            ]
            if self._has_items:
                items = [{"item_type": "RUN", **key} for key in keys]
                send_once(self.client, self._items, {"items": items})
            else:
                send_once(self.client, f"/annotation-queues/{self.id}/runs/by-key", keys)

    @property
    def _items(self) -> str:
        return f"/v1/platform/annotation-queues/{self.id}/items"

    @property
    def _has_items(self) -> bool:
        version = (self.client.info.version or "").split(".")
        numbers = [int(part) if part.isdigit() else 0 for part in version[:3]]
        return tuple(numbers) >= _ITEMS_SINCE
