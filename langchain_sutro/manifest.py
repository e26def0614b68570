"""Manifests, the files that list Functions for a toolkit: read, check and create them."""

from langchain_sutro.agents import (
    Manifest,
    ManifestFunction,
    ManifestSettings,
    dump_manifest,
    load_manifest,
    manifest_schema,
    manifest_skeleton,
)

__all__ = [
    "Manifest",
    "ManifestFunction",
    "ManifestSettings",
    "dump_manifest",
    "load_manifest",
    "manifest_schema",
    "manifest_skeleton",
]
