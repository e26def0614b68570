"""A local deployment: the HTTP API in a thread of this process."""

from __future__ import annotations

import inspect
import sqlite3
import tempfile
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeVar

from langchain_sutro._core.exports import exported_from
from langchain_sutro.local.faults import Faults
from langchain_sutro.local.functions import LocalFunction, Registry, Schema, from_signature
from langchain_sutro.local.http import Keys, Received, ServerThread, Service, Wire, create_app
from langchain_sutro.local.jobs import Quota, Quotas, Store, Worker
from langchain_sutro.local.samples import sample_functions

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from langchain_core.runnables import Runnable

__all__ = ["LocalDeployment"]

_LARGEST_PORT = 65535

FunctionT = TypeVar("FunctionT", bound="Callable[..., Any]")


@exported_from("langchain_sutro.local")
class LocalDeployment:
    """The HTTP API of Sutro on loopback, both generations, without an account.

    A context manager; `start` and `stop` do the same by hand, and it can be started again.

    Args:
        functions: What to publish: Functions, or Python functions whose type hints give their
            schemas. None for the samples: `lead-qualifier`, `lead-extractor` and `any-question`.
        data_dir: Where jobs, results and the key are kept. A deployment that is started with the
            folder of one that was stopped, or killed, resumes its jobs. None for a temporary
            folder that is removed at the end.
        port: TCP port on 127.0.0.1; 0 for any that is free.
        api_key: The key that it takes. By default one is made, and kept in `data_dir`.
        quotas: How large a job may be: per priority (0 and 1) a `Quota`, or a number of rows. By
            default 1,000,000 and 10,000,000 rows.
        deadline: Seconds that a real-time call may take before it is answered with 504.
        heartbeat_seconds: Silence on a progress stream before a heartbeat.

    Raises:
        ValueError: `port` is not a TCP port.

    Attributes:
        faults: Lets requests and jobs go wrong.
        requests: What arrived, oldest first; at most the last 10,000. Clear it as you like.
    """

    def __init__(
        self,
        functions: Sequence[LocalFunction | Callable[..., Any]] | None = None,
        data_dir: str | os.PathLike[str] | None = None,
        port: int = 0,
        *,
        api_key: str | None = None,
        quotas: Mapping[int, Quota | int] | None = None,
        deadline: float = 90.0,
        heartbeat_seconds: float = 5.0,
    ) -> None:
        if not 0 <= port <= _LARGEST_PORT:
            raise ValueError(f"port must be between 0 and {_LARGEST_PORT}, not {port}.")
        self.faults = Faults()
        self.requests: list[Received] = []
        self._registry = Registry(
            one if isinstance(one, LocalFunction) else from_signature(one)
            for one in (sample_functions() if functions is None else functions)
        )
        self._data_dir = None if data_dir is None else Path(data_dir)
        self._port = port
        self._api_key = api_key
        self._quotas = Quotas(quotas)
        self._deadline = deadline
        self._heartbeat_seconds = heartbeat_seconds
        self._connections = 0
        self._parts: _Parts | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: object, error: object, traceback: object) -> None:
        self.stop()

    def __repr__(self) -> str:
        where = "stopped" if self._parts is None else self.url
        return f"<LocalDeployment {where}>"

    @property
    def url(self) -> str:
        """Where it is: `http://127.0.0.1:<port>`, good for `SUTRO_API_URL`."""
        return self._running.service.origin

    @property
    def api_key(self) -> str:
        """The key that it takes, good for `SUTRO_API_KEY`."""
        return self._running.service.keys.api_key

    @property
    def environ(self) -> dict[str, str]:
        """Both, as environment variables."""
        return {"SUTRO_API_URL": self.url, "SUTRO_API_KEY": self.api_key}

    @property
    def connections(self) -> int:
        """How many TCP connections were opened so far."""
        return self._connections

    @property
    def jobs(self) -> list[dict[str, Any]]:
        """All jobs as the service shows them, oldest first."""
        return [job.public() for job in reversed(self._running.service.store.newest())]

    @property
    def functions(self) -> list[dict[str, Any]]:
        """What is published: `name`, `description`, `input_schema` and `output_schema` of each."""
        return [function.public() for function in self._registry.all()]

    def publish(
        self,
        name: str,
        function: LocalFunction | Runnable[Any, Any] | Callable[..., Any] | None,
        *,
        input_schema: Schema | None = None,
        output_schema: Schema | None = None,
        description: str | None = None,
        prompt: str | None = None,
        batch: Callable[[list[Any]], Sequence[Any]] | None = None,
    ) -> LocalFunction:
        """Publish a Function, or replace the one of this name; also while the deployment runs.

        Args:
            name: What clients call it by.
            function: Takes a row (a dict, or the `input_schema` if that is a pydantic model) and
                returns a bare value, a dict, a pydantic model or an `Answer`; sync, async or a
                LangChain Runnable. Or a Function, such as `from_examples` makes. None publishes
                one that cannot run (409).
            input_schema: JSON schema of an object, or a pydantic model. May be left out for a
                Python function: then its parameters are the fields.
            output_schema: JSON schema or pydantic model. May be left out for a Python function
                whose return type gives it.
            description: What it does; by default the docstring.
            prompt: Shown as `usage.system_prompt` by the hosted generation.
            batch: The same for a list of rows, if that is quicker; jobs use it.

        Returns:
            The Function as published.

        Raises:
            TypeError: A schema is missing and cannot be derived from type hints.
        """
        published: LocalFunction
        if isinstance(function, LocalFunction):
            published = function.renamed(name)
        elif input_schema is None or output_schema is None:
            if not inspect.isroutine(function):
                raise TypeError(f"{name}: give input_schema and output_schema.")
            published = from_signature(
                function,
                name=name,
                input_schema=input_schema,
                output_schema=output_schema,
                description=description,
                prompt=prompt,
            )
        else:
            published = LocalFunction(
                name,
                function,
                input_schema=input_schema,
                output_schema=output_schema,
                description=description,
                prompt=prompt,
                batch=batch,
            )
        self._registry.publish(published)
        return published

    def function(
        self,
        name: str | None = None,
        *,
        input_schema: Schema | None = None,
        output_schema: Schema | None = None,
        description: str | None = None,
        prompt: str | None = None,
    ) -> Callable[[FunctionT], FunctionT]:
        """Decorator that publishes a Python function, and leaves it as it is.

        Its type hints give the schemas that are not passed: each parameter is a field, or a single
        pydantic model is the row.

        Args:
            name: What clients call it by; by default its own name, with dashes.
            input_schema: As for `publish`; then the function takes the row as its one argument.
            output_schema: As for `publish`.
            description: By default the docstring.
            prompt: As for `publish`.
        """

        def publish(call: FunctionT) -> FunctionT:
            self._registry.publish(
                from_signature(
                    call,
                    name=name,
                    input_schema=input_schema,
                    output_schema=output_schema,
                    description=description,
                    prompt=prompt,
                )
            )
            return call

        return publish

    def start(self) -> None:
        """Start, and wait until it answers. Does nothing if it runs.

        Raises:
            OSError: The port is in use.
            RuntimeError: `data_dir` is in use by another local deployment.
            TimeoutError: It did not start within 30 seconds.
        """
        if self._parts is not None:
            return
        self._parts = self._start()
        # Where clients already look for it, should it be started again.
        self._port = self._parts.server.port
        try:
            self.wait_until_ready()
        except TimeoutError:
            self.stop()
            raise

    def stop(self) -> None:
        """Stop. Jobs that have not ended resume when it is started again with its `data_dir`."""
        parts, self._parts = self._parts, None
        if parts is not None:
            parts.stop()

    def wait_until_ready(self, timeout: float = 30.0) -> None:
        """Wait until it answers.

        Args:
            timeout: Seconds.

        Raises:
            RuntimeError: It is not running.
            TimeoutError: It has not started within this time.
        """
        self._running.server.wait(timeout)

    @property
    def _running(self) -> _Parts:
        if self._parts is None:
            raise RuntimeError("The local deployment is not running; call start() or use `with`.")
        return self._parts

    def _start(self) -> _Parts:
        with ExitStack() as stack:
            folder = self._data_dir
            if folder is None:
                temporary = tempfile.TemporaryDirectory(
                    prefix="sutro-local-", ignore_cleanup_errors=True
                )
                folder = Path(stack.enter_context(temporary))
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            jobs = folder / "jobs"
            jobs.mkdir(exist_ok=True)
            stack.enter_context(_only_user(folder))
            keys = Keys(folder / "keys.json", self._api_key)
            store = Store(folder / "jobs.sqlite")
            stack.callback(store.close)
            worker = Worker(store, self._registry, self._quotas, jobs)
            server = ServerThread(self._port, self._count_connection)
            service = Service(
                origin=server.origin,
                folder=jobs,
                store=store,
                registry=self._registry,
                worker=worker,
                faults=self.faults,
                quotas=self._quotas,
                keys=keys,
                deadline=self._deadline,
                heartbeat_seconds=self._heartbeat_seconds,
                requests=self.requests,
            )
            server.start(Wire(create_app(service), self.faults, self.requests))
            stack.callback(server.stop)
            stack.callback(service.stopping.set)
            worker.start()
            stack.callback(worker.stop)
            return _Parts(service, server, stack.pop_all())

    def _count_connection(self) -> None:
        self._connections += 1


@dataclass(frozen=True, slots=True)
class _Parts:
    """What runs."""

    service: Service
    server: ServerThread
    stack: ExitStack

    def stop(self) -> None:
        self.stack.close()


@contextmanager
def _only_user(folder: Path) -> Iterator[None]:
    """Keep other deployments from running the same jobs; the lock ends with the process."""
    lock = sqlite3.connect(
        folder / "lock.sqlite", timeout=0, isolation_level=None, check_same_thread=False
    )
    with closing(lock):
        try:
            lock.execute("BEGIN EXCLUSIVE")
        except sqlite3.OperationalError:
            raise RuntimeError(f"{folder} is in use by another local deployment.") from None
        yield
