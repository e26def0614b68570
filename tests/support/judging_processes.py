"""Other processes that judge the runs of a project, which may be killed at any of their requests.

One process loads everything and forks one for each call, so that a call takes no second to start.
"""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

PROGRAM = """
import os, sys
import pyarrow.parquet
from langsmith import Client
import langchain_sutro.evaluation.window as window
from langchain_sutro import evaluate_runs
from tests.support.production import judge

url, portion = sys.argv[1:]
window._PORTION = int(portion) or window._PORTION

def call():
    try:
        evaluate_runs([judge(), judge("loud")], "app", client=Client(api_url=url, api_key="x"))
    except BaseException:
        import traceback
        traceback.print_exc()
        os._exit(1)
    os._exit(0)

for line in sys.stdin:
    pids = [os.fork() or call() for _ in range(int(line))]
    print(*pids, flush=True)
    ended = [os.wait4(pid, 0) for pid in pids]
    # The peak memory in KiB, and how each ended.
    print(max(usage.ru_maxrss for _, _, usage in ended), *[one[1] for one in ended], flush=True)
"""
_SECONDS = 120


class JudgingProcesses:
    """Calls of `evaluate_runs` with both judges, in processes of their own; a context manager.

    Args:
        recorder: LangSmith. The requests that it gets are counted.
        portion: The number of verdicts that are written at once; None for as many as usually.

    Attributes:
        peak_mib: The peak memory of the last calls in MiB.
    """

    def __init__(self, recorder, portion=20):
        self._recorder = recorder
        self._portion = str(portion or 0)
        self.peak_mib = 0.0
        self._lock = threading.Lock()
        self._left = None
        self._pid, self._pid_known = None, threading.Event()

    def __enter__(self):
        root = Path(__file__).parents[2]
        self._program = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, self._recorder.url, self._portion],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=root,
            env={**os.environ, "PYTHONPATH": str(root)},
        )
        self._recorder.on_request = self._on_request
        return self

    def __exit__(self, *_):
        self._recorder.on_request = None
        self._program.stdin.close()
        try:
            self._program.wait(_SECONDS)
        finally:
            self._program.kill()
            self._program.wait()
            self._program.stdout.close()

    def call(self, number=1):
        """Make calls at the same time; how each ended, 0 if well."""
        self._start(number)
        return self._ended()

    def call_and_kill(self, request):
        """Make a call that is killed when LangSmith gets its request of this number, from 1."""
        self._pid_known.clear()
        self._left = request
        (self._pid,) = self._start(1)
        self._pid_known.set()
        (status,) = self._ended()
        assert os.WIFSIGNALED(status), f"ended with {status} before its request {request}"
        # What it had sent is carried out, though nobody waits for the answer.
        self._recorder.until(lambda: not self._recorder.open_requests, _SECONDS)

    def _start(self, number):
        self._program.stdin.write(f"{number}\n")
        self._program.stdin.flush()
        return [int(pid) for pid in self._program.stdout.readline().split()]

    def _ended(self):
        peak, *ended = map(int, self._program.stdout.readline().split())
        self.peak_mib = peak / 1024
        return ended

    def _on_request(self):
        with self._lock:
            if self._left is None:
                return
            self._left -= 1
            if self._left:
                return
            self._left = None
        assert self._pid_known.wait(_SECONDS)
        os.kill(self._pid, signal.SIGKILL)
