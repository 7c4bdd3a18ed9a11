"""Elementwise chains: the end of every other kernel, and a kernel of their own.

    y_o[i] = f_o(v[i], e_0[i], e_1[i], ...)        f: a few elementwise operators, one after the other

A chain sees one vector at a time, so what it computes between its first read and its last write never touches memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from striate import ops
from striate.cpu.kernels.activation import ACTIVATIONS
from striate.cpu.kernels.base import Kernel
from striate.cpu.kernels.loops import elements
from striate.cpu.kernels.random import words
from striate.cpu.kernels.tally import Tally
from striate.kernel import math
from striate.kernel.language import Builder, IntLike, Num, Tensor
from striate.kernel.sharing import part_of
from striate.ops.base import Op

Ref = int
Spot = tuple[IntLike, IntLike]
"""Part of the pixels over which sums are taken, and how many of its pixels were before."""
FULL, CHANNEL, SCALAR, RANDOM = "full", "channel", "scalar", "random"


def _dropout(k: Builder, op: ops.Dropout, at: Position, x: Num, random: Any) -> Num:
    word = words(k, random, at.flat, op.stream, x.lanes)
    return k.where((word >> 8) < op.threshold, k.constant(0.0, x.lanes), x * op.factor if op.scaled else x)


def _random_slope(k: Builder, op: ops.RReLU, at: Position, x: Num, random: Any) -> Num:
    share = k.unary("to_f32", words(k, random, at.flat, op.stream, x.lanes) >> 8) * 2.0**-24
    return share * (op.upper - op.lower) + op.lower


def _rrelu(k: Builder, op: ops.RReLU, at: Position, x: Num, random: Any) -> Num:
    return k.where(x > 0.0, x, x * _random_slope(k, op, at, x, random))


def _rrelu_gradient(k: Builder, op: ops.RReLUGradient, at: Position, dy: Num, x: Num, random: Any) -> Num:
    return k.where(x > 0.0, dy, dy * _random_slope(k, op, at, x, random))


def _power(k: Builder, op: ops.Power, at: Position, x: Num) -> Num:
    n = op.exponent
    if n in (0.5, -0.5):
        root = k.unary("sqrt", x)
        return root if n > 0 else 1.0 / root
    if n == int(n) and abs(n) <= 16:
        return _whole_power(k, x, int(n))
    return math.exp(k, math.log(k, x) * n)


def _whole_power(k: Builder, x: Num, n: int) -> Num:
    if n < 0:
        return 1.0 / _whole_power(k, x, -n)
    if n == 0:
        return k.constant(1.0, x.lanes)
    half = _whole_power(k, x, n // 2) if n > 1 else None
    square = half * half if half is not None else None
    return x if square is None else square * x if n % 2 else square


def _sign(k: Builder, x: Num, dy: Num) -> Num:
    zero = k.constant(0.0, x.lanes)
    return k.where(x > 0.0, dy, k.where(x < 0.0, -dy, zero))


def _compare(k: Builder, op: ops.Compare, at: Position, a: Num, b: Num) -> Num:
    one, zero = k.constant(1.0, a.lanes), k.constant(0.0, a.lanes)
    if op.verb == "ne":
        return k.where(a.equals(b), zero, one)
    return k.where(k.binary(op.verb, a, b), one, zero)


def _larger(k: Builder, a: Num, b: Num, verb: str) -> Num:
    """The larger or smaller; NaN where either is NaN."""
    return k.where(a.equals(a), k.where(b.equals(b), k.binary(verb, a, b), b), a)


EMIT: dict[type[Op], Callable[..., Num]] = {
    ops.Add: lambda k, op, at, a, b: a + b,
    ops.Subtract: lambda k, op, at, a, b: a - b,
    ops.Multiply: lambda k, op, at, a, b: a * b,
    ops.Divide: lambda k, op, at, a, b: a / b,
    ops.Negate: lambda k, op, at, x: -x,
    ops.Abs: lambda k, op, at, x: k.unary("abs", x),
    ops.AbsGradient: lambda k, op, at, dy, x: _sign(k, x, dy),
    ops.Exp: lambda k, op, at, x: math.exp(k, x),
    ops.Log: lambda k, op, at, x: math.log(k, x),
    ops.Round: lambda k, op, at, x: k.unary("round", x),
    ops.Power: _power,
    ops.Maximum: lambda k, op, at, a, b: _larger(k, a, b, "max"),
    ops.Minimum: lambda k, op, at, a, b: _larger(k, a, b, "min"),
    ops.Compare: _compare,
    ops.Where: lambda k, op, at, mask, a, b: k.where(mask.equals(0.0), b, a),
    ops.Dropout: _dropout,
    ops.RReLU: _rrelu,
    ops.RReLUGradient: _rrelu_gradient,
    **ACTIVATIONS,
}
"""How each elementwise operator is computed in the kernel language."""


@dataclass
class Position:
    """Where a vector stands: its flat index in physical order."""

    flat: IntLike


@dataclass(frozen=True)
class Chain:
    """A chain of elementwise operators.

    operands: 'full' (an array like the output), 'channel' (one number a channel, the last axis), 'scalar' (one number),
    'random' (seed and step), or a float itself. steps: (operator, references); a reference is 0 for the value at the
    chain's head, then the operands, then the steps. outputs: the references that are written, to y0, y1, ..., `past` the
    caches if nobody will find them there; tally: sums that are taken meanwhile.
    """

    operands: tuple[str | float, ...] = ()
    steps: tuple[tuple[Op, tuple[Ref, ...]], ...] = ()
    outputs: tuple[Ref, ...] = (0,)
    past: bool = False
    tally: Tally | None = None

    @property
    def arguments(self) -> tuple[str, ...]:
        named = tuple(f"e{i}" for i, kind in enumerate(self.operands) if isinstance(kind, str))
        return tuple(f"y{i}" for i in range(len(self.outputs))) + named + (("part",) if self.tally else ())

    def ahead(self, kinds: Sequence[str], steps: Sequence[tuple[Op, tuple[Ref, ...]]]) -> Chain:
        """The chain with more operands, numbered after its own, and steps before its own, numbered after all operands."""
        known = len(self.operands)

        def moved(ref: Ref) -> Ref:
            return ref + len(kinds) + len(steps) if ref > known else ref

        own = tuple((op, tuple(moved(ref) for ref in refs)) for op, refs in self.steps)
        outputs = tuple(moved(ref) for ref in self.outputs)
        return replace(self, operands=(*self.operands, *kinds), steps=(*steps, *own), outputs=outputs)

    def then(self, op: Op, *refs: Ref) -> tuple[Chain, Ref]:
        """The chain with one more step, and its reference."""
        return replace(self, steps=(*self.steps, (op, refs))), len(self.operands) + len(self.steps) + 1

    def instead(self, op: type[Op], old: Ref, new: Ref) -> Chain:
        """The chain whose steps of this operator read another number."""
        return replace(self, steps=tuple((step, tuple(new if r == old and isinstance(step, op) else r for r in refs))
                                         for step, refs in self.steps))

    def bind(self, k: Builder, shape: Sequence[Any]) -> End:
        """The end of a kernel whose output has this shape, channels last."""
        results = [k.tensor(f"y{i}", shape) for i in range(len(self.outputs))]
        sources = [self._operand(k, i, kind, shape) for i, kind in enumerate(self.operands)]
        part = k.tensor("part", (self.tally.parts, self.tally.rows, shape[-1])) if self.tally else None
        return End(k, self, results, sources, shape[-1], part)

    def run(self, k: Builder, values: list[Any], results: Sequence[Tensor], index: Sequence[IntLike],
            count: IntLike | None) -> None:
        """The steps on the head and the operands, to which `values` grows, and the stores."""
        at = Position(results[0].flat(index) if results else index[-1])
        for op, refs in self.steps:
            values.append(EMIT[type(op)](k, op, at, *(values[r] for r in refs)))
        for tensor, ref in zip(results, self.outputs, strict=True):
            tensor.store(values[ref], *index, count=count, past=self.past)

    def _operand(self, k: Builder, i: int, kind: str | float, shape: Sequence[IntLike]) -> Any:
        if kind == RANDOM:
            words = k.tensor(f"e{i}", (2,), "i64")
            return words[0], words[1]
        if kind == SCALAR:
            return k.tensor(f"e{i}", (1,))[0]
        if isinstance(kind, float):
            return kind
        return k.tensor(f"e{i}", shape if kind == FULL else shape[-1:])

    def _read(self, k: Builder, kind: Any, source: Any, index: Sequence[IntLike], lanes: int, count: IntLike | None) -> Any:
        if kind == RANDOM:
            return source
        if kind == SCALAR or isinstance(kind, float):
            return k.splat(source, lanes)
        return source.vec(*(index if kind == FULL else index[-1:]), lanes=lanes, count=count)


@dataclass
class End:
    """A chain bound to the memory of a kernel."""

    k: Builder
    chain: Chain
    results: Sequence[Tensor]
    sources: Sequence[Any]
    channels: int
    part: Tensor | None

    def __call__(self, value: Num, *index: IntLike, count: IntLike | None = None) -> list[Any]:
        """Run the chain on a vector and store; returns the numbers that references mean."""
        chain, pairs = self.chain, zip(self.chain.operands, self.sources, strict=True)
        operands = [chain._read(self.k, kind, source, index, value.lanes, count) for kind, source in pairs]
        values = [value, *operands]
        chain.run(self.k, values, self.results, index, count)
        return values

    @property
    def asked(self) -> list[Tensor]:
        """What the chain reads beside its head, vector by vector."""
        read = {ref for _, refs in self.chain.steps for ref in refs}
        pairs = zip(self.chain.operands, self.sources, strict=True)
        return [source for i, (kind, source) in enumerate(pairs, 1) if kind == FULL and i in read]

    def fetch(self, *index: IntLike) -> None:
        """Ask the memory for what the chain will read there, while other work goes on."""
        for source in self.asked:
            self.k.prefetch(source, index)

    @property
    def cuts(self) -> int:
        """Into how many parts the pixels are cut for the sums."""
        return self.chain.tally.parts if self.chain.tally else 1

    def begin(self, part: IntLike, size: IntLike, c: IntLike = 0, channels: int | None = None) -> None:
        """Begin a part of `size` pixels, for all channels or for some from c on."""
        if self.chain.tally and self.part:
            self.chain.tally.clear(self.k, self.part, part, size, c, channels or self.channels)

    def parts(self, lines: IntLike, pixels: int) -> Iterator[tuple[IntLike, IntLike, IntLike]]:
        """(part, first, last) of this thread's parts of lines of so many pixels, each begun; without sums they are stretches
        of its share."""
        if not self.chain.tally:
            for first, last in self.k.stretches(lines):
                yield 0, first, last
            return
        for i in self.k.share(self.chain.tally.parts):
            first, last = part_of(i, self.chain.tally.parts, lines)
            self.begin(i, (last - first) * pixels)
            yield i, first, last

    def note(self, found: Sequence[list[Any]], spot: Spot, c: IntLike, count: IntLike | None) -> None:
        """Take a tile of pixels into a part's sums; `found` is what the calls returned for one vector of channels."""
        if self.chain.tally and self.part:
            blocks = [[values[ref] for values in found] for ref in self.chain.tally.refs]
            self.chain.tally.note(self.k, self.part, *spot, c, count, blocks)


@dataclass(frozen=True)
class Pointwise(Kernel):
    """A chain over whole arrays, with NumPy's broadcasting.

    dims: extents of all axes but the first, which is the argument `rows`; axes that no operand tells apart are merged.
    varies: for each operand with memory of its own, whether it changes along each axis.
    """

    chain: Chain
    dims: tuple[int, ...]
    varies: tuple[tuple[bool, ...], ...] = field(default=())

    @property
    def arguments(self) -> tuple[str, ...]:
        return ("rows", *self.chain.arguments)

    def build(self, k: Builder) -> None:
        rows = k.int("rows")
        if not self.dims:
            self._flat(k, rows)
        else:
            self._rows(k, rows)

    def _tensors(self, k: Builder, shape: tuple[IntLike, ...]) -> list[Any]:
        """Operands with stride 0 along the axes on which they do not change."""
        found = []
        for i, (kind, varies) in enumerate(zip(self.chain.operands, self.varies, strict=True)):
            if kind != FULL:
                found.append(self.chain._operand(k, i, kind, shape))
                continue
            strides: list[IntLike] = []
            step: IntLike = 1
            for extent, moves in zip(reversed(shape), reversed(varies), strict=True):
                strides.insert(0, step if moves else 0)
                step = step * extent if moves else step
            found.append(k.tensor(f"e{i}", shape, strides=strides))
        return found

    def _vector(self, k: Builder, shape: tuple[IntLike, ...], sources: list[Any], results: list[Tensor],
                index: tuple[IntLike, ...], lanes: int, count: IntLike | None) -> list[Any]:
        """Everything that the chain computes there."""
        values: list[Any] = [None]
        for kind, varies, source in zip(self.chain.operands, self.varies, sources, strict=True):
            if kind == RANDOM:
                values.append(source)
            elif kind == FULL and varies[-1]:
                values.append(source.vec(*index, lanes=lanes, count=count))
            else:
                values.append(k.splat(source[index] if kind == FULL else source, lanes))
        self.chain.run(k, values, results, index, count)
        return values

    def _flat(self, k: Builder, rows: IntLike) -> None:
        """One axis: every thread takes whole vectors; the last vector may be partly filled.

        Random words are long chains of short operations: vectors of twice the width keep the machine busy.
        """
        lanes = 2 * k.lanes if RANDOM in self.chain.operands else k.lanes
        shape = (rows,)
        sources = self._tensors(k, shape)
        results = [k.tensor(f"y{i}", shape) for i in range(len(self.chain.outputs))]
        for start, count in elements(k, rows, lanes):
            self._vector(k, shape, sources, results, (start,), lanes, count)

    def _rows(self, k: Builder, rows: IntLike) -> None:
        """Several axes: threads share all but the last one, which is covered by vectors."""
        shape = (rows, *self.dims)
        sources = self._tensors(k, shape)
        results = [k.tensor(f"y{i}", shape) for i in range(len(self.chain.outputs))]
        *middle, last = self.dims
        inner = 1
        for extent in middle:
            inner *= extent
        for task in k.share(rows * inner):
            index: list[IntLike] = []
            rest = task
            for extent in reversed(middle):
                index.insert(0, rest % extent)
                rest = rest // extent
            place = (rest, *index)
            wide = k.lanes
            for start in k.range(0, last - last % wide, wide):
                self._vector(k, shape, sources, results, (*place, start), wide, None)
            for start, lanes, count in k.blocks(last)[last // wide:]:
                self._vector(k, shape, sources, results, (*place, start), lanes, count if count < lanes else None)


@dataclass(frozen=True)
class PointwiseTotal(Pointwise):
    """A chain over flat arrays that also adds up the numbers of the reference `summed`: their sums over `parts` parts.

    part (parts + 1): the last element is the sum of what is left over after whole vectors.
    """

    summed: Ref = 0
    parts: int = 1

    @property
    def arguments(self) -> tuple[str, ...]:
        return (*super().arguments, "part")

    def build(self, k: Builder) -> None:
        rows, lanes = k.int("rows"), k.lanes
        shape, part = (rows,), k.tensor("part", (self.parts + 1,))
        sources = self._tensors(k, shape)
        results = [k.tensor(f"y{i}", shape) for i in range(len(self.chain.outputs))]
        whole = rows // lanes
        for i in k.share(self.parts):
            total = k.cell(0.0, lanes)
            for block in k.range(*part_of(i, self.parts, whole)):
                total.add(self._vector(k, shape, sources, results, (block * lanes,), lanes, None)[self.summed])
            part.store(k.reduce("add", total.value), i)
        for _ in k.when(k.int_compare("eq", k.thread, 0)):
            rest = rows - whole * lanes
            part.store(0.0, self.parts)
            for _ in k.when(k.int_compare("gt", rest, 0)):
                value = self._vector(k, shape, sources, results, (whole * lanes,), lanes, rest)[self.summed]
                inside = k.iota(lanes) < k.splat(k.from_int(rest), lanes)
                part.store(k.reduce("add", k.where(inside, value, k.constant(0.0, lanes))), self.parts)
