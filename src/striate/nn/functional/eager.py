"""Functions called with arrays, outside of any forward: compiled and run at once.

    F.relu(np.array([-1.0, 2.0]))        F.cat([a, b], dim=1)

A call is a module of one function. What is an array in it is an input, everything else is part of the trace; such modules are
kept, so that calls that differ in their numbers alone run what was compiled before.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache, lru_cache, wraps
from typing import Any

import numpy as np

from striate.graph import Value
from striate.nn.module import TRACED, Module, Variable

KEPT = 256
"""Calls whose programs are kept."""


class Place:
    """Where the next array goes."""


PLACE = Place()


class Call(Module):
    """A function with its settings; the arrays among its arguments are the inputs."""

    def __init__(self, function: Callable[..., Any], settings: tuple[Any, ...]):
        super().__init__()
        self.function, self.settings = function, settings

    def forward(self, *values: Value) -> Any:
        left = iter(values)
        given, named = self.settings
        return self.function(*(_filled(item, left) for item in given), **{key: _filled(item, left) for key, item in named})


known = lru_cache(KEPT)(Call)


@cache
def eager(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function, which also takes arrays where no network is traced, and then gives arrays back."""

    @wraps(function)
    def call(*args: Any, **named: Any) -> Any:
        if TRACED.get() is not None:
            return function(*args, **named)
        leaves = list(_leaves([*args, *named.values()]))
        if any(isinstance(leaf, (Value, Variable)) for leaf in leaves) or not any(map(_is_array, leaves)):
            return function(*args, **named)
        settings = tuple(map(_emptied, args)), tuple((key, _emptied(item)) for key, item in named.items())
        try:
            module = known(function, settings)
        except TypeError:  # a setting that is no key
            module = Call(function, settings)
        return module(*(np.asarray(leaf.detach()) if hasattr(leaf, "detach") else leaf for leaf in leaves if _is_array(leaf)))

    call.__module__ = "striate.nn.functional"  # where pickle finds it
    return call


def _is_array(item: Any) -> bool:
    return isinstance(item, np.ndarray) or (hasattr(item, "detach") and hasattr(item, "numpy"))


def _leaves(item: Any) -> Iterator[Any]:
    """What stands in nested lists and tuples, in order."""
    if isinstance(item, (list, tuple)):
        for part in item:
            yield from _leaves(part)
    else:
        yield item


def _emptied(item: Any) -> Any:
    """The item with PLACE for every array, lists as tuples."""
    if isinstance(item, (list, tuple)):
        return tuple(map(_emptied, item))
    return PLACE if _is_array(item) else item


def _filled(item: Any, values: Iterator[Value]) -> Any:
    if isinstance(item, tuple):
        return tuple(_filled(part, values) for part in item)
    return next(values) if item is PLACE else item
