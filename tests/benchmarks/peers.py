"""Environments of their own for what is measured beside the package, built once and kept."""

import subprocess
from pathlib import Path

from tests.support.environments import ROOT, environment
from tests.support.official_sdk import sdk

SDK = "0.1.67"


def official_sdk():
    """Python of an environment with the official SDK."""
    return sdk(SDK)


def rivals():
    """Python of an environment with aiohttp, and trustme for certificates."""
    return environment("rivals", ["aiohttp>=3.11", "trustme>=1.2"])


def with_aiohttp():
    """Python of an environment with the package and its optional aiohttp transport."""
    return environment("with-aiohttp", ["-e", f"{ROOT}[aiohttp]"])


def package():
    """Python of an environment with the package and what it requires, as a user has it.

    In that of its developers httpx loads rich, and tenacity tornado, because they are there.
    """
    return environment("package", ["-e", str(ROOT)], locked=ROOT / "requirements.lock")


def certificate(folder):
    """A certificate for this machine, and a bundle of the usual authorities with its own.

    Returns:
        Paths of the certificate, its key and the bundle.
    """
    import certifi

    paths = [folder / name for name in ("server.pem", "server.key", "authorities.pem")]
    subprocess.run([rivals(), "-c", _TRUSTME, *paths], check=True)
    # As many authorities as everywhere, or reading them would cost less than it does.
    with paths[2].open("ab") as file:
        file.write(Path(certifi.where()).read_bytes())
    return paths


_TRUSTME = """
import sys, trustme
authority = trustme.CA()
server = authority.issue_cert("127.0.0.1", "localhost")
server.cert_chain_pems[0].write_to_path(sys.argv[1])
server.private_key_pem.write_to_path(sys.argv[2])
authority.cert_pem.write_to_path(sys.argv[3])
"""
