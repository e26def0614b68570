"""The file that lists Functions for a toolkit: read it, check it, write a first one."""

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
