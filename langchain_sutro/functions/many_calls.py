"""Notices that a `batch` of LangChain is about to make a real-time call for each of many rows.

LangChain's `batch` calls `invoke` for each row, in threads or tasks, and tells the steps nothing.
What is in progress is therefore read from the frames of this process: those of LangChain's `batch`
methods hold the Runnable and its inputs.
"""

from __future__ import annotations

import asyncio
import dis
import gc
import logging
import sys
import time
from contextlib import suppress
from functools import cache
from itertools import accumulate, chain, compress, repeat, starmap, takewhile, tee
from operator import attrgetter, truth
from threading import Lock
from typing import TYPE_CHECKING, Any, Literal

from langchain_core.callbacks import BaseCallbackManager
from langchain_core.runnables import Runnable

from langchain_sutro.errors import SutroConfigurationError
from langchain_sutro.functions.contents import holds

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from types import CodeType

    from langchain_core.runnables import RunnableConfig

__all__ = ["ManyCalls", "OnManyCalls", "batches_in_progress"]

OnManyCalls = Literal["warn", "error", "ignore"]

_logger = logging.getLogger("langchain_sutro")

_CODE, _OFFSET, _VARIABLES = map(attrgetter, ("f_code", "f_lasti", "f_locals"))
_LOOP = asyncio.BaseEventLoop.run_forever.__code__
# Seconds between two looks at the frames, while nothing is found and while the calls are refused.
_INTERVAL = 1.0
_INTERVAL_OF_ERRORS = 0.05


@cache
def _codes() -> frozenset[CodeType]:
    """The code of LangChain's methods that call `invoke` or `ainvoke` for each row."""
    # Imported here because most programs need neither, and the first import takes time.
    from langchain_core.runnables import RouterRunnable  # noqa: PLC0415
    from langchain_core.runnables.configurable import DynamicRunnable  # noqa: PLC0415

    kinds = (Runnable, RouterRunnable, DynamicRunnable)
    methods: list[Any] = [getattr(kind, name) for kind in kinds for name in ("batch", "abatch")]
    return frozenset(method.__code__ for method in (*methods, Runnable.batch_as_completed))


@cache
def _places() -> frozenset[tuple[int, int]]:
    """Where in this code and in that of event loops a thread may be, by the code's id and offset.

    Not at the end: the variables of a function that returns are being freed.
    """
    return frozenset(
        (id(code), offset)
        for code in (*_codes(), _LOOP)
        for offset in {*range(0, len(code.co_code), 2)} - _returns(code)
    )


def _returns(code: CodeType) -> set[int]:
    found = dis.get_instructions(code)
    return {one.offset for one in found if one.opname.startswith("RETURN_")}


def batches_in_progress() -> Iterator[tuple[Any, list[Any]]]:
    """Each Runnable whose `batch` calls it for each row just now, and the inputs of the batch."""
    for known in _variables():
        step, inputs = known.get("self"), known.get("inputs")
        if step is not None and isinstance(inputs, list):
            yield step, inputs


def _variables() -> Iterator[Mapping[str, Any]]:
    """The variables of LangChain's methods in all threads, and in the tasks of their loops."""
    loops: set[asyncio.AbstractEventLoop] = set()
    with suppress(RuntimeError):  # no event loop runs in this thread
        loops.add(asyncio.get_running_loop())
    for code, known in _in_threads():
        if code is _LOOP:
            loops.add(known["self"])
        else:
            yield known
    codes = _codes()
    for loop in loops:
        for task in asyncio.all_tasks(loop):
            waiting: Any = task.get_coro()
            while (inner := getattr(waiting, "cr_frame", None)) is not None:
                if inner.f_code in codes:
                    yield inner.f_locals
                waiting = waiting.cr_await


def _in_threads() -> list[tuple[CodeType, dict[str, Any]]]:
    """The code and variables of each call of `_places` in the threads of this process.

    Threads that run change their frames, and Python may crash on a frame that is being left. So all
    of it is one call of built-in functions, during which no other thread runs, nor the garbage
    collector, which could let one run.
    """
    tops = chain.from_iterable(map(dict.values, starmap(sys._current_frames, ((),))))  # noqa: SLF001 - documented
    stacks = map(accumulate, map(chain, zip(tops), repeat(repeat("f_back"))), repeat(getattr))
    frames = chain.from_iterable(map(takewhile, repeat(truth), stacks))
    coded, placed, all_frames = tee(frames, 3)
    places = zip(map(id, map(_CODE, coded)), map(_OFFSET, placed), strict=True)
    found = compress(all_frames, map(_places().__contains__, places))
    of_code, of_variables = tee(found)
    calls = zip(map(_CODE, of_code), map(dict, map(_VARIABLES, of_variables)), strict=True)
    collecting = gc.isenabled()
    gc.disable()
    try:
        return list(calls)
    finally:
        if collecting:
            gc.enable()


class ManyCalls:
    """The real-time calls of one Function.

    Args:
        is_function: Whether an object is the Function.
    """

    def __init__(self, is_function: Callable[[Any], bool]) -> None:
        self._is_function = is_function
        self._looked = float("-inf")
        self._calls = 0
        self._problem: str | None = None
        self._told: int | None = None
        self._lock = Lock()

    def check(
        self, name: str, config: RunnableConfig, on_many_calls: OnManyCalls, most: int
    ) -> None:
        """Look whether a call is one of many.

        Args:
            name: The Function's name.
            config: The config of the call.
            on_many_calls: What to do then.
            most: How many rows a batch may have.

        Raises:
            SutroConfigurationError: It is one of many, and `on_many_calls` is `"error"`.
        """
        callbacks = config.get("callbacks")
        if not isinstance(callbacks, BaseCallbackManager) or callbacks.parent_run_id is None:
            return  # called by itself
        with self._lock:
            problem = self._looked_up(name, on_many_calls, most)
        if problem is not None and on_many_calls == "error":
            raise SutroConfigurationError(problem)

    def _looked_up(self, name: str, on_many_calls: OnManyCalls, most: int) -> str | None:
        """What was found, now or a moment ago."""
        self._calls += 1
        now = time.monotonic()
        refused = self._problem is not None and on_many_calls == "error"
        interval = _INTERVAL_OF_ERRORS if refused else _INTERVAL
        if now - self._looked >= interval or self._calls == most + 1:
            self._looked = now
            self._problem = self._found(name, most, on_many_calls)
        return self._problem

    def _found(self, name: str, most: int, on_many_calls: OnManyCalls) -> str | None:
        """What is in progress, in words; it is logged once for each batch."""
        batches = [(step, inputs) for step, inputs in batches_in_progress() if len(inputs) > most]
        if not batches:
            self._calls = 0
            return None
        for step, inputs in batches:
            # A function may hide what it calls; then only the number of calls shows it.
            if holds(step, self._is_function) or self._calls > most:
                problem = _in_words(name, step, len(inputs))
                if on_many_calls == "warn" and self._told != id(inputs):
                    self._told = id(inputs)
                    _logger.warning("%s", problem)
                return problem
        return None


def _in_words(name: str, step: Any, rows: int) -> str:
    return (
        f"A batch of {rows:,} rows calls {name!r} once for each row, in real time, because "
        f"{step.get_name()} does so. one_job(pipeline).batch makes one Batch job of them; where a "
        "graph or a function of yours makes the calls, use the Function's gathered(). "
        'on_many_calls="ignore" turns this message off.'
    )
