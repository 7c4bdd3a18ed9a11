"""What a network is called with: arrays, and settings that are part of the trace.

    net(x)        net(x, mask)        unpool(values, indices, output_size=(8, 8))
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

import numpy as np

from striate.errors import DtypeError, ShapeError
from striate.graph import Value, trace_values
from striate.ops.base import Array


def as_array(x: Any, name: str = "x") -> Array:
    """An input as a NumPy array of a type that programs take: float32 or int64."""
    try:
        array = np.asarray(_of_torch(x) if hasattr(x, "detach") else x)
    except ValueError as error:  # lists of several lengths
        raise ShapeError(f"{name} is no array: {str(error).partition('.')[0]}", fix="give all its parts one shape") from None
    if array.dtype.kind == "f":
        return array if array.dtype == np.float32 else array.astype(np.float32)
    if array.dtype.kind in "iub":
        return array.astype(np.int64)
    raise DtypeError(f"{name} has dtype {array.dtype}", fix="give an array of numbers, float32 for images and int64 for labels")


def _of_torch(x: Any) -> Array:
    """A tensor's numbers; those of a type that NumPy does not have, such as bfloat16, as float32."""
    try:
        return x.detach().numpy()
    except TypeError:
        return x.detach().float().numpy()


def as_images(x: Any, name: str = "x") -> Array:
    """A batch to train with: floats, or whole numbers as int64; nothing is scaled."""
    array = as_array(x, name)
    if 0 in array.shape:
        raise ShapeError(f"{name} has shape {array.shape}, which holds no numbers", fix="give a batch of at least one image")
    return array


def images_of(x: Any) -> list[Array]:
    """The inputs of a network in training: one array, or several as a tuple of arrays."""
    several = isinstance(x, tuple) and x and all(isinstance(item, np.ndarray) or hasattr(item, "detach") for item in x)
    return [as_images(item) for item in x] if several else [as_images(x)]


class _Place:
    """Stands where an array goes."""

    def __repr__(self) -> str:
        return "<array>"


ARRAY = _Place()


@dataclass(frozen=True)
class Form:
    """How a forward is called: ARRAY where an argument is an array, the other arguments themselves."""

    given: tuple[Any, ...]
    named: tuple[tuple[str, Any], ...] = ()

    def of(self, purpose: str) -> Any:
        """The key of the programs for this purpose: its name where all arguments are arrays."""
        plain = plain_form(len(self.given))
        return purpose if self is plain or self == plain else (purpose, self)

    def call(self, net: Any, values: Sequence[Value]) -> Any:
        """net with symbolic values in the places of the arrays."""
        left = iter(values)
        given = [next(left) if item is ARRAY else item for item in self.given]
        named = {name: next(left) if item is ARRAY else item for name, item in self.named}
        return trace_values(partial(net, **named) if named else net, given)


@cache
def plain_form(count: int) -> Form:
    """Nothing but arrays."""
    return Form((ARRAY,) * count)


def split_arguments(inputs: Sequence[Any], named: Mapping[str, Any]) -> tuple[list[Array], Form]:
    """The arrays among the arguments of a call, and the form of the call.

    None, words, True and False, and tuples of whole numbers such as an output_size are no arrays; of the arguments by name
    neither are numbers and lists. The first argument is one always.
    """
    if not named and all(isinstance(x, np.ndarray) for x in inputs):
        return [as_array(x) for x in inputs], plain_form(len(inputs))
    arrays: list[Array] = []

    def place(item: Any, setting: bool, name: str = "x") -> Any:
        if setting:
            return _frozen(item)
        arrays.append(as_array(item, name))
        return ARRAY

    given = tuple(place(item, i > 0 and is_setting(item)) for i, item in enumerate(inputs))
    pairs = tuple((name, place(item, is_setting(item) or isinstance(item, (int, float, list)), name))
                  for name, item in named.items())
    return arrays, Form(given, pairs)


def is_setting(item: Any) -> bool:
    """Whether an argument of forward is no array: it is part of the trace."""
    whole = isinstance(item, tuple) and all(isinstance(n, (int, np.integer)) for n in item)
    return item is None or isinstance(item, (str, bool)) or whole


def _frozen(item: Any) -> Any:
    """Lists as tuples: what can be a key."""
    return tuple(map(_frozen, item)) if isinstance(item, list) else item
