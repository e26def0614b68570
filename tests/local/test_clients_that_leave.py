"""A client that goes away in the middle is nothing to write a traceback about."""

import logging
import socket
import time

import pytest

BEGUN = {
    "a submission": ("POST /v1/batch-inference", "content-length: 100000", '{"inputs":'),
    "a run": ("POST /v1/functions/echo/run", "content-length: 100000", '{"input":'),
    "a run of the hosted API": ("POST /functions/run", "content-length: 100000", "{"),
    "results": ("POST /v1/job-results", "content-length: 100000", "{"),
    "chunks": ("POST /v1/functions/echo/run", "transfer-encoding: chunked", "9\r\n{"),
    "a head": ("POST /v1/functions/echo/run", "content-length: 9", ""),
}


@pytest.mark.parametrize("reset", [True, False])
@pytest.mark.parametrize("what", BEGUN)
def test_a_client_that_leaves_is_not_logged_as_an_error(deployment, api, caplog, what, reset):
    caplog.set_level(logging.INFO)
    line, header, body = BEGUN[what]
    host, port = deployment.url.removeprefix("http://").split(":")
    key = f"authorization: Key {deployment.api_key}"
    head = "\r\n".join([f"{line} HTTP/1.1", f"host: {host}", key, header, "", body])
    with socket.create_connection((host, int(port))) as connection:
        connection.sendall(head.encode())
        time.sleep(0.05)
        if reset:
            linger = b"\1\0\0\0\0\0\0\0"
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    for _ in range(3):
        assert api.get("/get-quotas").status_code == 200
    errors = [each for each in caplog.records if each.levelno >= logging.WARNING or each.exc_info]
    assert errors == []
