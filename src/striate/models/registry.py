"""Networks by name. A model is a function decorated with `register`; its name is the function's.

    @register(input_shape=(1, 28, 28))
    def lenet(num_classes: int = 10) -> Module: ...

Every network made so, by name or by a direct call, remembers how: `net.config` holds the name and all arguments, and
`create(**net.config)` builds the same architecture again. This is what a model file stores.

Every model also takes `weights`: a file or the name of published weights; see `striate.models.published`.
"""

from __future__ import annotations

import difflib
import functools
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

from striate.errors import ArgumentError
from striate.graph import Spec
from striate.nn.module import Module

Item = tuple[int, ...] | Spec
"""The shape of one item without the batch axis; a Spec where it holds whole numbers, such as tokens."""
Builder = Callable[..., Module]
MODELS: dict[str, Builder] = {}
SHAPES: dict[str, Item] = {}
"""The input that each model was made for, (C, H, W) for images."""
IMAGENET = (3, 224, 224)


def register(build: Any = None, *, input_shape: Item = IMAGENET) -> Any:
    """Make a function that builds a network known by its name; what it builds gets a `config`.

    `input_shape` is that of one item that the model was made for.
    """
    if build is None:
        return functools.partial(register, input_shape=input_shape)
    name, signature = build.__name__, inspect.signature(build)

    @functools.wraps(build)
    def recorded(*args: Any, weights: str | Path | None = None, strict: bool = True, **kwargs: Any) -> Module:
        make = functools.partial(_built, build, signature)
        if weights is None:
            return make(args, kwargs)
        from striate.models.published import load_into

        return load_into(name, make, signature, args, kwargs, weights, strict)

    MODELS[name], SHAPES[name] = recorded, input_shape
    return recorded


def _built(build: Builder, signature: inspect.Signature, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Module:
    """A new network that remembers its arguments."""
    try:
        given = signature.bind(*args, **kwargs)
    except TypeError as error:
        takes = ", ".join(str(p.replace(annotation=p.empty)) for p in signature.parameters.values()) or "no arguments"
        raise ArgumentError(f"model '{build.__name__}' {error}; it takes {takes}") from None
    given.apply_defaults()
    net = build(*given.args, **given.kwargs)
    net.config = {"name": build.__name__, **given.arguments}
    return net


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


def input_shape(net: Module) -> Item:
    """The shape of one item that a network was made for: its own arguments say it, or its model; (3, 224, 224) elsewhere.

    >>> from striate import models
    >>> input_shape(models.create("captcha", width=100))
    (1, 30, 100)
    """
    config = getattr(net, "config", {})
    usual = SHAPES.get(config.get("name", ""), IMAGENET)
    if isinstance(usual, Spec):
        return usual
    pixels = (config["height"], config["width"]) if "height" in config else usual[1:]  # a width alone counts channels
    return (config.get("in_channels", usual[0]), *pixels)
