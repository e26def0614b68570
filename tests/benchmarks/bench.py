"""The stub and the measured processes, as the parent handles them."""

import json
import os
import subprocess
import sys
import tempfile
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.request import urlopen

from tests.benchmarks import peers
from tests.benchmarks.peers import ROOT

# Nobody answers there: the SDK's look for a newer version ends at once.
CLOSED = "http://127.0.0.1:9"


class Worker:
    """A process that measures one case at a time.

    Args:
        python: Its interpreter.
        module: What it runs, in this package.
        environment: All of its variables.
    """

    def __init__(self, python, module, environment):
        self._process = subprocess.Popen(
            [python, "-m", f"tests.benchmarks.{module}"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env=environment,
        )

    def __call__(self, case, **arguments):
        """Measure a case."""
        self._process.stdin.write(json.dumps({"case": case, **arguments}) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self._process.args} ended with {self._process.wait()}")
        answer = json.loads(line)
        if "error" in answer:
            raise RuntimeError(answer["error"])
        return answer["value"]

    def close(self):
        """End it."""
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait(60)


@dataclass
class Bench:
    """One run of the benchmarks.

    Attributes:
        rounds: How often each case is measured; light ones three times as often.
        rows: Of the large tables.
        quick: Whether the figures are only to show that all works.
        clock: What large pieces of work are compared by: `"seconds"`, or `"cpu"` seconds.
        folder: For data that are made once and kept.
        ports: Of the stub.
        environment: Of every measured process.
    """

    rounds: int
    rows: int
    quick: bool
    clock: str
    folder: Path
    ports: dict[str, int]
    environment: dict[str, str]

    def url(self, name):
        """Of one of the stub's four ports."""
        scheme = "https" if name.endswith("tls") else "http"
        return f"{scheme}://127.0.0.1:{self.ports[name]}"

    def counts(self):
        """Connections and requests of the stub until now."""
        with urlopen(self.url("plain") + "/stub", timeout=10) as answer:
            return json.load(answer)

    @contextmanager
    def workers(self, **kinds):
        """Processes of these kinds, by the names they are given."""
        with ExitStack() as stack:
            made = {}
            for name, kind in kinds.items():
                python, module = KINDS[kind]
                worker = Worker(python(), module, self.environment)
                stack.callback(worker.close)
                made[name] = worker
            yield made

    def once(self, kind, case, **arguments):
        """Measure a case in a process that has done nothing else."""
        with self.workers(one=kind) as workers:
            return workers["one"](case, **arguments)

    def alternate(self, rounds, **cases):
        """Measure cases in turn, in another order each round.

        Returns:
            The values of each case, by name.
        """
        values = {name: [] for name in cases}
        names = list(cases)
        for number in range(rounds):
            turn = number % len(names)
            for name in names[turn:] + names[:turn]:
                values[name].append(cases[name]())
        return values


KINDS = {
    "ours": (lambda: sys.executable, "ours"),
    "ours-aiohttp": (peers.with_aiohttp, "ours"),
    "sdk": (peers.official_sdk, "sdk"),
    "aiohttp": (peers.rivals, "rival"),
    "ours-traced": (lambda: sys.executable, "ours_traced"),
    "ours-evaluation": (lambda: sys.executable, "ours_evaluation"),
    "ours-batch": (lambda: sys.executable, "ours_batch"),
    "ours-pipelines": (lambda: sys.executable, "ours_pipelines"),
    "sdk-batch": (peers.official_sdk, "sdk_batch"),
}


@contextmanager
def running(*, rounds, rows, quick, clock):
    """A stub, and all that a run needs."""
    folder = ROOT / ".bench"
    folder.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as home:
        certificate, key, authorities = peers.certificate(Path(home))
        stub = subprocess.Popen(
            [sys.executable, "-m", "tests.benchmarks.stub", folder, certificate, key],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )
        try:
            ports = json.loads(stub.stdout.readline())
            environment = {
                "PATH": os.environ["PATH"],
                "HOME": home,
                "PYTHONPATH": str(ROOT),
                "SUTRO_API_KEY": "sk-benchmark",
                "SUTRO_API_URL": f"http://127.0.0.1:{ports['plain']}",
                "SSL_CERT_FILE": str(authorities),
                "REQUESTS_CA_BUNDLE": str(authorities),
                "HTTPS_PROXY": CLOSED,
                "NO_PROXY": "127.0.0.1",
                # Nobody needs its threads, which keep a core busy for a while after the import.
                "OPENBLAS_NUM_THREADS": "1",
            }
            yield Bench(rounds, rows, quick, clock, folder, ports, environment)
        finally:
            stub.stdin.close()
            stub.stdout.close()
            stub.wait(30)
