"""Some hundred ways to answer wrongly: on the wire, in the status, in the body, in each field."""

import gzip
import zlib

import orjson

from tests.support.raw_server import http

__all__ = ["ERRORS", "GOOD", "WIRE", "mutants"]

OK = b"HTTP/1.1 200 OK\r\nconnection: close\r\n"
JOB = {
    "job_id": "job-1",
    "status": "SUCCEEDED",
    "num_rows": 2,
    "input_tokens": 5,
    "output_tokens": 5,
    "job_cost": 0.1,
    "cost_estimate": 0.2,
    "failure_reason": {"message": "no"},
    "datetime_created": "2026-11-26T00:00:00Z",
    "description": "d",
    "model": "f",
}
# What each endpoint answers when all is well, by a part of its path.
GOOD = {
    "functions/f/run": {
        "request_id": "rt_1",
        "function": {"name": "f"},
        "output": {"label": "yes"},
        "confidence": 0.9,
        "usage": {"input_tokens": 1, "output_tokens": 2, "cost_usd": 0.1},
    },
    "batch-inference": {"results": "job-1", "metadata": {"job_id": "job-1"}},
    "job-status": {"job_status": {"job-1": "SUCCEEDED"}, "metadata": None},
    "jobs/job-1": {"job": JOB},
    "list-jobs": {"jobs": [JOB], "next_cursor": None},
    "job-cancel": {"cancelled": True, "message": "soon"},
    "job-results": {
        "results": {"outputs": ['{"label":"yes"}', None], "confidence_score": [0.9, None]}
    },
    "results-url": {
        "job_id": "job-1",
        "artifact": {"filename": "r.parquet", "size_bytes": 10},
        "urls": {"get": "http://127.0.0.1:9/file?sig=1", "head": "http://127.0.0.1:9/file?sig=1"},
    },
    "get-quotas": {"quotas": [{"priority": 0, "row_quota": 1, "token_quota": 1}]},
    "auth/check": {"authenticated": True},
    "stream-job-progress": {"update_type": "progress", "result": 1},
}
ODD = {
    "null": None,
    "true": True,
    "zero": 0,
    "negative": -1,
    "huge": 10**18,
    "fraction": 1.5,
    "not finite": 1e308,
    "empty text": "",
    "text": "\u202e\x00\n{}",
    "long text": "x" * 100_000,
    "list": [],
    "object": {},
    "lists": [[[[]]], None, {}],
    "objects": {"a": {"b": {"c": [1, {"d": None}]}}, "": 0},
}
_DEEP = b'{"a":' * 2000 + b"1" + b"}" * 2000


def _chunked(body):
    return OK + b"transfer-encoding: chunked\r\n\r\n" + body


def _status(line):
    return line + b"\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}"


WIRE = {
    "nothing": b"",
    "garbage": bytes(range(256)) * 20,
    "TLS": b"\x15\x03\x01\x00\x02\x02\x28",
    "another protocol": b"SSH-2.0-OpenSSH_9.0\r\n",
    "half a status": b"HTTP/1.1 2",
    "half the headers": OK + b"content-le",
    "no status": b"{}",
    "HTTP/0.9": b"<html></html>",
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "HTTP/9": _status(b"HTTP/9.9 200 OK"),
    "status in letters": _status(b"HTTP/1.1 20O OK"),
    "status of two digits": _status(b"HTTP/1.1 20 OK"),
    "status of five digits": _status(b"HTTP/1.1 20000 OK"),
    "status without a reason": _status(b"HTTP/1.1 200"),
    "only information": b"HTTP/1.1 100 Continue\r\n\r\n" * 3,
    "other protocol": b"HTTP/1.1 101 Switching\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n{}",
    "no length": OK + b"\r\n{}",
    "negative length": OK + b"content-length: -1\r\n\r\n{}",
    "length in letters": OK + b"content-length: two\r\n\r\n{}",
    "two lengths": OK + b"content-length: 2\r\ncontent-length: 3\r\n\r\n{}x",
    "length too long": OK + b"content-length: 200\r\n\r\n{}",
    "length too short": OK + b"content-length: 1\r\n\r\n{}",
    "huge length": OK + b"content-length: 99999999999999999999\r\n\r\n{}",
    "length and chunks": OK
    + b"content-length: 9\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
    "chunk of no size": _chunked(b"zz\r\n{}\r\n0\r\n\r\n"),
    "chunk of huge size": _chunked(b"ffffffffffffffff\r\n{}"),
    "chunk cut off": _chunked(b"9\r\n{}"),
    "no last chunk": _chunked(b"2\r\n{}\r\n"),
    "chunk with extensions": _chunked(b"2;x=" + b"y" * 5000 + b"\r\n{}\r\n0\r\n\r\n"),
    "other transfer encoding": OK + b"transfer-encoding: gzip\r\n\r\n{}",
    "header without a colon": OK + b"nonsense\r\n\r\n{}",
    "header with a null": OK + b"x: a\x00b\r\ncontent-length: 2\r\n\r\n{}",
    "header in no charset": OK + b"x: \xff\xfe\r\ncontent-length: 2\r\n\r\n{}",
    "folded header": OK + b"x: a\r\n b\r\ncontent-length: 2\r\n\r\n{}",
    "huge header": OK + b"x: " + b"y" * 300_000 + b"\r\n\r\n{}",
    "thousands of headers": OK + b"x: y\r\n" * 5000 + b"content-length: 2\r\n\r\n{}",
    "gzip of garbage": http(b"garbage", content_encoding="gzip"),
    "half a gzip": http(gzip.compress(b"{}" * 999)[:20], content_encoding="gzip"),
    "deflate of garbage": http(b"garbage", content_encoding="deflate"),
    "half a deflate": http(zlib.compress(b"{}" * 999)[:9], content_encoding="deflate"),
    "unknown encoding": http(b"{}", content_encoding="x-unknown"),
    "redirect to nowhere": http(b"", "302 Found"),
    "redirect to itself": http(b"", "307 Temporary", location="/"),
    "redirect to a file": http(b"", "301 Moved", location="file:///etc/passwd"),
    "empty": http(b""),
    "204": http(b"", "204 No Content"),
    "206": http(b"{}", "206 Partial", content_range="bytes 0-1/2"),
    "304": http(b"", "304 Not Modified"),
    "HTML": http(b"<!doctype html><h1>Hi</h1>", content_type="text/html"),
    "XML": http(b"<?xml version='1.0'?><Error><Code>x</Code></Error>"),
    "null": http(b"null"),
    "list": http(b"[]"),
    "text": http(b'"text"'),
    "number": http(b"1"),
    "object": http(b"{}"),
    "half an object": http(b'{"a":'),
    "two objects": http(b"{}{}"),
    "byte order mark": http(b"\xef\xbb\xbf{}"),
    "UTF-16": http('{"a":1}'.encode("utf-16")),
    "no UTF-8": http(b'{"a":"\xff\xfe"}'),
    "lone surrogate": http(b'{"output":"\\ud800","jobs":["\\ud800"]}'),
    "not a number": http(b'{"output":NaN,"job_status":NaN}'),
    "infinite": http(b'{"output":1e999}'),
    "deep": http(_DEEP),
    "deep lists": http(b"[" * 50_000),
    "deep output": http(b'{"output":' + b"[" * 900 + b"]" * 900 + b"}"),
    "same name twice": http(b'{"output":1,"output":2,"jobs":[],"jobs":0}'),
    "many names": http(orjson.dumps({str(n): n for n in range(20_000)})),
}  # fmt: skip

_BODIES = {
    "nothing": b"",
    "HTML": b"<html>",
    "null": b"null",
    "details": orjson.dumps({"error": ODD["objects"], "details": ODD["lists"]}),
    "fields": orjson.dumps({"detail": [{"loc": [[], {}], "msg": {}}, 7, None], "code": 1}),
    "deep": b'{"detail":' + _DEEP + b"}",
    "long": orjson.dumps(
        {"detail": "http://" * 20_000, "code": "c" * 9999, "request_id": "r" * 9999}
    ),
}
_STATUSES = (400, 401, 402, 403, 404, 405, 406, 409, 410, 413, 418, 422, 429, 451, 500, 501, 502,
             503, 504, 507, 511, 520, 524, 599, 600, 999)  # fmt: skip
_AFTER = (
    "",
    "nan",
    "inf",
    "-5",
    "1e400",
    "9" * 400,
    "Thu, 99 Foo",
    "Fri, 31 Dec 9999 23:59:59 GMT",
)

ERRORS = {
    **{
        f"{status}, {name}": http(body, f"{status} No")
        for number, status in enumerate(_STATUSES)
        for name, body in list(_BODIES.items())[number % 2 :: 2]
    },
    **{
        f"{status} after {after[:9]!r}": http(b"{}", f"{status} No", retry_after=after)
        for status in (429, 503)
        for after in _AFTER
    },
}


def mutants(value, path=""):
    """A good answer with one field after the other gone or replaced by something odd."""
    yield from ((f"{path or 'all'} is {name}", odd) for name, odd in ODD.items())
    if isinstance(value, dict):
        for name, item in value.items():
            yield f"no {path}.{name}", {key: one for key, one in value.items() if key != name}
            for what, mutant in mutants(item, f"{path}.{name}"):
                yield what, {**value, name: mutant}
    if isinstance(value, list) and value:
        for what, mutant in mutants(value[0], f"{path}[0]"):
            yield what, [mutant, *value[1:]]
