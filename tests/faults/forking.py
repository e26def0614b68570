"""A process that forks children which end in every way, and reads on: see `test_forks`."""

import atexit
import gc
import json
import multiprocessing
import os
import signal
import sys
import weakref

from langchain_sutro import SutroFunction
from langchain_sutro._core.jobs import calls
from langchain_sutro._core.rows import open_table, spool_rows
from langchain_sutro._core.rows import spool as _spool
from langchain_sutro._core.service import private_files
from tests.support.numbered_rows import rows

COUNT = 40


def main(fork: str, named: str) -> None:
    """Print, for each way to end, the answers and rows that the parent has afterwards."""
    calls._FEW_ROWS, _spool._IN_MEMORY = 0, 10
    if named == "named":
        private_files._MOST = 0
    job = SutroFunction("echo", poll_interval=0.05).submit(rows(COUNT))
    told = {}
    for end in ENDS:
        held = {"results": job.results(), "spooled": spool_rows(open_table(rows(COUNT)))}
        FORKS[fork](end, dict(held))
        answers = [result.answer for result in held["results"]]
        sent = b"".join(held["spooled"].pieces()).count(b'"n"')
        told[end.__name__] = [answers, sent]
    json.dump(told, sys.stdout)


def leave(held):
    del held


def collect(held):
    held.clear()
    gc.collect()


def close(held):
    held["spooled"].__exit__(None, None, None)


def fail(held):
    raise RuntimeError("the child fails")


def leave_by_sys_exit(held):
    collect(held)
    sys.exit(3)


def leave_at_once(held):
    os._exit(0)


def be_killed(held):
    os.kill(os.getpid(), signal.SIGKILL)


def be_terminated(held):
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    os.kill(os.getpid(), signal.SIGTERM)


def become_another_program(held):
    os.execv(sys.executable, [sys.executable, "-c", "pass"])


ENDS = [
    leave, collect, close, fail, leave_by_sys_exit, leave_at_once, be_killed, be_terminated,
    become_another_program,
]  # fmt: skip


def by_os_fork(end, held):
    child = os.fork()
    if child == 0:
        # As an interpreter ends: what is registered for its end is done.
        try:
            end(held)
        except BaseException:  # noqa: BLE001 - a child must not go on with the tests
            pass
        finally:
            held.clear()
            gc.collect()
            finalizers()
            atexit._run_exitfuncs()
            os._exit(0)
    os.waitpid(child, 0)


def finalizers():
    """What `weakref` does at the end of an interpreter."""
    weakref.finalize._exitfunc()


def by_multiprocessing(end, held):
    process = multiprocessing.get_context("fork").Process(target=end, args=(held,))
    process.start()
    process.join()


def by_a_server(end, held):
    """As prefork servers do: a child that forks workers of its own."""
    child = os.fork()
    if child == 0:
        try:
            by_os_fork(end, held)
            by_multiprocessing(end, held)
        finally:
            os._exit(0)
    os.waitpid(child, 0)


FORKS = {"os.fork": by_os_fork, "multiprocessing": by_multiprocessing, "server": by_a_server}

if __name__ == "__main__":
    main(*sys.argv[1:])
