"""What was measured: a line each, as a table and as JSON."""

import json
import os
import platform
import statistics
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import version

COLUMNS = ("work", "ours", "peer", "ratio", "spread", "target", "")


@dataclass
class Line:
    """One measured piece of work.

    Attributes:
        work: What was done, and beside what.
        ours: Median, with its unit.
        peer: The same, or nothing.
        value: What the target is about: a ratio, or an amount.
        spread: Its quartiles over the rounds.
        target: In words; nothing if there is none.
        met: None if there is no target.
    """

    work: str
    ours: str
    peer: str
    value: str
    spread: str
    target: str
    met: bool | None


def ratio(work, ours, peer, unit, *, at_most=None, at_least=None):
    """A line on ours over the peer's, paired by rounds."""
    values = [one / max(other, 1e-9) for one, other in zip(ours, peer, strict=True)]
    return Line(
        work,
        show(statistics.median(ours), unit),
        show(statistics.median(peer), unit),
        f"{statistics.median(values):.3f}",
        _spread(values, lambda value: f"{value:.3f}"),
        *_judge(statistics.median(values), "", at_most, at_least),
    )


def amount(work, values, unit, *, peer=None, at_most=None):
    """A line on an amount of ours, where the peer's is only for comparison."""
    middle = statistics.median(values)
    return Line(
        work,
        show(middle, unit),
        show(statistics.median(peer), unit) if peer else "",
        "",
        _spread(values, lambda value: show(value, unit)),
        *_judge(middle, unit, at_most, None),
    )


def missing(work, why):
    """A line on work that cannot be measured, which is a target missed."""
    return Line(work, "missing", "", "", "", why, met=False)


def show(value, unit):
    """A value in the unit that people read it in."""
    if unit == "s":
        for factor, name in ((1, "s"), (1e3, "ms"), (1e6, "µs")):
            if value * factor >= 1 or name == "µs":
                return f"{value * factor:.3g} {name}" if value < 1 else f"{value:.2f} s"
    if unit == "B":
        return f"{value / 2**20:.1f} MiB"
    return f"{value:,.0f} {unit}".strip()


def _judge(value, unit, at_most, at_least):
    if at_most is None and at_least is None:
        return "", None
    limit = at_least if at_most is None else at_most
    words = show(limit, unit) if unit else f"{limit:g}"
    if at_most is None:
        return f">= {words}", value >= limit
    return f"<= {words}", value <= limit


def _spread(values, shown):
    if len(values) < 2:
        return ""
    low, _, high = statistics.quantiles(values, n=4, method="inclusive")
    return f"{shown(low)} … {shown(high)}"


def text(lines):
    """The table."""
    marks = {None: "", True: "ok", False: "OVER"}
    rows = [
        (line.work, line.ours, line.peer, line.value, line.spread, line.target, marks[line.met])
        for line in lines
    ]
    widths = [max(map(len, column)) for column in zip(COLUMNS, *rows, strict=True)]
    ruled = [COLUMNS, tuple("-" * width for width in widths), *rows]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in ruled
    )


def circumstances(**more):
    """On what it was measured."""
    names = ("httpx", "httpcore", "langchain-core", "langsmith", "pandas", "pyarrow", "polars")
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "python": platform.python_version(),
        "system": platform.platform(),
        "cores": os.cpu_count(),
        "load": [round(value, 2) for value in os.getloadavg()],
        "versions": {name: version(name) for name in names},
        **more,
    }


def write(path, lines, facts):
    """The table as text, and all of it as JSON beside it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    content = {"circumstances": facts, "lines": [asdict(line) for line in lines]}
    path.with_suffix(".json").write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n")
    head = "\n".join(f"{name}: {value}" for name, value in facts.items())
    path.with_suffix(".txt").write_text(f"{head}\n\n{text(lines)}\n")
