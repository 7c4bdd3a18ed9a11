"""A symbolic array: what flows through `forward` while a network is traced. Each operator that it meets becomes a node."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from striate import ops
from striate.arithmetic import Arithmetic
from striate.errors import ArgumentError
from striate.ops.base import Array, Spec
from striate.window import Window

if TYPE_CHECKING:
    from striate.graph import Graph, Node


class Value(Arithmetic):
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

    def _numbers(self, *_: Any, **__: Any) -> Any:
        raise ArgumentError(
            f"'{self.name}' is symbolic: its numbers are not known while the network is traced; compute with the methods of "
            "values and striate.nn.functional, and return what you want to see"
        )

    __array__ = __float__ = __int__ = __index__ = item = numpy = tolist = _numbers

    def __setitem__(self, key: Any, item: Any) -> None:
        raise ArgumentError(f"'{self.name}' cannot be changed in place; put parts together with st.cat, or choose with st.where")

    def __getattr__(self, name: str) -> Any:
        plain = name.rstrip("_")
        if name.endswith("_") and not name.startswith("_") and hasattr(type(self), plain):
            raise AttributeError(f"values are not changed in place, so there is no '{name}'; write x = x.{plain}(...)")
        raise AttributeError(f"'Value' object has no attribute '{name}'")

    # the same numbers in another role
    def float(self) -> Value:
        """Whole numbers as float32; floats as they are."""
        return self if self.dtype == "float32" else self.graph.apply(ops.ToFloat(), self)

    def detach(self) -> Value:
        """The same numbers, through which no gradient flows."""
        return self.graph.apply(ops.Detach(), self)

    def to(self, *_: Any, **__: Any) -> Value:
        """As float32: there is one device, and one type to compute in."""
        return self.float()

    def contiguous(self) -> Value:
        return self

    type_as = to
    clone = cpu = contiguous

    # shapes
    def reshape(self, *shape: Any) -> Value:
        wanted = shape[0] if len(shape) == 1 and isinstance(shape[0], (tuple, list)) else shape
        return self.graph.apply(ops.Reshape(ops.fill_shape(self.shape, wanted)), self)

    view = reshape

    def view_as(self, other: Value) -> Value:
        return self.reshape(other.shape)

    reshape_as = view_as

    def flatten(self, start_dim: int = 0, end_dim: int = -1) -> Value:
        return self.graph.apply(ops.Reshape(ops.flat_shape(self.shape, start_dim, end_dim)), self)

    def unsqueeze(self, dim: int) -> Value:
        at = ops.axis(dim, self.ndim + 1)
        return self.reshape((*self.shape[:at], 1, *self.shape[at:]))

    def squeeze(self, dim: Any = None) -> Value:
        """Without the axes of 1, or those of the axes given."""
        drop = ops.reduce_axes(dim, self.ndim)
        return self.reshape(tuple(n for i, n in enumerate(self.shape) if i not in drop or n != 1))

    def permute(self, *axes: Any, dims: Any = None) -> Value:
        given = dims if dims is not None else axes
        order = given[0] if len(given) == 1 and isinstance(given[0], (tuple, list)) else given
        return self.graph.apply(ops.Transpose(tuple(ops.axis(d, self.ndim) for d in order)), self)

    def transpose(self, dim0: int, dim1: int) -> Value:
        order = list(range(self.ndim))
        a, b = ops.axis(dim0, self.ndim), ops.axis(dim1, self.ndim)
        order[a], order[b] = b, a
        return self.permute(order)

    def expand(self, *shape: Any) -> Value:
        wanted = shape[0] if len(shape) == 1 and isinstance(shape[0], (tuple, list)) else shape
        return self.graph.apply(ops.Expand(ops.expand_shape(self.shape, wanted)), self)

    broadcast_to = expand

    def expand_as(self, other: Value) -> Value:
        return self.expand(other.shape)

    def ravel(self) -> Value:
        return self.flatten()

    def t(self) -> Value:
        """A matrix with rows and columns exchanged."""
        return self.permute(*reversed(range(self.ndim)))

    @property
    def T(self) -> Value:
        return self.t()

    @property
    def mT(self) -> Value:
        return self.transpose(-1, -2)

    def select(self, dim: int, index: int) -> Value:
        return self[(slice(None),) * ops.axis(dim, self.ndim) + (index,)]

    def unbind(self, dim: int = 0) -> tuple[Value, ...]:
        return tuple(self.select(dim, i) for i in range(self.shape[ops.axis(dim, self.ndim)]))

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

    def movedim(self, source: Any, destination: Any) -> Value:
        """Axes at other places, the others in their order."""
        pairs = zip(*([source, destination] if isinstance(source, Sequence) else [[source], [destination]]), strict=True)
        moved = {ops.axis(to, self.ndim): ops.axis(at, self.ndim) for at, to in pairs}
        rest = iter([i for i in range(self.ndim) if i not in moved.values()])
        return self.permute([moved[i] if i in moved else next(rest) for i in range(self.ndim)])

    moveaxis = movedim
    swapaxes = swapdims = transpose

    def repeat(self, *sizes: Any) -> Value:
        """The whole of it so many times along each axis; more numbers than axes make new ones in front."""
        times = tuple(sizes[0]) if len(sizes) == 1 and isinstance(sizes[0], (tuple, list)) else sizes
        single, wide, final = ops.repeat_shapes(self.shape, times)
        return self.reshape(single).expand(wide).reshape(final)

    def tile(self, *sizes: Any) -> Value:
        """`repeat`, with ones in front where numbers are fewer than axes."""
        times = tuple(sizes[0]) if len(sizes) == 1 and isinstance(sizes[0], (tuple, list)) else sizes
        return self.repeat((1,) * (self.ndim - len(times)) + times)

    def flip(self, *axes: Any, dims: Any = None) -> Value:
        """Backwards along some axes: flip(2, 3), flip((2, 3)) or flip(dims=(2, 3))."""
        given = dims if dims is not None else axes[0] if len(axes) == 1 else axes
        return self.graph.apply(ops.Flip(ops.reduce_axes(given, self.ndim)), self)

    def roll(self, shifts: Any, dims: Any = None) -> Value:
        """Moved along axes by `shifts` elements; what leaves at one end comes in at the other. Without axes, as one row."""
        if dims is None:
            return self.flatten().roll(shifts, 0).reshape(self.shape)
        if isinstance(dims, Sequence):
            y = self
            for shift, dim in zip(shifts, dims, strict=True):
                y = y.roll(shift, dim)
            return y
        at = ops.axis(dims, self.ndim)
        n = self.shape[at]
        cut = -shifts % n if n else 0
        parts = self.narrow(at, cut, n - cut), self.narrow(at, 0, cut)
        return self.graph.apply(ops.Concat(at), *parts) if cut else self

    def unflatten(self, dim: int, sizes: Sequence[int]) -> Value:
        """One axis as several."""
        at = ops.axis(dim, self.ndim)
        return self.reshape(*self.shape[:at], *ops.fill_shape(self.shape[at : at + 1], sizes), *self.shape[at + 1 :])

    def repeat_interleave(self, repeats: int, dim: int) -> Value:
        """Each element so many times along an axis, one after the other."""
        at = ops.axis(dim, self.ndim)
        wide = self.unsqueeze(at + 1).expand(*self.shape[: at + 1], repeats, *self.shape[at + 1 :])
        return wide.flatten(at, at + 1)

    def unfold(self, dimension: int, size: int, step: int) -> Value:
        """Windows of `size` elements along an axis, `step` apart, as a new last axis."""
        at = ops.axis(dimension, self.ndim)
        count = Window(size, step).out(self.shape[at])
        taps = [self[(*(slice(None),) * at, slice(t, t + (count - 1) * step + 1, step))].unsqueeze(-1) for t in range(size)]
        return taps[0] if size == 1 else self.graph.apply(ops.Concat(self.ndim), *taps)

    def tril(self, diagonal: int = 0) -> Value:
        """The lower triangle of the last two axes, zeros above it."""
        return self.where(np.tril(np.ones(self.shape[-2:], np.float32), diagonal), 0.0)

    def triu(self, diagonal: int = 0) -> Value:
        """The upper triangle of the last two axes, zeros below it."""
        return self.where(np.triu(np.ones(self.shape[-2:], np.float32), diagonal), 0.0)

    def where(self, condition: Any, other: Any) -> Value:
        """x where the condition is not 0, else other."""
        return self.graph.apply(ops.Where(), self.graph.lift(condition).float(), self, other)

    def new_full(self, size: Sequence[int], fill_value: float) -> Value:
        """A constant array."""
        return self.graph.constant(np.full(size, fill_value, np.float32))

    def new_zeros(self, *size: Any) -> Value:
        return self.new_full(size[0] if len(size) == 1 and isinstance(size[0], (tuple, list)) else size, 0.0)

    def new_ones(self, *size: Any) -> Value:
        return self.new_full(size[0] if len(size) == 1 and isinstance(size[0], (tuple, list)) else size, 1.0)

    def index_select(self, dim: int, index: Any) -> Value:
        """The elements of an axis at some places, known while the network is traced."""
        at = ops.axis(dim, self.ndim)
        parts = [self.narrow(at, start, stop - start) for start, stop in runs(index, self.shape[at])]
        return parts[0] if len(parts) == 1 else self.graph.apply(ops.Concat(at), *parts)

    def __getitem__(self, key: Any) -> Value:
        keys = key if isinstance(key, tuple) else (key,)
        lists = [i for i, item in enumerate(keys) if isinstance(item, (list, np.ndarray))]
        if lists:
            return self._pick(keys, lists[0])
        sliced, shape = ops.slice_of(self.shape, key)
        value = self if sliced is None else self.graph.apply(sliced, self)
        return value if value.shape == shape else value.reshape(shape)

    def _pick(self, keys: tuple[Any, ...], i: int) -> Value:
        """x[keys] where keys[i] is a list of places and all others are slices."""
        others = (*keys[:i], *keys[i + 1:])
        if not all(isinstance(item, slice) or item is Ellipsis for item in others):
            raise ArgumentError(f"an index with a list of places takes slices and '...' beside it, got {others}; "
                                "index twice, or use index_select")
        at = self.ndim - len(keys) + i if Ellipsis in keys[:i] else i
        return self[(*keys[:i], slice(None), *keys[i + 1:])].index_select(at, keys[i])


def runs(index: Any, n: int) -> list[tuple[int, int]]:
    """Places on an axis of n elements, as whole numbers or as a mask, in runs (start, stop) of neighbours.

    >>> runs([0, 1, 2, 5, -1], 7)
    [(0, 3), (5, 7)]
    """
    places = np.asarray(index)
    places = np.flatnonzero(places) if places.dtype == bool and places.shape == (n,) else places
    if places.ndim != 1 or not places.size or places.dtype.kind not in "iu" or places.min() < -n or places.max() >= n:
        raise ArgumentError(f"an axis of {n} elements is indexed by whole numbers from {-n} to {n - 1}, got {index}")
    places = places % n
    starts = np.flatnonzero(np.diff(places, prepend=-2) != 1)
    return [(int(places[a]), int(places[a]) + int(b - a)) for a, b in zip(starts, [*starts[1:], len(places)])]
