"""Shows the verbs in the API reference as they are called, not as the steps they are written as.

Each verb is one function of steps; its asynchronous form and the module's function are made from
it, and have its parameters. The reference is made from the source without running it.
"""

from __future__ import annotations

from copy import copy
from typing import TYPE_CHECKING, Any

import griffe

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Verbs"]


class Verbs(griffe.Extension):
    """Replaces the objects that `synchronous`, `asynchronous` and `_verb` make."""

    def on_package(self, *, pkg: griffe.Module, **_: Any) -> None:
        """Change the objects of a package that was read."""
        owners = list(_owners(pkg))
        for owner in owners:
            for member in list(owner.members.values()):
                if isinstance(member, griffe.Function) and _is_of_steps(member):
                    member.returns = member.returns.slice
        for owner in owners:
            for member in list(owner.members.values()):
                called, source = _made_from(member)
                if called == "asynchronous":
                    verb = _copy(owner.members[source], member.name, owner)
                    verb.labels.add("async")
                    _, _, rest = verb.docstring.value.partition("\n")
                    first = f"Asynchronous form of `{source}`.\n"
                    verb.docstring = griffe.Docstring(first + rest, parent=verb)
                elif called == "_verb":
                    method = pkg["_core.jobs.client.SutroClient"].members[source.rpartition(".")[2]]
                    verb = _copy(method, member.name, owner)
                    verb.parameters = griffe.Parameters(*list(verb.parameters)[1:])


def _owners(of: Any) -> Iterator[Any]:
    yield of
    for member in of.members.values():
        if isinstance(member, griffe.Module | griffe.Class):
            yield from _owners(member)


def _is_of_steps(function: griffe.Function) -> bool:
    return any(str(one.value) == "synchronous" for one in function.decorators)


def _made_from(member: Any) -> tuple[str, str]:
    """The function that an attribute is the result of, and the name that it was given."""
    value = member.value if isinstance(member, griffe.Attribute) else None
    if isinstance(value, griffe.ExprCall) and len(value.arguments) == 1:
        return str(value.function), str(value.arguments[0])
    return "", ""


def _copy(verb: griffe.Function, name: str, owner: Any) -> griffe.Function:
    twin = copy(verb)
    twin.name, twin.labels, twin.decorators = name, set(verb.labels), []
    twin.docstring = griffe.Docstring(verb.docstring.value, parent=twin)
    owner.set_member(name, twin)
    return twin
