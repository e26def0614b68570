"""Under which names the fields of a pydantic model come in."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, NamedTuple

from pydantic import AliasChoices, AliasPath, BaseModel, ConfigDict, TypeAdapter

from langchain_sutro.errors import SutroConfigurationError

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo

__all__ = ["ModelNames", "incoming_names"]

_CAN_READ_NAMES = "by_name" in inspect.signature(TypeAdapter.validate_python).parameters


class ModelNames(NamedTuple):
    """The names that a row for a model may have.

    Attributes:
        accepted: All names under which some field comes in.
        optional: Those of fields with a default.
        by_name: Whether pydantic has to be asked to read fields under their own names. The JSON
            schema has the own name of a field whose alias is a path, so a row may have it too.
    """

    accepted: frozenset[str]
    optional: frozenset[str]
    by_name: bool

    @classmethod
    def of(cls, model: type[BaseModel]) -> ModelNames:
        """The names of a model's fields.

        Raises:
            SutroConfigurationError: An alias is a path, which this version of pydantic cannot read
                by name.
        """
        accepted: set[str] = set()
        optional: set[str] = set()
        ask = False
        for name, field in model.model_fields.items():
            heads, by_path = _heads(field, model.model_config)
            names = {name, *heads} if by_path else heads or {name}
            if _reads_names(model.model_config):
                names, by_path = {name, *heads}, False
            if by_path and not _CAN_READ_NAMES:
                raise SutroConfigurationError(
                    f"The alias of {name!r} in {model.__name__} is a path, which needs pydantic "
                    "2.11 here: give the field a name as its alias too, with AliasChoices."
                )
            ask = ask or by_path
            accepted |= names
            optional |= set() if field.is_required() else names
        return cls(frozenset(accepted), frozenset(optional), ask)


def incoming_names(model: type[BaseModel]) -> dict[str, str]:
    """For each field of a model one name under which it comes in: its first alias, or its own.

    Args:
        model: The model.
    """
    config = model.model_config
    heads = {name: _plain_heads(field, config) for name, field in model.model_fields.items()}
    return {name: found[0] if found else name for name, found in heads.items()}


def _plain_heads(field: FieldInfo, config: ConfigDict) -> list[str]:
    return [str(path[0]) for path in _paths(field, config) if len(path) == 1]


def _reads_names(config: ConfigDict) -> bool:
    return bool(config.get("populate_by_name") or config.get("validate_by_name"))


def _heads(field: FieldInfo, config: ConfigDict) -> tuple[set[str], bool]:
    """The first names of a field's aliases, and whether it has aliases and all are paths."""
    paths = _paths(field, config)
    return {str(path[0]) for path in paths}, bool(paths) and all(len(path) > 1 for path in paths)


def _paths(field: FieldInfo, config: ConfigDict) -> list[list[str | int]]:
    """The aliases by which a field comes in, each as a path."""
    alias = field.validation_alias
    if alias is None or not config.get("validate_by_alias", True):
        return []
    choices = alias.choices if isinstance(alias, AliasChoices) else [alias]
    return [one.path if isinstance(one, AliasPath) else [one] for one in choices]
