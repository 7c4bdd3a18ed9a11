"""Networks by name. A model is a function decorated with `register`; its name is the function's.

    @register
    def lenet(num_classes: int = 10) -> Module: ...

Every network made so, by name or by a direct call, remembers how: `net.config` holds the name and all arguments, and
`create(**net.config)` builds the same architecture again. This is what a model file stores.
"""

from __future__ import annotations

import difflib
import functools
import inspect
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

from striate.errors import ArgumentError
from striate.nn.module import Module

P = ParamSpec("P")
M = TypeVar("M", bound=Module)
MODELS: dict[str, Callable[..., Module]] = {}


def register(build: Callable[P, M]) -> Callable[P, M]:
    """Make a function that builds a network known by its name; what it builds gets a `config`."""
    name, signature = build.__name__, inspect.signature(build)

    @functools.wraps(build)
    def recorded(*args: P.args, **kwargs: P.kwargs) -> M:
        try:
            given = signature.bind(*args, **kwargs)
        except TypeError as error:
            takes = ", ".join(str(p.replace(annotation=p.empty)) for p in signature.parameters.values()) or "no arguments"
            raise ArgumentError(f"model '{name}' {error}; it takes {takes}") from None
        given.apply_defaults()
        net = build(*given.args, **given.kwargs)
        net.config = {"name": name, **given.arguments}
        return net

    MODELS[name] = recorded
    return recorded


def create(name: str, **arguments: Any) -> Module:
    """A new network by name, with the model's own arguments. Raises ArgumentError that lists close names.

    >>> from striate import models
    >>> models.create("lenet", num_classes=5).config
    {'name': 'lenet', 'num_classes': 5}
    """
    if name not in MODELS:
        close = difflib.get_close_matches(name, MODELS, n=3, cutoff=0.5)
        hint = "did you mean " + " or ".join(f"'{c}'" for c in close) + "?" if close else f"there are {', '.join(names())}"
        raise ArgumentError(f"there is no model '{name}'; {hint}")
    return MODELS[name](**arguments)


def names() -> list[str]:
    """The names of all models, sorted; public as `models.list()`."""
    return sorted(MODELS)
