"""What a client is connected to: a deployment and a key, resolved at the first call."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, Self, TypeVar

from pydantic import SecretStr

from langchain_sutro._core import service as _service
from langchain_sutro._core.service import (
    Generation,
    Operation,
    Service,
    Session,
    Settings,
    Step,
    arun,
    check_client,
    check_url,
    in_thread,
    resolve,
    run,
)
from langchain_sutro._core.tracing import JobTraces

if TYPE_CHECKING:
    from collections.abc import Callable

    from langchain_sutro._core.service import HTTPClient, Steps

__all__ = ["Connection", "aexecute", "asking", "execute", "traces_of"]

_T = TypeVar("_T")
_P = ParamSpec("_P")


class Connection:
    """A deployment, a key, and how patiently it is called; `SutroClient` has the arguments."""

    def __init__(
        self,
        *,
        api_key: SecretStr | str | None = None,
        api_url: str | None = None,
        generation: Generation = "auto",
        timeout: float | None = None,
        max_retries: int = 3,
        repeat_runs: bool = False,
        http_client: HTTPClient | None = None,
        http_async_client: HTTPClient | None = None,
    ) -> None:
        if api_url is not None:
            check_url(api_url, generation)
        check_client(http_client, "http_client", asynchronous=False)
        check_client(http_async_client, "http_async_client", asynchronous=True)
        self._api_key = SecretStr(api_key) if isinstance(api_key, str) else api_key
        self._api_url = api_url
        self._generation = generation
        self._http_client = http_client
        self._http_async_client = http_async_client
        self._session: Session | None = None
        self._traces = JobTraces()
        self.policy = _service.Policy(max_retries, timeout, repeat_runs)

    def __repr__(self) -> str:
        where = self._session.settings.batch_url if self._session else self._api_url
        return f"{type(self).__name__}(api_url={where!r}, generation={self._generation!r})"

    def __getstate__(self) -> dict[str, Any]:
        # A pickle may leave the process: no key, no sockets, no clock.
        policy = self.policy
        return {
            "api_url": self._api_url,
            "generation": self._generation,
            "timeout": policy.timeout,
            "max_retries": policy.max_retries,
            "repeat_runs": policy.repeat_runs,
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        Connection.__init__(self, **state)

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        # It holds no state of a caller's, so a copy has nothing to gain.
        return self

    def _resolve(self) -> Session:
        settings = resolve(self._api_key, self._api_url, self._generation)
        self._session = Session(settings, self._http_client, self._http_async_client)
        return self._session

    def _with_key(self, api_key: SecretStr | str) -> Connection:
        """The same deployment with another key."""
        state = self.__getstate__() | {"api_key": api_key}
        return Connection(
            **state, http_client=self._http_client, http_async_client=self._http_async_client
        )

    @property
    def settings(self) -> Settings:
        """Which deployment, which generation, which key."""
        return (self._session or self._resolve()).settings


def traces_of(client: Connection) -> JobTraces:
    """The traces of the jobs that were submitted through a client."""
    return client._traces  # noqa: SLF001 - ours, but not for users


def execute(
    client: Connection,
    operation: Callable[Concatenate[Service, _P], Operation[_T]],
    *args: _P.args,
    **kwargs: _P.kwargs,
) -> _T:
    """Carry out an operation of the service's API in this thread.

    A function rather than a method, since the operations are not for users.

    Args:
        client: Whose deployment, key and policy apply.
        operation: One of the service room's, such as `fetch_job`.
        *args: What it takes after the service.
        **kwargs: The same by name.

    Returns:
        What the operation returns.
    """
    session = client._session or client._resolve()  # noqa: SLF001 - as above
    return run(operation(Service(session.settings, client.policy), *args, **kwargs), session)


async def aexecute(
    client: Connection,
    operation: Callable[Concatenate[Service, _P], Operation[_T]],
    *args: _P.args,
    **kwargs: _P.kwargs,
) -> _T:
    """Asynchronous form of `execute`."""
    session = client._session  # noqa: SLF001 - as above
    if session is None:
        # The login file may have to be read first.
        session = await in_thread(client._resolve)  # noqa: SLF001 - as above
    service = Service(session.settings, client.policy)
    return await arun(operation(service, *args, **kwargs), session)


def asking(
    client: Connection,
    operation: Callable[Concatenate[Service, _P], Operation[_T]],
    *args: _P.args,
    **kwargs: _P.kwargs,
) -> Steps[_T]:
    """`execute` as a step of something longer."""
    result: _T = yield Step(
        partial(execute, client, operation, *args, **kwargs),
        partial(aexecute, client, operation, *args, **kwargs),
    )
    return result
