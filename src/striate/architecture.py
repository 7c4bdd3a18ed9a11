"""A network's architecture as plain data, and back: what a model file holds besides the weights.

    {"model": "resnet18", "config": {...}}                                     made by models.create
    {"layer": "Conv2d", "arguments": {"in_channels": 1, ...}}                  a layer of striate.nn
    {"layer": "Sequential", "children": [["0", {...}], ["1", {...}]]}
    {"class": "mypackage.nets:Net"}                                            a class of the user's: its name alone

A description is checked before it is trusted: what it rebuilds must have the same layers, names and shapes. No code is
imported or run by name, so a file of unknown origin can be opened safely.
"""

from __future__ import annotations

import inspect
from typing import Any

from striate.errors import ModelFileError, StriateError
from striate.nn.init import skipped
from striate.nn.module import Module, Variable

Description = dict[str, Any]


def describe(net: Module) -> Description:
    """The architecture of a network; {"class": ...} where only the user's own code can build it.

    >>> from striate import nn
    >>> describe(nn.Sequential(nn.Flatten()))
    {'layer': 'Sequential', 'children': [['0', {'layer': 'Flatten', 'arguments': {'start_dim': 1, 'end_dim': -1}}]]}
    """
    found = _describe(net)
    if found is not None and _rebuilds(found, net):
        return found
    return {"class": f"{type(net).__module__}:{type(net).__qualname__}"}


def rebuild(description: Description) -> Module:
    """A network of this architecture, with any weights. Raises ModelFileError where striate cannot build it.

    No initial values are drawn: what the weights hold is undefined until others are loaded.
    """
    with skipped():
        return _rebuild(description)


def _rebuild(description: Description) -> Module:
    if "model" in description:
        from striate import models

        return models.create(description["model"], **_tuples(description["config"]))
    from striate import nn

    kind = getattr(nn, description.get("layer", ""), None)
    if not (isinstance(kind, type) and issubclass(kind, Module)):
        raise ModelFileError(f"this version of striate cannot build {description}; install a newer one, "
                             "or give the network: st.load(path, net=net)")
    if "children" not in description:
        return kind(**_tuples(description["arguments"]))
    net = kind()
    for name, child in description["children"]:
        net.add_module(name, _rebuild(child))
    return net


def _describe(net: Module) -> Description | None:
    from striate import nn

    config = getattr(net, "config", None)
    if isinstance(config, dict) and "name" in config:
        return {"model": config["name"], "config": {k: v for k, v in config.items() if k != "name"}}
    kind = type(net)
    if getattr(nn, kind.__name__, None) is not kind:
        return None
    if kind is nn.Sequential:
        children = [[name, _describe(child)] for name, child in net.named_children()]
        return None if any(child is None for _, child in children) else {"layer": kind.__name__, "children": children}
    return {"layer": kind.__name__, "arguments": _arguments(net)}  # `_rebuilds` refuses what arguments do not tell


def _arguments(layer: Module) -> dict[str, Any]:
    """The constructor's arguments, read from the attributes of the same names; a parameter stands for its presence."""
    found = {}
    for name in inspect.signature(type(layer)).parameters:
        value = getattr(layer, name, inspect.Parameter.empty)
        if value is not inspect.Parameter.empty:
            present = isinstance(value, Variable) or (value is None and name in layer._parameters)
            found[name] = value is not None if present else value
    return found


def _rebuilds(description: Description, net: Module) -> bool:
    """Whether a description gives the same layers, names and shapes again."""
    try:
        other = rebuild(description)
    except (StriateError, TypeError):
        return False
    return _layers(other) == _layers(net) and _shapes(other) == _shapes(net)


def _layers(net: Module) -> list[tuple[str, str, str]]:
    """Path, class and, of striate's own layers, arguments of every module."""
    from striate import nn

    own = {kind for name in nn.__all__ if isinstance(kind := getattr(nn, name), type)}
    return [(path, type(m).__qualname__, str(_arguments(m)) if type(m) in own else "") for path, m in net.named_modules()]


def _shapes(net: Module) -> dict[str, tuple[int, ...]]:
    return {name: variable.shape for name, variable in net._state().items()}


def _tuples(value: Any) -> Any:
    """Lists as tuples, all the way down: JSON has only lists."""
    if isinstance(value, dict):
        return {k: _tuples(v) for k, v in value.items()}
    return tuple(map(_tuples, value)) if isinstance(value, (list, tuple)) else value
