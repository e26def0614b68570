"""Public names: loaded at first use, and known by the module that users import them from."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["exported_from", "lazy_exports"]

_T = TypeVar("_T")


def lazy_exports(
    package: str, homes: Mapping[str, str]
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """Make the `__getattr__` and `__dir__` of a package whose names are loaded at first use.

    Args:
        package: Its `__name__`.
        homes: The submodule that defines each name, relative to the package.
    """

    def load(name: str) -> Any:
        home = homes.get(name)
        if home is None:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        module = import_module(f"{package}.{home}")
        value = getattr(module, name)
        setattr(import_module(package), name, value)
        return value

    def names() -> list[str]:
        return sorted(homes)

    return load, names


def exported_from(module: str) -> Callable[[_T], _T]:
    """Name the public module of a class or function in tracebacks, pickles and serialised ids.

    Args:
        module: What users import it from, wherever it is defined.
    """

    def name(value: _T) -> _T:
        value.__module__ = module
        return value

    return name
