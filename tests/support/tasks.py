"""The tasks that an event loop makes."""

import asyncio
from contextlib import contextmanager


@contextmanager
def tasks_made():
    """The coroutines for which the running loop makes tasks meanwhile."""
    made = []
    loop = asyncio.get_running_loop()

    def task(loop, work, **options):
        made.append(work)
        return asyncio.Task(work, loop=loop, **options)

    loop.set_task_factory(task)
    try:
        yield made
    finally:
        loop.set_task_factory(None)
