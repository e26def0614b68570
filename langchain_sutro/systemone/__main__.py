"""`python -m langchain_sutro.systemone`: serves the decision models of a file."""

from __future__ import annotations

import argparse
import logging
import os
import socket
import sys
from typing import TYPE_CHECKING

import uvicorn

from langchain_sutro import systemone
from langchain_sutro._core.service import is_loopback
from langchain_sutro.decisions import load_decision_models, read_decision_config
from langchain_sutro.errors import SutroConfigurationError

if TYPE_CHECKING:
    from fastapi import FastAPI

_DESCRIPTION = """\
Serves the decision models of a file to clients of System One: POST /v1/systemone and
GET /v1/models. The Functions are called with the URL and key of the environment.
"""
_EPILOG = """\
examples:
  python -m langchain_sutro.systemone --config decisions.yaml
  python -m langchain_sutro.systemone --config decisions.yaml --port 8090 --key-env ENDPOINT_KEY
"""


def main(arguments: list[str] | None = None) -> int:
    """Serve until a signal says stop.

    Args:
        arguments: The command line; by default that of this process.

    Returns:
        The exit code: 0, or 1 with the reason on standard error.
    """
    options = _parser().parse_args(arguments)
    logging.basicConfig(
        level=logging.INFO if options.verbose else logging.WARNING,
        format="%(levelname)s %(name)s: %(message)s",
    )
    try:
        application = _application(options)
        listening = _listen(options.host, options.port)
    except (OSError, SutroConfigurationError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    with listening:
        host, port = listening.getsockname()[:2]
        shown = f"[{host}]" if ":" in host else host
        print(f"http://{shown}:{port}/v1/systemone", flush=True)
        config = uvicorn.Config(
            application,
            log_config=None,
            access_log=options.verbose,
            server_header=False,
            ws="none",
            timeout_graceful_shutdown=30,
        )
        uvicorn.Server(config).run(sockets=[listening])
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m langchain_sutro.systemone",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--config", required=True, metavar="FILE", help="the decision models: .yaml or .json"
    )
    parser.add_argument("--host", default="127.0.0.1", help="address (default: 127.0.0.1)")
    parser.add_argument("--port", type=_port, default=8090, help="TCP port (default: 8090)")
    parser.add_argument(
        "--key-env",
        metavar="NAME",
        help="the variable with the key that clients must send; required except on 127.0.0.1",
    )
    parser.add_argument(
        "--max-requests", type=int, default=64, help="requests that are answered at once"
    )
    parser.add_argument("--verbose", action="store_true", help="log each request")
    return parser


def _port(text: str) -> int:
    # A larger number would be taken as another port.
    if (port := int(text)) not in range(65536):
        raise argparse.ArgumentTypeError("a port is a number from 0 to 65535")
    return port


def _application(options: argparse.Namespace) -> FastAPI:
    key = None
    if options.key_env is not None:
        key = os.environ.get(options.key_env, "").strip()
        if not key:
            raise SutroConfigurationError(f"The variable {options.key_env} is not set.")
    elif not is_loopback(options.host):
        raise SutroConfigurationError(
            f"{options.host} can be reached from other machines: --key-env must name the variable "
            "with the key that clients send."
        )
    config = read_decision_config(options.config)
    return systemone.app(
        load_decision_models(config),
        key=key,
        descriptions={
            name: {"description": one.description, "release_date": one.release_date or ""}
            for name, one in config.models.items()
        },
        max_requests=options.max_requests,
    )


def _listen(host: str, port: int) -> socket.socket:
    """A socket on the first address of a host.

    Raises:
        OSError: The address is taken, or not one of this machine.
    """
    family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    listening = socket.socket(family, kind, protocol)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
    except OSError:
        listening.close()
        raise
    return listening


if __name__ == "__main__":
    sys.exit(main())
