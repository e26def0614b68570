"""What the tests' LangSmith holds: runs, projects, data sets, examples and feedback.

It notes every breach of LangSmith's rules for ids, order keys, parents and times, and answers the
queries that the real client asks.
"""

import re
import threading
import uuid
from collections import Counter, defaultdict
from datetime import UTC, datetime

from tests.support.langsmith_filters import run_filter, thread_of

_SEGMENT = re.compile(r"\d{8}T\d{12}Z([0-9a-f-]{36})")
_RUNS_PER_TRACE = 25_000
_PAGE = 100


class LangSmithStore:
    """The state.

    Attributes:
        runs: Each run by id, its creation and update merged.
        feedback: What was given, as sent.
        sessions: Projects by id.
        datasets: Data sets by id.
        examples: Examples by id.
        violations: Breaches of LangSmith's rules, as sentences.
    """

    def __init__(self):
        self._lock = threading.RLock()
        self.reset()

    def reset(self):
        """Forget everything."""
        with self._lock:
            self.runs, self.feedback, self.violations = {}, [], []
            self._feedback_of = defaultdict(list)
            self.sessions, self.datasets, self.examples = {}, {}, {}
            self._created, self._updated, self._traces = set(), set(), Counter()
            self._found = {}
            self._session("default")

    def by_name(self, name):
        """The runs of this name, in order."""
        return [run for run in self.ordered() if run["name"] == name]

    def ordered(self):
        """All runs, parents before children."""
        with self._lock:
            return sorted(self.runs.values(), key=lambda run: run["dotted_order"])

    def children(self, run):
        """The runs directly below a run."""
        return [other for other in self.ordered() if other.get("parent_run_id") == run["id"]]

    def project(self, name):
        """The runs of the project of this name, in order."""
        ids = [one["id"] for one in self.sessions.values() if one["name"] == name]
        return [run for run in self.ordered() if run.get("session_id") in ids]

    def check(self):
        """Every breach, with those that show only when all has arrived."""
        with self._lock:
            found = list(self.violations)
            for run in self.runs.values():
                if run["id"] not in self._created:
                    found.append(f"{run['name']}: updated but never created")
                parent = run.get("parent_run_id")
                if parent and parent not in self.runs:
                    found.append(f"{run['name']}: its parent never arrived")
                if not run.get("end_time"):
                    found.append(f"{run['name']}: never ended")
            for given in self.feedback:
                if given.get("run_id") and given["run_id"] not in self.runs:
                    found.append(f"feedback {given['key']}: its run never arrived")
                if not (given.get("run_id") or given.get("session_id")):
                    found.append(f"feedback {given['key']}: of no run and no project")
        return found

    # What arrives.

    def take_run(self, run, *, update):
        with self._lock:
            self._check_run(run, update=update)
            run_id = run["id"]
            known = self.runs.setdefault(run_id, {"id": run_id, "name": run.get("name", "?")})
            for key, value in run.items():
                if value is not None and not (update and value == {} and known.get(key)):
                    known[key] = value
            if run.get("session_name"):
                run["session_id"] = self._session(run["session_name"])["id"]
                known["session_id"] = run["session_id"]

    def take_feedback(self, given):
        with self._lock:
            self.feedback.append(given)
            self._feedback_of[given.get("run_id")].append(given)

    def change_feedback(self, feedback_id, changes):
        with self._lock:
            for given in self.feedback:
                if given["id"] == feedback_id:
                    given.update(changes)
                    return given
        return None

    def _check_run(self, run, *, update):
        name = run.get("name") or self.runs.get(run["id"], {}).get("name", "?")
        tell = self.violations.append
        done = self._updated if update else self._created
        if run["id"] in done:
            tell(f"{name}: {'updated' if update else 'created'} twice")
        done.add(run["id"])
        order = run.get("dotted_order")
        if not order:
            tell(f"{name}: no dotted_order")
            return
        segments = order.split(".")
        ids = [found[1] for found in map(_SEGMENT.fullmatch, segments) if found]
        if len(ids) != len(segments):
            tell(f"{name}: malformed dotted_order")
            return
        if segments != sorted(segments, key=lambda segment: segment[:22]):
            tell(f"{name}: starts before its parent")
        if ids[-1] != run["id"]:
            tell(f"{name}: its id is not the last of its dotted_order")
        if ids[0] != run.get("trace_id"):
            tell(f"{name}: its trace_id is not the first of its dotted_order")
        parent = run.get("parent_run_id")
        if (parent or None) != (ids[-2] if len(ids) > 1 else None):
            tell(f"{name}: its parent is not the last but one of its dotted_order")
        before = self.runs.get(run["id"], {}).get("dotted_order")
        if before and before != order:
            tell(f"{name}: another dotted_order than before")
        if run.get("start_time"):
            start = _time(run["start_time"])
            if segments[-1][:22] != start.strftime("%Y%m%dT%H%M%S%fZ"):
                tell(f"{name}: start_time disagrees with dotted_order")
            if run.get("end_time") and _time(run["end_time"]) < start:
                tell(f"{name}: ends before it starts")
        if not (run.get("session_name") or run.get("session_id")):
            tell(f"{name}: no project")
        if len(name) > 128:
            tell(f"{name[:20]}…: name too long")
        if uuid.UUID(run["id"]).version != 7:
            tell(f"{name}: id is not of version 7")
        if not update:
            self._traces[ids[0]] += 1
            if self._traces[ids[0]] > _RUNS_PER_TRACE:
                tell(f"{name}: more than {_RUNS_PER_TRACE:,} runs in its trace")

    def _session(self, name, **given):
        with self._lock:
            for session in self.sessions.values():
                if session["name"] == name:
                    return session
            session = {
                "id": str(uuid.uuid4()),
                "name": name,
                "start_time": datetime.now(UTC).isoformat(),
                "tenant_id": "11111111-1111-4111-8111-111111111111",
                "reference_dataset_id": None,
                "extra": {},
                **{key: value for key, value in given.items() if value is not None},
            }
            self.sessions[session["id"]] = session
            return session

    def add_dataset(self, given):
        now = datetime.now(UTC).isoformat()
        dataset = {
            "id": str(uuid.uuid4()),
            "created_at": now,
            "modified_at": now,
            **{key: value for key, value in given.items() if value is not None},
        }
        self.datasets[dataset["id"]] = dataset
        return self.shown_dataset(dataset)

    def shown_dataset(self, dataset):
        count = sum(one["dataset_id"] == dataset["id"] for one in self.examples.values())
        return {**dataset, "example_count": count}

    def add_example(self, dataset_id, given):
        now = datetime.now(UTC).isoformat()
        example = {
            "id": given.get("id") or str(uuid.uuid4()),
            "dataset_id": dataset_id,
            "inputs": given.get("inputs") or {},
            "outputs": given.get("outputs"),
            "metadata": {"dataset_split": ["base"], **(given.get("metadata") or {})},
            "created_at": given.get("created_at") or now,
            "modified_at": now,
        }
        with self._lock:
            self.examples[example["id"]] = example
        return example

    # What is asked for.

    def find_runs(self, wanted):
        """One page, and the cursor of the next, by the fields of either API's query.

        The following pages are those of the moment when the first was asked for.
        """
        number, start = map(int, (wanted.get("cursor") or f"{len(self._found)}:0").split(":"))
        if start == 0:
            with self._lock:
                self._found[number] = self._all_found(wanted)
        found = self._found[number]
        end = start + min(int(wanted.get("limit") or wanted.get("page_size") or _PAGE), _PAGE)
        return found[start:end], f"{number}:{end}" if end < len(found) else None

    def _all_found(self, wanted):
        ids = wanted.get("id") or wanted.get("ids")
        runs = self.ordered() if ids is None else filter(None, map(self.runs.get, ids))
        given = [wanted.get(name) for name in ("filter", "trace_filter", "tree_filter")]
        of_run, of_root, of_any = (run_filter(text) if text else None for text in given)
        return [
            run
            for run in runs
            if _fits(run, wanted)
            and (of_run is None or of_run(run))
            and (of_root is None or of_root(self.runs.get(run["trace_id"], run)))
            and (of_any is None or any(map(of_any, self._trace_of(run))))
        ]

    def _trace_of(self, run):
        return (one for one in self.ordered() if one["trace_id"] == run["trace_id"])

    def shown_run(self, run):
        """A run as the older API shows it."""
        status = "error" if run.get("error") else "success"
        return {
            "inputs": {},
            "outputs": None,
            "app_path": "/",
            "status": status,
            "feedback_stats": self._feedback_stats(run),
            "thread_id": thread_of(run),
            **run,
        }

    def shown_run_v2(self, run):
        """A run as the newer API shows it."""
        shown = self.shown_run(run)
        order = run["dotted_order"].split(".")
        return {
            **shown,
            "run_type": run["run_type"].upper(),
            "status": shown["status"].upper(),
            "project_id": run.get("session_id"),
            "parent_run_ids": [_SEGMENT.fullmatch(one)[1] for one in order[:-1]],
        }

    def _feedback_stats(self, run):
        scores = defaultdict(list)
        for given in self._feedback_of.get(run["id"], ()):
            scores[given["key"]].append(given.get("score"))
        stats = {}
        for key, all_ in scores.items():
            known = [score for score in all_ if score is not None]
            stats[key] = {"n": len(all_), "avg": sum(known) / len(known) if known else None}
        return stats

    def find_feedback(self, wanted):
        """By lists of run, session, key and source."""
        with self._lock:
            found = self.feedback
            if runs := wanted.get("run"):
                found = [given for run in runs for given in self._feedback_of.get(run, ())]
            return [
                given
                for given in found
                if _among(given.get("session_id"), wanted.get("session"))
                and _among(given.get("key"), wanted.get("key"))
                and _among((given.get("feedback_source") or {}).get("type"), wanted.get("source"))
            ]

    def find_examples(self, wanted):
        """By lists of data set and id."""
        with self._lock:
            return [
                one
                for one in self.examples.values()
                if _among(one["dataset_id"], wanted.get("dataset"))
                and _among(one["id"], wanted.get("id"))
            ]

    def find_sessions(self, wanted):
        """By lists of name, id and data set."""
        with self._lock:
            return [
                one
                for one in self.sessions.values()
                if _among(one["name"], wanted.get("name"))
                and _among(one["id"], wanted.get("id"))
                and _among(one["reference_dataset_id"], wanted.get("reference_dataset"))
            ]


def page(found, query):
    """The part of a list that offset and limit ask for."""
    start = int(query.get("offset", 0))
    return found[start : start + int(query.get("limit", _PAGE))]


def _fits(run, wanted):
    error = wanted.get("error", wanted.get("has_error"))
    examples = wanted.get("reference_example") or wanted.get("reference_examples")
    kind = wanted.get("run_type")
    after, until = (wanted.get(f"{end}_start_time") for end in ("min", "max"))
    after = after or wanted.get("start_time")
    return (
        _among(run.get("session_id"), wanted.get("session") or wanted.get("project_ids"))
        and _among(run["id"], wanted.get("id") or wanted.get("ids"))
        and _among(run.get("trace_id"), wanted.get("trace") or wanted.get("trace_id"))
        and _among(run.get("parent_run_id"), wanted.get("parent_run"))
        and _among(run.get("reference_example_id"), examples)
        and (not wanted.get("is_root") or not run.get("parent_run_id"))
        and (kind is None or run.get("run_type") == kind.lower())
        and (error is None or bool(run.get("error")) == error)
        and (after is None or _time(run["start_time"]) >= _time(after))
        and (until is None or _time(run["start_time"]) <= _time(until))
    )


def _among(value, wanted):
    if not wanted:
        return True
    return value in (wanted if isinstance(wanted, list) else [wanted])


def _time(text):
    found = datetime.fromisoformat(text)
    return found if found.tzinfo else found.replace(tzinfo=UTC)
