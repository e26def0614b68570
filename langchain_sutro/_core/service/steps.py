"""The one way to be both sync and async: a generator of steps, driven by a thread or an event loop.

The generator yields a step, receives its result, and returns a value or raises. What a step raises
is raised at its `yield`. So the order of the work is written once, and is the same for both.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator
from dataclasses import dataclass
from functools import partial
from typing import Any, Generic, TypeAlias, TypeVar

from langchain_sutro._core.service.threads import in_thread

__all__ = ["Step", "Steps", "adrive", "arun_steps", "blocking", "drive", "run_steps"]

_T = TypeVar("_T")
_S = TypeVar("_S")


@dataclass(frozen=True, slots=True)
class Step(Generic[_T]):
    """A piece of work in both forms.

    Attributes:
        run: Does it in this thread.
        arun: Does it without blocking the event loop.
    """

    run: Callable[[], _T]
    arun: Callable[[], Awaitable[_T]]


Steps: TypeAlias = Generator[Step[Any], Any, _T]


def blocking(work: Callable[..., _T], *args: Any, **kwargs: Any) -> Step[_T]:
    """A step that has no asynchronous form; an event loop runs it in a thread."""
    call = partial(work, *args, **kwargs)
    return Step(call, partial(in_thread, call))


def run_steps(steps: Steps[_T]) -> _T:
    """Carry out steps in this thread."""
    return drive(steps, lambda step: step.run())


async def arun_steps(steps: Steps[_T]) -> _T:
    """Carry out steps without blocking the event loop."""
    return await adrive(steps, lambda step: step.arun())


def drive(steps: Generator[_S, Any, _T], carry_out: Callable[[_S], Any]) -> _T:
    """Drive a generator in this thread.

    Args:
        steps: The generator.
        carry_out: Does what a step asks for, and returns what the generator is given.

    Returns:
        What the generator returns.
    """
    try:
        step = next(steps)
        while True:
            try:
                done = carry_out(step)
            except BaseException as error:  # noqa: BLE001 - the generator decides
                step = steps.throw(error)
            else:
                step = steps.send(done)
    except StopIteration as stop:
        result: _T = stop.value
        return result
    finally:
        steps.close()


async def adrive(steps: Generator[_S, Any, _T], carry_out: Callable[[_S], Awaitable[Any]]) -> _T:
    """`drive` for an event loop."""
    try:
        step = next(steps)
        while True:
            try:
                done = await carry_out(step)
            except BaseException as error:  # noqa: BLE001 - the generator decides
                step = steps.throw(error)
            else:
                step = steps.send(done)
    except StopIteration as stop:
        result: _T = stop.value
        return result
    finally:
        steps.close()
