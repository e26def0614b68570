"""Random pipelines of every shape, made of steps that count their batches and fail for some rows.

Each tree takes a row and returns one, so that it can be a part of another.
"""

from threading import Lock
from zlib import crc32

from hypothesis import strategies as st
from langchain_core.runnables import (
    ConfigurableField,
    RouterRunnable,
    RunnableBranch,
    RunnableLambda,
    RunnableParallel,
    RunnablePassthrough,
)
from langchain_core.runnables.base import RunnableEach
from langchain_core.runnables.retry import RunnableRetry

from langchain_sutro import SutroAssign, SutroRetry, SutroRouter

__all__ = ["ROWS", "HandledError", "Step", "Tree", "UnhandledError", "trees"]


class HandledError(Exception):
    """What a step raises for a row, and fallbacks and retries handle."""


class UnhandledError(Exception):
    """What they do not handle."""


def mark(*parts):
    return crc32(repr(parts).encode())


class Step(RunnableLambda):
    """Stands in for a Function: has a `batch` of its own, whose calls it counts."""

    def __init__(self, name, failing=0, recovers=False):
        """Fail for some rows.

        Args:
            name: In the values and errors.
            failing: Rows of 8 that fail.
            recovers: Whether the second attempt succeeds.
        """
        self.batches, self.attempts, self.lock = [], {}, Lock()
        self.failing, self.recovers = failing, recovers
        super().__init__(self.run, name=name)

    def run(self, row):
        place = (row["id"], row["part"])
        with self.lock:
            attempt = self.attempts[repr(row)] = self.attempts.get(repr(row), 0) + 1
        chance = mark(self.name, place)
        if chance % 8 < self.failing and not (self.recovers and attempt > 1):
            raise (HandledError if chance % 3 else UnhandledError)(self.name, place)
        return {**row, "seen": mark(self.name, row["seen"])}

    def batch(self, inputs, *args, **kwargs):
        with self.lock:
            self.batches.append(len(inputs))
        return super().batch(inputs, *args, **kwargs)

    async def abatch(self, inputs, *args, **kwargs):
        self.batches.append(len(inputs))
        return await super().abatch(inputs, *args, **kwargs)

    def reset(self):
        self.batches, self.attempts = [], {}


def whole(outputs):
    """A row made of several."""
    first = outputs[0]
    return {"id": first["id"], "part": first["part"], "seen": mark(outputs)}


def halves(row):
    return [{**row, "part": (*row["part"], half)} for half in range(2)]


class Tree:
    """A pipeline, and its steps.

    Args:
        plan: Drawn by hypothesis.
    """

    def __init__(self, plan):
        self.steps = []
        self.most_batches = {}
        self.chain = self.made(plan, "s", most=1, in_map=False)

    def made(self, plan, name, *, most, in_map):
        kind, *parts = plan
        if kind == "step":
            failing, recovers = parts
            # LangChain's batch stops at an error, at once or a little later, so within `map`
            # nobody can say how many attempts there were.
            step = Step(name, failing, recovers and not in_map)
            self.steps.append(step)
            self.most_batches[name] = most
            return step
        most *= 2 if kind == "retry" else 1
        inside = in_map or kind == "map"
        made = [
            self.made(part, f"{name}{place}", most=most, in_map=inside)
            for place, part in enumerate(parts)
        ]
        return getattr(self, f"of_{kind}")(*made, in_map=in_map)

    def of_sequence(self, *parts, **_):
        return parts[0] | parts[1]

    def of_parallel(self, *parts, **_):
        return RunnableParallel(a=parts[0], b=parts[1]) | RunnableLambda(
            lambda out: whole([out["a"], out["b"]])
        )

    def of_assign(self, part, **_):
        return RunnablePassthrough.assign(v=part) | RunnableLambda(lambda out: whole([out["v"]]))

    def of_pick(self, part, **_):
        return RunnablePassthrough.assign(v=part).pick("v")

    def of_sutro_assign(self, part, **_):
        return SutroAssign(bound=part, key="v") | RunnableLambda(lambda out: whole([out["v"]]))

    def of_branch(self, *parts, **_):
        asks = parts[0] | RunnableLambda(lambda row: row["seen"] % 2)
        return RunnableBranch(
            (asks, parts[1]), (lambda row: row["id"] % 2 == 0, parts[2]), parts[3]
        )

    def of_router(self, *parts, **_):
        return RunnableLambda(lambda row: {"key": "ab"[row["id"] % 2], "input": row}) | (
            RouterRunnable({"a": parts[0], "b": parts[1]})
        )

    def of_sutro_router(self, *parts, **_):
        judge = SutroAssign(bound=parts[0] | RunnableLambda(lambda row: row["seen"] % 2), key="v")
        keep = RunnableLambda(lambda row: {key: row[key] for key in ("id", "part", "seen")})
        return SutroRouter(judge=judge, branches={0: keep | parts[1], 1: keep | parts[2]})

    def of_fallbacks(self, *parts, **_):
        return parts[0].with_fallbacks([parts[1], parts[2]], exceptions_to_handle=(HandledError,))

    def of_fallbacks_with_key(self, *parts, **_):
        keep = RunnableLambda(lambda row: {**row, "seen": mark(repr(row))})
        tried = parts[0].with_fallbacks([keep | parts[1]], exception_key="error")
        # LangChain puts the error into the row itself, which other branches may hold too.
        return RunnableLambda(dict) | tried | RunnableLambda(lambda row: whole([row]))

    def of_retry(self, part, *, in_map):
        # Within `map`, langchain-core's own class mixes up the rows of a batch.
        kind = SutroRetry if in_map else RunnableRetry
        return kind(
            bound=part,
            kwargs={},
            config={},
            retry_exception_types=(HandledError,),
            wait_exponential_jitter=False,
            max_attempt_number=2,
        )

    def of_bound(self, part, **_):
        return part.with_config(tags=["t"]).bind().with_types().with_listeners()

    def of_map(self, part, **_):
        return RunnableLambda(halves) | RunnableEach(bound=part) | RunnableLambda(whole)

    def of_alternatives(self, *parts, **_):
        chosen = (parts[0] | RunnablePassthrough()).configurable_alternatives(
            ConfigurableField(id="which"), other=parts[1]
        )
        return chosen.with_config(configurable={"which": "other"})

    def of_lambda(self, *parts, **_):
        return RunnableLambda(lambda row: parts[row["id"] % 2].with_config(tags=["t"]))

    def run(self, call):
        """What a call returns or raises, from fresh steps."""
        for step in self.steps:
            step.reset()
        try:
            return call()
        except (HandledError, UnhandledError) as error:
            return error


ARITY = {
    "sequence": 2,
    "parallel": 2,
    "assign": 1,
    "pick": 1,
    "sutro_assign": 1,
    "branch": 4,
    "router": 2,
    "sutro_router": 3,
    "fallbacks": 3,
    "fallbacks_with_key": 2,
    "retry": 1,
    "bound": 1,
    "map": 1,
    "alternatives": 2,
    "lambda": 2,
}
STEP = st.tuples(st.just("step"), st.integers(0, 4), st.booleans())
ROWS = st.integers(0, 6).map(lambda n: [{"id": i, "part": (), "seen": 0} for i in range(n)])


@st.composite
def plans(draw, depth):
    """The plan of a tree of at most this depth."""
    kind = draw(st.sampled_from(["step", *ARITY])) if depth > 1 else "step"
    if kind == "step":
        return draw(STEP)
    # Wide trees only near the leaves, so that an example stays small.
    below = depth - 1 if ARITY[kind] < 3 else min(depth - 1, 2)
    return (kind, *(draw(plans(below)) for _ in range(ARITY[kind])))


def trees(depth):
    """Trees of at most this depth."""
    return plans(depth).map(Tree)
