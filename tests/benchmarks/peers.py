"""Environments of their own for what is measured beside the package, built once and kept."""

import os
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

from tests.sdk.conftest import PEERS, ROOT, build, interpreter

SDK = "0.1.67"


def official_sdk():
    """Python of an environment with the official SDK."""
    return _environment(f"sutro-{SDK}", lambda folder: build(folder, SDK))


def rivals():
    """Python of an environment with aiohttp, and trustme for certificates."""
    return _environment("rivals", lambda folder: _build(folder, "aiohttp>=3.11", "trustme>=1.2"))


def with_aiohttp():
    """Python of an environment with the package and its optional aiohttp transport."""
    return _environment("with-aiohttp", lambda folder: _build(folder, "-e", f"{ROOT}[aiohttp]"))


def package():
    """Python of an environment with the package and what it requires, as a user has it.

    In that of its developers httpx loads rich, and tenacity tornado, because they are there.
    """
    locked = ("-c", ROOT / "requirements.lock", "-e", ROOT)
    return _environment("package", lambda folder: _build(folder, *locked))


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


def _environment(name, make):
    PEERS.mkdir(exist_ok=True)
    folder = PEERS / name
    lock = sqlite3.connect(PEERS / "lock.sqlite", timeout=900, isolation_level=None)
    with closing(lock):
        lock.execute("BEGIN EXCLUSIVE")
        if not (folder / "complete").exists():
            print(f"Making {folder.relative_to(ROOT)} …", file=sys.stderr)
            shutil.rmtree(folder, ignore_errors=True)
            make(folder)
            (folder / "complete").touch()
    return interpreter(folder)


def _build(folder, *packages):
    uv = shutil.which("uv")
    if uv is not None:
        _run(uv, "venv", "--quiet", "--python", sys.executable, folder)
        _run(uv, "pip", "install", "--quiet", "--python", interpreter(folder), *packages)
    else:
        _run(sys.executable, "-m", "venv", folder)
        _run(interpreter(folder), "-m", "pip", "install", "--quiet", *packages)


def _run(*command):
    subprocess.run([os.fspath(part) for part in command], check=True, timeout=800)
