"""The documentation; `python -m docs.reference` builds it."""
