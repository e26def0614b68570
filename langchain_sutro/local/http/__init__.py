"""The HTTP API: its routes, the bodies of requests and answers, and the server below them."""

from __future__ import annotations

from langchain_sutro.local.http.app import create_app
from langchain_sutro.local.http.keys import Keys
from langchain_sutro.local.http.server import ServerThread
from langchain_sutro.local.http.service import Service
from langchain_sutro.local.http.wire import Received, Wire

__all__ = [
    "Keys",
    "Received",
    "ServerThread",
    "Service",
    "Wire",
    "create_app",
]
