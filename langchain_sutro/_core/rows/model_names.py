"""Under which names the fields of a pydantic model come in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from pydantic import AliasChoices, AliasPath, BaseModel, ConfigDict

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo

__all__ = ["ModelNames", "incoming_names"]


class ModelNames(NamedTuple):
    """The names that a row for a model may have.

    Attributes:
        accepted: All names under which some field comes in.
        optional: Those of fields with a default.
        paths: The path of each field whose only alias is one, by the field's own name. The JSON
            schema has that name, so a row may have it too.
    """

    accepted: frozenset[str]
    optional: frozenset[str]
    paths: dict[str, list[str | int]]

    @classmethod
    def of(cls, model: type[BaseModel]) -> ModelNames:
        """The names of a model's fields."""
        accepted: set[str] = set()
        optional: set[str] = set()
        paths: dict[str, list[str | int]] = {}
        for name, field in model.model_fields.items():
            aliases = _paths(field, model.model_config)
            heads = {str(path[0]) for path in aliases}
            only_paths = bool(aliases) and all(len(path) > 1 for path in aliases)
            by_name = only_paths or not aliases or _reads_names(model.model_config)
            names = {name, *heads} if by_name else heads
            if only_paths and not _reads_names(model.model_config):
                paths[name] = aliases[0]
            accepted |= names
            optional |= set() if field.is_required() else names
        return cls(frozenset(accepted), frozenset(optional), paths)

    def placed(self, row: dict[Any, Any]) -> dict[Any, Any]:
        """The row with values where pydantic looks for them.

        Args:
            row: It may have the own names of fields whose aliases are paths.
        """
        named = [name for name in self.paths if name in row]
        found = {name: part for name, part in row.items() if name not in named}
        for name in named:
            head, *steps = self.paths[name]
            value = row[name]
            for step in reversed(steps):
                value = {step: value} if isinstance(step, str) else [None] * step + [value]
            found[head] = _merged(found.get(head), value)
        return found


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


def _merged(first: Any, second: Any) -> Any:
    """The second value, with what the first has besides."""
    if not isinstance(first, dict) or not isinstance(second, dict):
        return second
    return {**first, **{key: _merged(first.get(key), part) for key, part in second.items()}}


def _paths(field: FieldInfo, config: ConfigDict) -> list[list[str | int]]:
    """The aliases by which a field comes in, each as a path."""
    alias = field.validation_alias
    if alias is None or not config.get("validate_by_alias", True):
        return []
    choices = alias.choices if isinstance(alias, AliasChoices) else [alias]
    return [one.path if isinstance(one, AliasPath) else [one] for one in choices]
