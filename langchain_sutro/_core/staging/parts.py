"""The parts of a table, written by workers and committed by the driver, once."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import orjson
from pydantic import TypeAdapter

from langchain_sutro._core.rows import Columns, InputSchema, spool_rows, table_for
from langchain_sutro._core.staging.stage import Stage, open_stage
from langchain_sutro.errors import SutroConfigurationError, SutroInputError

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Iterator, Sequence

    from pydantic import BaseModel

    from langchain_sutro._core.rows import ExtraFields, Fields

__all__ = ["CommittedParts", "PartWriter", "StagedPart", "committed"]

_ROWS, _SENT = "rows", "sent"
_COMMIT = "_parts.json"
_VERSION = 1


@dataclass(frozen=True, slots=True)
class StagedPart:
    """A file of rows that becomes one job.

    Attributes:
        name: The file's name. It has the number of the task that wrote it and a hash of its
            content, so a task that runs twice writes the same files.
        rows: How many rows it has.
        size: Its size in bytes.
    """

    name: str
    rows: int
    size: int


@dataclass(frozen=True, slots=True)
class CommittedParts:
    """The parts that a stage holds; what else lies there does not belong to the table.

    Attributes:
        parts: In order.
        function: The Function that they are for; None if that is open.
        fields: The columns that are sent, by the names of the Function's fields; None for all.
        columns: The Arrow schema of the rows, serialized, in Base64; None if it is not known.
        version: Of the file's format.
    """

    parts: list[StagedPart]
    function: str | None = None
    fields: dict[str, str] | None = None
    columns: str | None = None
    version: int = _VERSION

    @property
    def rows(self) -> int:
        """Rows of all parts."""
        return sum(part.rows for part in self.parts)

    def schema(self) -> Any:
        """The `pyarrow.Schema` of the rows; one without columns if it is not known."""
        import pyarrow as pa  # noqa: PLC0415

        if self.columns is None:
            return pa.schema([])
        return pa.ipc.read_schema(pa.py_buffer(base64.b64decode(self.columns)))

    def inputs(self, stage: Stage) -> list[str]:
        """The paths or URLs of the files that are sent, in order."""
        folder = _ROWS if self.fields is None else _SENT
        return [stage.path(f"{folder}/{part.name}") for part in self.parts]

    def read(self, stage: Stage, part: StagedPart) -> Any:
        """The rows of a part, as they were written: a `pyarrow.Table`.

        Raises:
            SutroConfigurationError: The file is not there, or is another one.
        """
        import pyarrow as pa  # noqa: PLC0415
        from pyarrow import parquet  # noqa: PLC0415

        try:
            with stage.open(f"{_ROWS}/{part.name}") as file:
                table = parquet.read_table(file)
        except FileNotFoundError:
            raise SutroConfigurationError(_not_seen(stage, part)) from None
        except (pa.ArrowException, OSError):
            raise SutroConfigurationError(
                f"{part.name} in the stage {stage.address} cannot be read: it is damaged."
            ) from None
        if table.num_rows != part.rows:
            raise SutroConfigurationError(
                f"{part.name} in the stage {stage.address} has {table.num_rows:,} rows and was "
                f"committed with {part.rows:,}: it was changed."
            )
        return table


def committed(stage: Stage) -> CommittedParts | None:
    """What a stage holds; None if nothing was committed yet.

    Raises:
        SutroConfigurationError: Its list of parts cannot be read.
    """
    try:
        with stage.open(_COMMIT) as file:
            content = file.read()
    except FileNotFoundError:
        return None
    try:
        found = TypeAdapter(CommittedParts).validate_json(content, strict=True)
        found.schema()
    except (ValueError, OSError):
        found = None
    if found is None or found.version != _VERSION:
        raise SutroConfigurationError(
            f"{stage.path(_COMMIT)} is not a list of parts that this version can read."
        ) from None
    return found


class PartWriter:
    """Writes the parts of a table in workers, and commits them in the driver.

    It goes to the workers as a pickle: it holds no credentials.

    Args:
        address: The stage, see `open_stage`.
        fields: Names of the columns to send, or a mapping of the names of the Function's fields to
            the table's columns; None for those of `args_schema`, or all.
        max_rows_per_part: Maximum rows of a part.
        args_schema: Checks every row before anything is committed.
        function: The Function's name, if it is known already.
        extra_fields: As for `SutroFunction`.

    Raises:
        SutroInputError: `max_rows_per_part` is less than 1, or `fields` do not fit.
    """

    def __init__(
        self,
        address: str | os.PathLike[str],
        *,
        fields: Fields | None = None,
        max_rows_per_part: int = 50_000,
        args_schema: type[BaseModel] | dict[str, Any] | None = None,
        function: str | None = None,
        extra_fields: ExtraFields = "forbid",
    ) -> None:
        if max_rows_per_part < 1:
            raise SutroInputError(f"max_rows_per_part must be at least 1, not {max_rows_per_part}.")
        self.stage = open_stage(address)
        self.max_rows_per_part = max_rows_per_part
        self._fields = fields
        self._function = function
        self._check = (args_schema, extra_fields)
        self._columns()

    def _columns(self) -> Columns:
        schema = self._schema()
        return Columns(self._fields, None if schema is None or schema.open else schema.accepted)

    def _schema(self) -> InputSchema | None:
        # Made where it is used, because a schema is not pickled.
        args_schema, extra = self._check
        if args_schema is None:
            return None
        return InputSchema(args_schema, self._function or "the Function", extra).for_tables()

    @property
    def _sends_all(self) -> bool:
        return self._fields is None and self._check[0] is None

    def check_new(self) -> None:
        """Raises SutroConfigurationError if the stage holds the parts of a table already."""
        if self.stage.size(_COMMIT) is not None:
            raise SutroConfigurationError(self._taken())

    def _taken(self) -> str:
        return (
            f"The stage {self.stage.address} holds the parts of a table already: continue with "
            "them, or choose another directory."
        )

    def write(self, tables: Iterable[Any], task: int) -> tuple[list[StagedPart], bytes | None]:
        """Check rows and write them as parts, of which at most two are in memory.

        Args:
            tables: The `pyarrow.Table`s of one task, in order.
            task: The number of the task, the same whenever it is repeated.

        Returns:
            The parts, and the serialized schema of the rows, if they have columns.

        Raises:
            SutroInputError: A row cannot be sent, or the tables have different columns.
        """
        parts: list[StagedPart] = []
        schema: Any = None
        for number, table in enumerate(_pieces(tables, self.max_rows_per_part)):
            schema = table.schema
            if table.num_rows:
                parts.append(self._write(table, f"part-{task:06}-{number:04}"))
        return parts, None if schema is None else schema.serialize().to_pybytes()

    def _write(self, table: Any, name: str) -> StagedPart:
        schema = self._schema()
        spool_rows(table_for(table, self._fields, schema))
        content, sent = _parquet(table), b""
        if not self._sends_all:
            chosen = self._columns().chosen(table.column_names)
            sent = _parquet(table.select(list(chosen.values())).rename_columns(list(chosen)))
        digest = hashlib.sha256(content + sent).hexdigest()[:16]
        part = StagedPart(f"{name}-{digest}.parquet", table.num_rows, len(content))
        if sent:
            self.stage.write(f"{_SENT}/{part.name}", sent)
        self.stage.write(f"{_ROWS}/{part.name}", content)
        return part

    def commit(
        self, parts: Sequence[StagedPart], schemas: Iterable[bytes | None] = ()
    ) -> CommittedParts:
        """Decide which parts are the table's; from here on they do not change.

        Args:
            parts: What the tasks wrote, in any order.
            schemas: The schemas that they returned.

        Raises:
            SutroConfigurationError: A part is not visible from here, or another commit was first.
        """
        ordered = sorted(parts, key=lambda part: part.name)
        for part in ordered:
            if self.stage.size(f"{_ROWS}/{part.name}") != part.size:
                # Whoever was first has removed it.
                self.check_new()
                raise SutroConfigurationError(_not_seen(self.stage, part))
        known = next(filter(None, schemas), None)
        decided = CommittedParts(
            ordered,
            self._function,
            None if self._sends_all else self._chosen(known),
            None if known is None else base64.b64encode(known).decode(),
        )
        if not self.stage.create(_COMMIT, orjson.dumps(asdict(decided))):
            raise SutroConfigurationError(self._taken())
        self._clean({part.name for part in ordered})
        return decided

    def _chosen(self, schema: bytes | None) -> dict[str, str]:
        import pyarrow as pa  # noqa: PLC0415

        if schema is None:
            return {}
        return self._columns().chosen(pa.ipc.read_schema(pa.py_buffer(schema)).names)

    def _clean(self, names: set[str]) -> None:
        """Remove what tasks left that were repeated with other rows, or belonged to another run."""
        for folder in (_ROWS, _SENT):
            for name in self.stage.names(folder):
                if name not in names and not name.startswith("."):
                    self.stage.remove(f"{folder}/{name}")

    def check_same(self, found: CommittedParts) -> None:
        """Compare the Function and the columns that are sent with those of a commit.

        Raises:
            SutroConfigurationError: They are others.
        """
        if found.function not in {None, self._function}:
            raise SutroConfigurationError(
                f"The parts in the stage {self.stage.address} are for {found.function!r}, not for "
                f"{self._function!r}: choose another directory."
            )
        names = found.schema().names
        chosen = None if self._sends_all else self._columns().chosen(names) if names else {}
        if chosen != found.fields:
            raise SutroConfigurationError(
                f"The parts in the stage {self.stage.address} were written with other fields: pass "
                "the same, or choose another directory."
            )


def _pieces(tables: Iterable[Any], most: int) -> Iterator[Any]:
    """Tables of at most so many rows, the last two of about equal size; or one without rows."""
    held: list[Any] = []
    bare = None
    for table in tables:
        if not table.num_rows:
            bare = table if table.num_columns else bare
            continue
        held.append(table)
        while (count := sum(one.num_rows for one in held)) >= 2 * most:
            whole = _joined(held)
            yield whole.slice(0, most)
            held = [whole.slice(most, count - most)]
    if held:
        whole = _joined(held)
        count = -(-whole.num_rows // most)
        for number in range(count):
            start, stop = (whole.num_rows * one // count for one in (number, number + 1))
            yield whole.slice(start, stop - start)
    elif bare is not None:
        yield _joined([bare])


def _joined(tables: list[Any]) -> Any:
    import pyarrow as pa  # noqa: PLC0415

    try:
        table = pa.concat_tables(tables, promote_options="permissive")
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError):
        raise SutroInputError(
            "The blocks of the table have columns of types that cannot be joined: give each column "
            "one type first."
        ) from None
    return table.replace_schema_metadata(None)


def _parquet(table: Any) -> bytes:
    import pyarrow as pa  # noqa: PLC0415
    from pyarrow import parquet  # noqa: PLC0415

    sink = pa.BufferOutputStream()
    parquet.write_table(table, sink)
    return bytes(sink.getvalue())


def _not_seen(stage: Stage, part: StagedPart) -> str:
    return (
        f"{part.name} was written to the stage {stage.address} and is not there as it was written: "
        "the stage must be a directory that the driver and all workers share."
    )
