"""YAML without the surprises of YAML 1.1, in which `NO` is false, `12:30` is 750 and `007` is 7."""

from __future__ import annotations

import re
from typing import Any

import yaml

__all__ = ["compose_yaml", "load_yaml"]

# What YAML 1.1 and 1.2 and JSON all read as the same value, and the characters it can begin with.
# Everything else without quotes is text.
_VALUES = (
    ("tag:yaml.org,2002:bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("tag:yaml.org,2002:int", r"-?(?:0|[1-9][0-9]*)", "-0123456789"),
    ("tag:yaml.org,2002:float", r"-?(?:0|[1-9][0-9]*)\.[0-9]+(?:[eE][-+][0-9]+)?", "-0123456789"),
    ("tag:yaml.org,2002:null", r"null|Null|NULL|~|", ("n", "N", "~", "")),
    ("tag:yaml.org,2002:merge", r"<<", "<"),
)


class _Loader(yaml.SafeLoader):
    yaml_implicit_resolvers: dict[Any, Any] = {}  # noqa: RUF012 - as PyYAML has it


for _tag, _pattern, _first in _VALUES:
    _Loader.add_implicit_resolver(_tag, re.compile(rf"^(?:{_pattern})$"), list(_first))


def load_yaml(text: str) -> Any:
    """The content of a YAML file: text stays text.

    Raises:
        yaml.YAMLError: It is not YAML.
    """
    return yaml.load(text, Loader=_Loader)  # noqa: S506 - a SafeLoader


def compose_yaml(text: str) -> Any:
    """Its nodes, which know their lines.

    Raises:
        yaml.YAMLError: It is not YAML.
    """
    return yaml.compose(text, Loader=_Loader)
