"""What is done when an object goes, wherever that happens to be."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

from langchain_sutro._core.service.cleanup import when_gone


class Owner:
    """Goes when nothing refers to it any more."""


def test_without_an_event_loop_it_is_done_at_once():
    owner, done = Owner(), threading.Event()
    when_gone(owner, done.set)
    del owner
    assert done.is_set()


async def test_on_an_event_loop_a_thread_does_it():
    loop = asyncio.get_running_loop()
    owner, done = Owner(), loop.create_future()
    when_gone(owner, lambda: loop.call_soon_threadsafe(done.set_result, threading.current_thread()))
    del owner
    assert await done is not threading.current_thread()


async def test_what_goes_while_a_thread_is_given_work_holds_nobody_up():
    executor = ThreadPoolExecutor(2)
    loop = asyncio.get_running_loop()
    loop.set_default_executor(executor)
    owner, done = Owner(), threading.Event()
    when_gone(owner, done.set)
    with executor._shutdown_lock:
        # As where the garbage collector runs in the middle of `submit`.
        del owner
    assert await loop.run_in_executor(None, done.wait, 5)


def test_at_the_end_of_an_event_loop_it_is_still_done():
    done = threading.Event()

    async def main():
        owner = Owner()
        when_gone(owner, done.set)
        del owner

    asyncio.run(main())
    assert done.is_set()
