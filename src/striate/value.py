"""A symbolic array: what flows through `forward` while a network is traced. Each operator that it meets becomes a node."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import inf, prod
from typing import TYPE_CHECKING, Any

from striate import ops
from striate.errors import ArgumentError
from striate.ops.base import Array, Spec

if TYPE_CHECKING:
    from striate.graph import Graph, Node


class Value:
    """A symbolic array: shape, dtype, and the node that makes it (None for inputs, parameters and constants).

    Arithmetic and the usual methods of an array add nodes to the graph.
    """

    __slots__ = ("constant", "graph", "index", "name", "producer", "spec")
    __array_ufunc__ = None  # ndarray + Value must reach Value.__radd__

    def __init__(self, graph: Graph, spec: Spec, name: str, producer: Node | None = None, index: int = 0):
        self.graph, self.spec, self.name, self.producer, self.index = graph, spec, name, producer, index
        self.constant: Array | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        return self.spec.shape

    @property
    def dtype(self) -> str:
        return self.spec.dtype

    @property
    def ndim(self) -> int:
        return len(self.shape)

    def dim(self) -> int:
        return self.ndim

    def size(self, axis: int | None = None) -> Any:
        """PyTorch's size: the shape, or one extent of it."""
        return self.shape if axis is None else self.shape[axis]

    def numel(self) -> int:
        return self.spec.size

    def __len__(self) -> int:
        return self.shape[0]

    def __repr__(self) -> str:
        return f"Value({self.name}: {self.dtype} {self.shape})"

    def __bool__(self) -> bool:
        raise ArgumentError(
            f"'{self.name}' is symbolic: its numbers are not known while the network is traced, so `if` and `while` "
            "cannot ask for them; decide on shapes and attributes instead"
        )

    def __iter__(self) -> Iterator[Value]:
        return (self[i] for i in range(self.shape[0]))

    # arithmetic
    def __add__(self, other: Any) -> Value:
        return self.graph.apply(ops.Add(), self, other)

    def __radd__(self, other: Any) -> Value:
        return self.graph.apply(ops.Add(), other, self)

    def __sub__(self, other: Any) -> Value:
        return self.graph.apply(ops.Subtract(), self, other)

    def __rsub__(self, other: Any) -> Value:
        return self.graph.apply(ops.Subtract(), other, self)

    def __mul__(self, other: Any) -> Value:
        return self.graph.apply(ops.Multiply(), self, other)

    def __rmul__(self, other: Any) -> Value:
        return self.graph.apply(ops.Multiply(), other, self)

    def __truediv__(self, other: Any) -> Value:
        return self.graph.apply(ops.Divide(), self, other)

    def __rtruediv__(self, other: Any) -> Value:
        return self.graph.apply(ops.Divide(), other, self)

    def __neg__(self) -> Value:
        return self.graph.apply(ops.Negate(), self)

    def __pow__(self, exponent: float) -> Value:
        return self.graph.apply(ops.Power(float(exponent)), self)

    def __matmul__(self, other: Any) -> Value:
        return matmul(self, self.graph.lift(other))

    def __rmatmul__(self, other: Any) -> Value:
        return matmul(self.graph.lift(other), self)

    # comparisons, as masks of 1 and 0; == stays the identity of values
    def __gt__(self, other: Any) -> Value:
        return self.graph.apply(ops.Compare("gt"), self, other)

    def __ge__(self, other: Any) -> Value:
        return self.graph.apply(ops.Compare("ge"), self, other)

    def __lt__(self, other: Any) -> Value:
        return self.graph.apply(ops.Compare("lt"), self, other)

    def __le__(self, other: Any) -> Value:
        return self.graph.apply(ops.Compare("le"), self, other)

    def eq(self, other: Any) -> Value:
        return self.graph.apply(ops.Compare("eq"), self, other)

    def ne(self, other: Any) -> Value:
        return self.graph.apply(ops.Compare("ne"), self, other)

    matmul, pow, gt, ge, lt, le = __matmul__, __pow__, __gt__, __ge__, __lt__, __le__

    def maximum(self, other: Any) -> Value:
        return self.graph.apply(ops.Maximum(), self, other)

    def minimum(self, other: Any) -> Value:
        return self.graph.apply(ops.Minimum(), self, other)

    def clamp(self, min: float | None = None, max: float | None = None) -> Value:
        low, high = (-inf if min is None else float(min)), (inf if max is None else float(max))
        return self.graph.apply(ops.Clamp(low, high), self)

    clip = clamp

    # functions of each element
    def exp(self) -> Value:
        return self.graph.apply(ops.Exp(), self)

    def log(self) -> Value:
        return self.graph.apply(ops.Log(), self)

    def sqrt(self) -> Value:
        return self.graph.apply(ops.Power(0.5), self)

    def rsqrt(self) -> Value:
        return self.graph.apply(ops.Power(-0.5), self)

    def square(self) -> Value:
        return self * self

    def reciprocal(self) -> Value:
        return 1 / self

    def abs(self) -> Value:
        return self.graph.apply(ops.Abs(), self)

    def sign(self) -> Value:
        return (self > 0) - (self < 0)

    def erf(self) -> Value:
        return self.graph.apply(ops.Erf(), self)

    def sin(self) -> Value:
        return self.graph.apply(ops.Sin(), self)

    def cos(self) -> Value:
        return self.graph.apply(ops.Cos(), self)

    def relu(self) -> Value:
        return self.graph.apply(ops.ReLU(), self)

    def tanh(self) -> Value:
        return self.graph.apply(ops.Tanh(), self)

    def sigmoid(self) -> Value:
        return self.graph.apply(ops.Sigmoid(), self)

    def softmax(self, dim: int) -> Value:
        return self.graph.apply(ops.Softmax(ops.axis(dim, self.ndim)), self)

    def log_softmax(self, dim: int) -> Value:
        return self.graph.apply(ops.LogSoftmax(ops.axis(dim, self.ndim)), self)

    # reductions
    def sum(self, dim: Any = None, keepdim: bool = False) -> Value:
        return self.graph.apply(ops.Sum(ops.reduce_axes(dim, self.ndim), keepdim), self)

    def mean(self, dim: Any = None, keepdim: bool = False) -> Value:
        return self.graph.apply(ops.Mean(ops.reduce_axes(dim, self.ndim), keepdim), self)

    def amax(self, dim: Any = None, keepdim: bool = False) -> Value:
        return self.graph.apply(ops.Max(ops.reduce_axes(dim, self.ndim), keepdim), self)

    # shapes
    def reshape(self, *shape: Any) -> Value:
        wanted = shape[0] if len(shape) == 1 and isinstance(shape[0], (tuple, list)) else shape
        return self.graph.apply(ops.Reshape(ops.fill_shape(self.shape, wanted)), self)

    view = reshape

    def flatten(self, start_dim: int = 0, end_dim: int = -1) -> Value:
        return self.graph.apply(ops.Reshape(ops.flat_shape(self.shape, start_dim, end_dim)), self)

    def unsqueeze(self, dim: int) -> Value:
        at = ops.axis(dim, self.ndim + 1)
        return self.reshape((*self.shape[:at], 1, *self.shape[at:]))

    def squeeze(self, dim: int | None = None) -> Value:
        drop = [i for i, n in enumerate(self.shape) if n == 1] if dim is None else [ops.axis(dim, self.ndim)]
        return self.reshape(tuple(n for i, n in enumerate(self.shape) if i not in drop or n != 1))

    def permute(self, *dims: Any) -> Value:
        order = dims[0] if len(dims) == 1 and isinstance(dims[0], (tuple, list)) else dims
        return self.graph.apply(ops.Transpose(tuple(ops.axis(d, self.ndim) for d in order)), self)

    def transpose(self, dim0: int, dim1: int) -> Value:
        order = list(range(self.ndim))
        a, b = ops.axis(dim0, self.ndim), ops.axis(dim1, self.ndim)
        order[a], order[b] = b, a
        return self.permute(order)

    def expand(self, *shape: Any) -> Value:
        wanted = shape[0] if len(shape) == 1 and isinstance(shape[0], (tuple, list)) else shape
        return self.graph.apply(ops.Expand(ops.expand_shape(self.shape, wanted)), self)

    def contiguous(self) -> Value:
        return self

    def chunk(self, chunks: int, dim: int = 0) -> tuple[Value, ...]:
        at = ops.axis(dim, self.ndim)
        step = -(-self.shape[at] // chunks)
        return tuple(self.graph.apply(ops.slice_axis(self.shape, at, i, i + step), self) for i in range(0, self.shape[at], step))

    def split(self, split_size: int | Sequence[int], dim: int = 0) -> tuple[Value, ...]:
        """Parts of split_size elements along an axis, the last with the rest; or of the sizes given, which must fill the axis."""
        at = ops.axis(dim, self.ndim)
        stops = ops.split_stops(self.shape[at], split_size)
        return tuple(self.narrow(at, start, stop - start) for start, stop in zip((0, *stops), stops, strict=False))

    def narrow(self, dim: int, start: int, length: int) -> Value:
        at = ops.axis(dim, self.ndim)
        return self.graph.apply(ops.slice_axis(self.shape, at, start, start + length), self)

    def movedim(self, source: int, destination: int) -> Value:
        order = [i for i in range(self.ndim) if i != ops.axis(source, self.ndim)]
        order.insert(ops.axis(destination, self.ndim), ops.axis(source, self.ndim))
        return self.permute(order)

    moveaxis = movedim
    swapaxes = transpose

    def repeat(self, *sizes: Any) -> Value:
        """The whole of it so many times along each axis; more numbers than axes make new ones in front."""
        times = tuple(sizes[0]) if len(sizes) == 1 and isinstance(sizes[0], (tuple, list)) else sizes
        single, wide, final = ops.repeat_shapes(self.shape, times)
        return self.reshape(single).expand(wide).reshape(final)

    def tile(self, *sizes: Any) -> Value:
        """`repeat`, with ones in front where numbers are fewer than axes."""
        times = tuple(sizes[0]) if len(sizes) == 1 and isinstance(sizes[0], (tuple, list)) else sizes
        return self.repeat((1,) * (self.ndim - len(times)) + times)

    def flip(self, *dims: Any) -> Value:
        return self.graph.apply(ops.Flip(ops.reduce_axes(dims[0] if len(dims) == 1 else dims, self.ndim)), self)

    def roll(self, shifts: int, dims: int) -> Value:
        """Moved along an axis by `shifts` elements; what leaves at one end comes in at the other."""
        at = ops.axis(dims, self.ndim)
        n = self.shape[at]
        cut = -shifts % n
        parts = self.narrow(at, cut, n - cut), self.narrow(at, 0, cut)
        return self.graph.apply(ops.Concat(at), *parts) if cut else self

    def __getitem__(self, key: Any) -> Value:
        sliced, shape = ops.slice_of(self.shape, key)
        value = self if sliced is None else self.graph.apply(sliced, self)
        return value if value.shape == shape else value.reshape(shape)


def matmul(a: Value, b: Value) -> Value:
    """a @ b as in NumPy: an input of one axis is a row on the left and a column on the right, and that axis is gone after it."""
    left, right = (a if a.ndim > 1 else a.unsqueeze(0)), (b if b.ndim > 1 else b.unsqueeze(1))
    batch = ops.broadcast(left.shape[:-2], right.shape[:-2])
    left, right = (v if prod(v.shape[:-2]) in (1, prod(batch)) else v.expand(*batch, *v.shape[-2:]) for v in (left, right))
    y = a.graph.apply(ops.MatMul(), left, right)
    y = y if b.ndim > 1 else y.squeeze(-1)
    return y if a.ndim > 1 else y.squeeze(-1 if b.ndim == 1 else -2)
