"""A LangSmith that only counts, in a process of its own; that its rules are kept is for the tests.

A line on standard input asks how many runs have come since the last.
"""

import json
import re
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import zstandard

# A run's own part; those of its inputs and outputs have longer names.
RUN = re.compile(rb'name="post\.[0-9a-f-]{36}"')
INFO = {
    "version": "0.13.0",
    "batch_ingest_config": {
        "use_multipart_endpoint": True,
        "scale_up_qsize_trigger": 1000,
        "scale_up_nthreads_limit": 16,
        "scale_down_nempty_trigger": 4,
        "size_limit": 100,
        "size_limit_bytes": 20_971_520,
    },
    "instance_flags": {"zstd_compression_enabled": True},
}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    runs = 0
    counting = threading.Lock()

    def log_message(self, *_):
        pass

    def do_GET(self):
        self._answer(INFO)

    def do_POST(self):
        found = len(RUN.findall(self._body()))
        with self.counting:
            Handler.runs += found
        self._answer({})

    def _body(self):
        if self.headers.get("transfer-encoding") == "chunked":
            pieces = []
            while size := int(self.rfile.readline().split(b";")[0], 16):
                pieces.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            raw = b"".join(pieces)
        else:
            raw = self.rfile.read(int(self.headers.get("content-length") or 0))
        if self.headers.get("content-encoding") == "zstd":
            raw = zstandard.ZstdDecompressor().decompressobj().decompress(raw)
        return raw

    def _answer(self, content):
        data = json.dumps(content).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


def main():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(f"http://127.0.0.1:{server.server_port}", flush=True)
    for _ in sys.stdin:
        print(json.dumps({"runs": Handler.runs}), flush=True)
        Handler.runs = 0


if __name__ == "__main__":
    main()
