"""Object storage on loopback: moto's S3 as a server that also refuses expired signatures."""

import threading
import time
from contextlib import contextmanager
from urllib.parse import parse_qs

import pytest
from moto.core import DEFAULT_ACCOUNT_ID
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from moto.s3.models import s3_backends
from s3fs import S3FileSystem
from werkzeug.serving import WSGIRequestHandler, make_server

SECRET = "very-secret-key"
BUCKET = "tables"


class ObjectStorage:
    """A running store with one bucket.

    Attributes:
        files: It, as fsspec reaches it.
        asked: Method, path, and whether the query was signed, of each request.
        signatures: Those of signed queries.
        clock: What the store takes for the time.
    """

    def __init__(self):
        self.asked = []
        self.signatures = set()
        self.clock = time.time
        self.files = None
        self._app = DomainDispatcherApplication(create_backend_app)

    def clear(self):
        """Begin anew, with an empty bucket."""
        s3_backends[DEFAULT_ACCOUNT_ID]["aws"].reset()
        self.clock = time.time
        self.files.invalidate_cache()
        self.files.mkdir(BUCKET)
        self.asked.clear()

    def __call__(self, environ, start_response):
        query = parse_qs(environ["QUERY_STRING"])
        signatures = [*query.get("Signature", ()), *query.get("X-Amz-Signature", ())]
        self.signatures.update(signatures)
        signed = bool(signatures)
        self.asked.append((environ["REQUEST_METHOD"], environ["PATH_INFO"], signed))
        if "Expires" in query and float(query["Expires"][0]) < self.clock():
            start_response("403 Forbidden", [("content-length", "0")])
            return [b""]
        return self._app(environ, start_response)

    def fetched(self):
        """The paths that were fetched with a signed URL."""
        return [path for method, path, signed in self.asked if method == "GET" and signed]

    def read(self):
        """The paths that were read with credentials."""
        return [path for method, path, signed in self.asked if method == "GET" and not signed]


class _Quiet(WSGIRequestHandler):
    protocol_version = "HTTP/1.1"

    def log(self, *_):
        pass


@contextmanager
def object_storage():
    """Run a store, and let fsspec reach it."""
    store = ObjectStorage()
    server = make_server("127.0.0.1", 0, store, threaded=True, request_handler=_Quiet)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.server_port}")
        environment.setenv("AWS_ACCESS_KEY_ID", "AKIATESTTESTTEST")
        environment.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
        environment.setenv("AWS_DEFAULT_REGION", "us-east-1")
        environment.setenv("AWS_EC2_METADATA_DISABLED", "true")
        # fsspec keeps what it connected to before.
        S3FileSystem.clear_instance_cache()
        store.files = S3FileSystem()
        store.clear()
        try:
            yield store
        finally:
            s3_backends[DEFAULT_ACCOUNT_ID]["aws"].reset()
            S3FileSystem.clear_instance_cache()
            server.shutdown()
            server.server_close()
            thread.join()
