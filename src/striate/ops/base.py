"""What an operator is.

An operator is a frozen dataclass of normalised attributes; equality and hash come free. Its file holds its whole story:
equation and source, shape rule (`infer`), NumPy oracle (`reference`), gradient as graph nodes (`gradient`) and `cost`.
What is true of a target (a kernel, a drawing, an ONNX node) stands in that target's folder, registered by operator type.

One table of letters for the whole package:

    N batch    C/K channels in/out    H W input    R S window    P Q output    G groups
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from striate.errors import ArgumentError, DtypeError, ShapeError
from striate.ops.sight import View, aligned

if TYPE_CHECKING:
    from striate.graph import Graph, Value

Array = np.ndarray
REGISTRY: dict[str, type[Op]] = {}


@dataclass(frozen=True)
class Spec:
    """Shape and element type of a value."""

    shape: tuple[int, ...]
    dtype: str = "float32"

    @property
    def size(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)

    @property
    def bytes(self) -> int:
        return self.size * np.dtype(self.dtype).itemsize


@dataclass(frozen=True)
class Cost:
    """Work of one node: multiply-accumulates, other arithmetic operations, elements read and written.

    Layers of multiply-accumulates may say more, for those who count otherwise: `sums` results are made of them (the first
    product of each needs no addition), `biases` of the results start from a bias, `padded` products have padding for a factor.
    """

    macs: int = 0
    operations: int = 0
    reads: int = 0
    writes: int = 0
    sums: int = 0
    biases: int = 0
    padded: int = 0


class Op:
    """Base of every operator; a subclass is a frozen dataclass with `name` and `inputs`."""

    name: ClassVar[str] = ""
    inputs: ClassVar[tuple[str, ...]] = ("x",)
    operations: ClassVar[int] = 1
    """Arithmetic operations for each output element, exp and the like counted as one; `cost` may know better."""
    linear_in: ClassVar[tuple[str, ...]] = ()
    """Inputs in which the (first) output is linear, up to a constant, with the others held fixed: tested by the adjoint
    identity <dy, f(v) - f(0)> = <gradient(dy), v>."""

    def __init_subclass__(cls, **kwargs: Any):
        super().__init_subclass__(**kwargs)
        if cls.name:
            REGISTRY[cls.name] = cls

    def infer(self, *inputs: Spec) -> Spec | tuple[Spec, ...]:
        """Shapes and types of the outputs; raises ShapeError with the equation and its values."""
        raise NotImplementedError

    def reference(self, *inputs: Array) -> Array | tuple[Array, ...]:
        """The oracle: a few lines of NumPy that read like the equation, in float32 or float64."""
        raise NotImplementedError

    def gradient(self, g: Graph, x: Sequence[Value], y: Sequence[Value], dy: Sequence[Any]) -> Sequence[Value | None]:
        """Gradients of the inputs as graph nodes, out of arithmetic on values and `g.apply(op, *values)`.

        One entry for each input, None where it has no gradient; entries of dy are None for outputs that nothing reads.
        """
        raise ArgumentError(f"{self.name} has no gradient rule; second derivatives through it are not supported")

    def cost(self, inputs: Sequence[Spec], outputs: Sequence[Spec]) -> Cost:
        """`operations` for each output element unless the operator knows better."""
        return Cost(operations=self.operations * sum(o.size for o in outputs), **traffic(inputs, outputs))

    def sees(self, inputs: Sequence[Spec], outputs: Sequence[Spec]) -> Sequence[View]:
        """What one position of the output sees of each input, axis by axis: receptive fields are made of it.

        An elementwise operator sees its own position. One that reads other positions says so with the words of
        `striate.ops.sight`: `through` a window, `without` axes that are read whole, `whole` for all of an input.
        """
        return [aligned(x.shape, outputs[0].shape) for x in inputs]

    def formula(self, inputs: Sequence[Spec], outputs: Sequence[Spec]) -> str:
        """How the sizes of the (first) output follow, with their numbers: the equation of each axis for a sliding window."""
        window = getattr(self, "window", ())
        if window and outputs[0].shape[2:] == tuple(w.out(n) for w, n in zip(window, inputs[0].shape[2:])):
            return by_axis([w.formula(n) for w, n in zip(window, inputs[0].shape[2:])])
        return "the same size" if outputs[0].shape in [x.shape for x in inputs] else ""

    def attributes(self) -> str:
        """Attributes as readable text for `print(graph)`."""
        shown = ((f.name, getattr(self, f.name), f.default) for f in fields(self))  # type: ignore[arg-type]
        return " ".join(f"{name}={show(value)}" for name, value, default in shown if value != default)


def show(value: Any) -> str:
    """A pair of windows as sizes, strides, dilations and pads (top, bottom, left, right); everything else by str.

    >>> from striate.window import windows
    >>> show(windows(3, stride=2, padding=1))
    '3x3 stride 2x2 pads 1,1,1,1'
    """
    if isinstance(value, tuple) and value and hasattr(value[0], "extent"):
        text = "x".join(str(w.size) for w in value)
        if any(w.stride > 1 for w in value):
            text += " stride " + "x".join(str(w.stride) for w in value)
        if any(w.dilation > 1 for w in value):
            text += " dilation " + "x".join(str(w.dilation) for w in value)
        if any(any(w.pads) for w in value):
            text += " pads " + ",".join(str(p) for w in value for p in w.pads)
        if any(w.ceil for w in value):
            text += " ceil"
        return text
    return str(value).replace(" ", "") if isinstance(value, tuple) else f"{value}"


AXES = ("depth", "height", "width")


def by_axis(equations: Sequence[str]) -> str:
    """One equation for each spatial axis, those that are equal said once.

    >>> by_axis(["28 + 2 = 30", "28 + 2 = 30"])
    'height, width: 28 + 2 = 30'
    """
    names: dict[str, list[str]] = {}
    for axis, equation in zip(AXES[-len(equations):], equations):
        names.setdefault(equation, []).append(axis)
    return "; ".join(f"{', '.join(axes)}: {equation}" for equation, axes in names.items())


def traffic(inputs: Sequence[Spec], outputs: Sequence[Spec]) -> dict[str, int]:
    """Each input read once, each output written once, in elements."""
    return {"reads": sum(i.size for i in inputs), "writes": sum(o.size for o in outputs)}


def want_rank(x: Spec, rank: int, letters: str, name: str = "x") -> None:
    """Refuse an input whose number of axes differs."""
    if len(x.shape) != rank:
        raise ShapeError(
            f"{name} has {len(x.shape)} axes, shape {x.shape}, but needs {rank}: ({letters})",
            fix=f"reshape {name} to ({letters})",
        )


def want_float(**inputs: Spec | None) -> None:
    """Refuse integers where numbers are differentiated; inputs by their names, None is left out."""
    for name, x in inputs.items():
        if x is not None and not x.dtype.startswith("float"):
            raise DtypeError(f"{name} has dtype {x.dtype} but needs float32", fix=f"convert {name} with astype('float32')")


def want_same(**inputs: Spec) -> None:
    """Refuse inputs whose shapes differ; inputs by their names."""
    if len({x.shape for x in inputs.values()}) > 1:
        shapes = ", ".join(f"{name} {x.shape}" for name, x in inputs.items())
        raise ShapeError(f"the shapes differ: {shapes}", fix="give all of them one shape")


def axis(dim: int, rank: int) -> int:
    """An axis counted from the front; negative ones count from the end.

    >>> axis(-1, 4)
    3
    """
    if not -rank <= dim < rank:
        raise ShapeError(f"axis {dim} is outside an input of {rank} axes", fix=f"use {-rank} to {rank - 1}")
    return int(dim) % rank


def reduce_axes(axes: int | Sequence[int] | None, rank: int) -> tuple[int, ...]:
    """Axes counted from the front and sorted; None is all of them.

    >>> reduce_axes(-1, 4), reduce_axes(None, 2)
    ((3,), (0, 1))
    """
    if axes is None:
        return tuple(range(rank))
    given = tuple(axes) if isinstance(axes, Sequence) else (axes,)
    if not rank and all(a in (0, -1) for a in given):
        return ()  # a single number is its own sum
    return tuple(sorted({axis(a, rank) for a in given}))
