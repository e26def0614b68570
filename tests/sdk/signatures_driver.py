"""Runs in an environment with sutro 0.1.67: prints the signature of each of its verbs as JSON."""

import inspect
import json
import sys

ANSWERS = sys.stdout
sys.stdout = sys.stderr

import sutro as so  # noqa: E402


def described(function):
    return [
        [name, parameter.kind.name, None if parameter.default is parameter.empty else True]
        + ([] if parameter.default is parameter.empty else [parameter.default])
        for name, parameter in inspect.signature(function).parameters.items()
    ]


verbs = {
    name: described(getattr(so, name))
    for name in so.__all__
    if inspect.isroutine(getattr(so, name))
}
json.dump(verbs, ANSWERS)
