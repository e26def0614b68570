"""The version, as a literal: reading package metadata at call time would block an event loop."""

__version__ = "0.2.0"
