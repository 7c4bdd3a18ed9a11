"""The kernel language: Python functions that write machine code.

A kernel is a Python function over a builder `k`. Python's own `range` unrolls while the kernel is written;
`for i in k.range(n)` is a loop that runs. One source has three meanings, one builder each:

    emit.py       LLVM IR, compiled to machine code
    interpret.py  NumPy, every access checked against the tensor's bounds
    show.py       readable text, for golden tests and for the curious

What a kernel computes with:

    Int     an index: a whole number, kept as an affine sum  c + sum a_i * n_i  so that addresses fold
    Num     float32 ('f32'), 32-bit whole number ('i32') or truth ('bool') in 1..lanes lanes
    Cell    a Num that changes while loops run
    Tensor  memory with a shape: t[i, j] reads a scalar, t.vec(i, j) a vector, t.store(v, i, j) writes
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from striate.errors import KernelError
from striate.kernel.sharing import SHARES, own

OWN = {str(Path(__file__).with_name(name)) for name in ("language.py", "emit.py", "interpret.py", "sharing.py", "show.py")}
"""The files of the language itself: an error names the first frame outside of them."""


class Int:
    """An index that is known only when the kernel runs: c + sum of coefficient * name."""

    __slots__ = ("const", "k", "terms")

    def __init__(self, k: Builder, terms: dict[str, int], const: int = 0):
        self.k, self.terms, self.const = k, terms, const

    def _plus(self, other: IntLike, sign: int) -> IntLike:
        if isinstance(other, int):
            return Int(self.k, self.terms, self.const + sign * other)
        terms = dict(self.terms)
        for name, scale in other.terms.items():
            terms[name] = terms.get(name, 0) + sign * scale
        return Int(self.k, {n: a for n, a in terms.items() if a}, self.const + sign * other.const).plain()

    def plain(self) -> IntLike:
        """A Python int where no name is left."""
        return self if self.terms else self.const

    def __add__(self, other: IntLike) -> IntLike:
        return self._plus(other, 1)

    __radd__ = __add__

    def __sub__(self, other: IntLike) -> IntLike:
        return self._plus(other, -1)

    def __rsub__(self, other: int) -> IntLike:
        return self * -1 + other

    def __mul__(self, other: IntLike) -> IntLike:
        if isinstance(other, int):
            return Int(self.k, {n: a * other for n, a in self.terms.items()}, self.const * other) if other else 0
        return self.k.int_op("mul", self, other)

    __rmul__ = __mul__

    def __floordiv__(self, other: IntLike) -> IntLike:
        if isinstance(other, int) and self.const % other == 0 and all(a % other == 0 for a in self.terms.values()):
            return Int(self.k, {n: a // other for n, a in self.terms.items()}, self.const // other)
        return self.k.int_op("div", self, other)

    def __mod__(self, other: IntLike) -> IntLike:
        return 0 if other == 1 else self.k.int_op("mod", self, other)

    def __rfloordiv__(self, other: int) -> IntLike:
        return self.k.int_op("div", other, self)

    def __rmod__(self, other: int) -> IntLike:
        return self.k.int_op("mod", other, self)

    def __lt__(self, other: IntLike) -> Num:
        return self.k.int_compare("lt", self, other)

    def __le__(self, other: IntLike) -> Num:
        return self.k.int_compare("le", self, other)

    def __gt__(self, other: IntLike) -> Num:
        return self.k.int_compare("gt", self, other)

    def __ge__(self, other: IntLike) -> Num:
        return self.k.int_compare("ge", self, other)

    def equals(self, other: IntLike) -> Num:
        return self.k.int_compare("eq", self, other)

    def __bool__(self) -> bool:
        raise KernelError(f"{caller()}: an index is not known while the kernel is written; use k.when(...) or k.where(...)")


IntLike = int | Int


class Num:
    """A value in 1..lanes lanes, with operators. Mixed lanes are refused at the author's line."""

    __slots__ = ("k", "kind", "lanes", "payload")

    def __init__(self, k: Builder, kind: str, lanes: int, payload: Any):
        self.k, self.kind, self.lanes, self.payload = k, kind, lanes, payload

    def _do(self, name: str, other: Any, swap: bool = False) -> Num:
        other = self.k.like(other, self)
        a, b = (other, self) if swap else (self, other)
        if a.lanes != b.lanes or a.kind != b.kind:
            raise KernelError(f"{caller()}: {name}: {a.kind} x {a.lanes} with {b.kind} x {b.lanes}; "
                              "broadcast a scalar with k.splat(x, lanes) first")
        return self.k.binary(name, a, b)

    def __add__(self, other: Any) -> Num:
        return self._do("add", other)

    def __radd__(self, other: Any) -> Num:
        return self._do("add", other, swap=True)

    def __sub__(self, other: Any) -> Num:
        return self._do("sub", other)

    def __rsub__(self, other: Any) -> Num:
        return self._do("sub", other, swap=True)

    def __mul__(self, other: Any) -> Num:
        return self._do("mul", other)

    def __rmul__(self, other: Any) -> Num:
        return self._do("mul", other, swap=True)

    def __truediv__(self, other: Any) -> Num:
        return self._do("div", other)

    def __rtruediv__(self, other: Any) -> Num:
        return self._do("div", other, swap=True)

    def __neg__(self) -> Num:
        return self._do("sub", 0, swap=True)

    def __and__(self, other: Any) -> Num:
        return self._do("and", other)

    def __or__(self, other: Any) -> Num:
        return self._do("or", other)

    def __xor__(self, other: Any) -> Num:
        return self._do("xor", other)

    def __lshift__(self, other: Any) -> Num:
        return self._do("shl", other)

    def __rshift__(self, other: Any) -> Num:
        """Logical shift: zeros come in from the left."""
        return self._do("shr", other)

    def __lt__(self, other: Any) -> Num:
        return self._do("lt", other)

    def __le__(self, other: Any) -> Num:
        return self._do("le", other)

    def __gt__(self, other: Any) -> Num:
        return self._do("gt", other)

    def __ge__(self, other: Any) -> Num:
        return self._do("ge", other)

    def equals(self, other: Any) -> Num:
        return self._do("eq", other)

    def __bool__(self) -> bool:
        raise KernelError(f"{caller()}: a Num is not known while the kernel is written; use k.when(...) or k.where(...)")


class Cell:
    """A Num that changes while loops run; it lives in a register."""

    __slots__ = ("k", "kind", "lanes", "place")

    def __init__(self, k: Builder, kind: str, lanes: int, place: Any):
        self.k, self.kind, self.lanes, self.place = k, kind, lanes, place

    @property
    def value(self) -> Num:
        return self.k.cell_get(self)

    def set(self, value: Any) -> None:
        self.k.cell_set(self, self.k.like(value, self))

    def add(self, value: Num) -> None:
        self.set(self.value + value)

    def fma(self, a: Num, b: Num) -> None:
        """cell += a * b"""
        self.set(self.k.fma(a, b, self.value))


class Tensor:
    """Memory with a shape, row-major unless strides are given; element type f32, i32, i64 or u8."""

    def __init__(self, k: Builder, name: str, shape: Sequence[IntLike], dtype: str, strides: Sequence[IntLike] | None, base: Any,
                 offset: IntLike = 0):
        self.k, self.name, self.shape, self.dtype, self.base, self.offset = k, name, tuple(shape), dtype, base, offset
        self.strides = tuple(strides) if strides is not None else row_major(self.shape)

    def flat(self, index: Sequence[IntLike]) -> IntLike:
        """Elements from the start of the memory."""
        if len(index) != len(self.shape):
            raise KernelError(f"{caller()}: {self.name} has {len(self.shape)} axes, got {len(index)} indices")
        total: IntLike = self.offset
        for i, stride in zip(index, self.strides, strict=True):
            total = total + i * stride
        return total

    def view(self, shape: Sequence[IntLike], strides: Sequence[IntLike] | None = None, offset: IntLike = 0) -> Tensor:
        """The same memory with another shape."""
        return Tensor(self.k, self.name, shape, self.dtype, strides, self.base, self.offset + offset)

    def __getitem__(self, index: Any) -> Num:
        return self.k.load(self, index if isinstance(index, tuple) else (index,), 1, None)

    def vec(self, *index: IntLike, lanes: int, count: IntLike | None = None) -> Num:
        """`lanes` neighbours along the last axis; past `count` they are zero and not read."""
        return self.k.load(self, index, lanes, None if isinstance(count, int) and count == lanes else count)

    def store(self, value: Any, *index: IntLike, count: IntLike | None = None, past: bool = False) -> None:
        """Write a scalar, or the first `count` lanes of a vector along the last axis.

        past: go past the caches, where a vector fills a whole cache line; then nothing is read before it is written.
        """
        if not isinstance(value, Num):
            value = self.k.constant(value, 1, "f32" if self.dtype == "f32" else "i32")
        self.k.store(self, value, index, None if isinstance(count, int) and count == value.lanes else count, past)

    def int(self, *index: IntLike) -> IntLike:
        """A whole number read as an index."""
        return self.k.load_int(self, index)


def row_major(shape: Sequence[IntLike]) -> tuple[IntLike, ...]:
    strides: list[IntLike] = [1]
    for n in reversed(shape[1:]):
        strides.append(strides[-1] * n)
    return tuple(reversed(strides)) if shape else ()


class Builder:
    """What all three meanings share. A kernel's first argument `k` is one of them."""

    def __init__(self, machine: Any, arguments: Sequence[str]):
        self.machine, self.arguments = machine, tuple(arguments)
        self.lanes: int = machine.lanes
        self.steps: dict[str, int] = {}
        """Names of indices that count in known steps from a multiple of these."""
        self.shares = 0  # those so far that are passed on between threads
        self._open: list[str] = []

    # arguments
    def tensor(self, name: str, shape: Sequence[IntLike], dtype: str = "f32", strides: Sequence[IntLike] | None = None) -> Tensor:
        """The argument `name` as memory of this shape."""
        return Tensor(self, name, shape, dtype, strides, self.pointer(name))

    def int(self, name: str) -> IntLike:
        """The argument `name` as a whole number."""
        raise NotImplementedError

    def divisor(self, value: IntLike) -> int:
        """A number that divides an index whatever the loops do: 0 for 0, 1 where nothing is known.

        >>> from striate.kernel.machine import named
        >>> Builder(named("avx2"), ()).divisor(12)
        12
        """
        if isinstance(value, int):
            return value
        return math.gcd(value.const, *(scale * self.steps.get(name, 1) for name, scale in value.terms.items()))

    # control
    def range(self, start: IntLike, stop: IntLike | None = None, step: IntLike = 1) -> Iterator[Any]:
        """A loop that runs. It must run to its end: no break, no return inside."""
        first, last = (0, start) if stop is None else (start, stop)
        if isinstance(first, int) and isinstance(last, int) and isinstance(step, int) and first + step >= last:
            return iter(range(first, last, step))
        return self._guarded("loop", self.loop(first, last, step))

    def when(self, condition: Num) -> Iterator[Any]:
        """`for _ in k.when(condition):` runs its body where the condition holds."""
        return self._guarded("condition", self.branch(condition))

    def share(self, total: IntLike) -> Iterator[Any]:
        """What this thread does of range(total): its own part, then what other threads have not begun of theirs."""
        return (i for begin, end in self.stretches(total) for i in self.range(begin, end))

    def stretches(self, total: IntLike, unit: IntLike = 0) -> Iterator[tuple[IntLike, IntLike]]:
        """The same as (begin, end) of stretches, cut at multiples of `unit`; 0 for short ones of about the same length."""
        if self.shares == SHARES or any(opened.startswith("loop") for opened in self._open):  # dealt out again and again
            yield from own(self, total, unit)
            return
        self.shares += 1
        yield from self._guarded("loop", self.passed_on(total, unit, self.shares - 1))

    def _guarded(self, what: str, body: Iterator[Any]) -> Iterator[Any]:
        opened = f"{what} opened at {caller()}"
        self._open.append(opened)
        yield from body
        self._open.remove(opened)

    def close(self) -> None:
        """Refuse a loop that was left early."""
        if self._open:
            raise KernelError(f"{self._open[-1]} was left by break or return; it must run to its end")

    # values
    def like(self, value: Any, model: Num | Cell) -> Num:
        """A Python number as a constant of the model's kind and lanes; a Num as it is."""
        return value if isinstance(value, Num) else self.constant(value, model.lanes, model.kind)

    def cell(self, value: Num | float = 0.0, lanes: int | None = None) -> Cell:
        """A register that changes in loops."""
        start = value if isinstance(value, Num) else self.constant(value, lanes or 1)
        return self.cell_new(start)

    def maximum(self, a: Num, b: Any) -> Num:
        """The larger; b where a is NaN."""
        return a._do("max", b)

    def minimum(self, a: Num, b: Any) -> Num:
        return a._do("min", b)

    def rotate_left(self, a: Num, bits: int) -> Num:
        return (a << bits) | (a >> (32 - bits))

    def blocks(self, channels: int, lanes: int | None = None) -> list[tuple[int, int, int]]:
        """(first channel, lanes, count) of the vectors that cover the channels; the last may be narrower or partly filled.

        >>> from striate.kernel.machine import named
        >>> Builder(named("avx2"), ()).blocks(21)
        [(0, 8, 8), (8, 8, 8), (16, 8, 5)]
        """
        widest = lanes or self.lanes
        found = [(first, widest, widest) for first in range(0, channels - widest + 1, widest)]
        rest = channels % widest
        return found + ([(channels - rest, narrow(rest, widest), rest)] if rest else [])

    def vectors(self, channels: int) -> Iterator[tuple[IntLike, int, int | None]]:
        """(first channel, lanes, count) as `blocks`, the whole vectors in a loop that runs; count is None for those."""
        whole = channels // self.lanes
        for first in self.range(0, whole * self.lanes, self.lanes):
            yield first, self.lanes, None
        for first, lanes, count in self.blocks(channels)[whole:]:
            yield first, lanes, count if count < lanes else None

    def transpose(self, rows: Sequence[Num]) -> list[Num]:
        """n vectors of n lanes, n a power of two, with rows and columns exchanged: log2(n) rounds that swap blocks.

        Source: Eklundh, A fast computer method for matrix transposing, IEEE Transactions on Computers, 1972.
        """
        found, n = list(rows), len(rows)
        step = n // 2
        while step:
            low = [i if not i & step else i - step + n for i in range(n)]
            high = [i + step if not i & step else i + n for i in range(n)]
            for i in (i for i in range(n) if not i & step):
                a, b = found[i], found[i + step]
                found[i], found[i + step] = self.shuffle(a, b, low), self.shuffle(a, b, high)
            step //= 2
        return found

    # what each meaning must say
    thread: IntLike
    threads: IntLike

    def pointer(self, name: str) -> Any:
        raise NotImplementedError

    def loop(self, first: IntLike, last: IntLike, step: IntLike) -> Iterator[Any]:
        raise NotImplementedError

    def branch(self, condition: Num) -> Iterator[Any]:
        raise NotImplementedError

    def passed_on(self, total: IntLike, unit: IntLike, share: int) -> Iterator[tuple[IntLike, IntLike]]:
        """(begin, end) of the stretches of range(total) that this thread does; share: its number in the kernel."""
        raise NotImplementedError

    def int_op(self, name: str, a: IntLike, b: IntLike) -> IntLike:
        raise NotImplementedError

    def int_compare(self, name: str, a: IntLike, b: IntLike) -> Num:
        raise NotImplementedError

    def constant(self, value: float, lanes: int = 1, kind: str = "f32") -> Num:
        raise NotImplementedError

    def binary(self, name: str, a: Num, b: Num) -> Num:
        raise NotImplementedError

    def load(self, tensor: Tensor, index: Sequence[IntLike], lanes: int, count: IntLike | None) -> Num:
        raise NotImplementedError

    def load_int(self, tensor: Tensor, index: Sequence[IntLike]) -> IntLike:
        raise NotImplementedError

    def store(self, tensor: Tensor, value: Num, index: Sequence[IntLike], count: IntLike | None, past: bool) -> None:
        raise NotImplementedError

    def prefetch(self, tensor: Tensor, index: Sequence[IntLike]) -> None:
        """Ask the memory for the cache line of an element that will be read soon; it may lie outside of the tensor."""
        raise NotImplementedError

    def cell_new(self, start: Num) -> Cell:
        raise NotImplementedError

    def cell_get(self, cell: Cell) -> Num:
        raise NotImplementedError

    def cell_set(self, cell: Cell, value: Num) -> None:
        raise NotImplementedError

    def fma(self, a: Num, b: Num, c: Num) -> Num:
        raise NotImplementedError

    def splat(self, value: Any, lanes: int) -> Num:
        raise NotImplementedError

    def iota(self, lanes: int) -> Num:
        """0, 1, 2, ... as i32."""
        raise NotImplementedError

    def shuffle(self, a: Num, b: Num, lanes: Sequence[int]) -> Num:
        """The given lanes of a, then b: numbers from a.lanes on count b's."""
        raise NotImplementedError

    def where(self, condition: Num, a: Num, b: Num) -> Num:
        raise NotImplementedError

    def unary(self, name: str, a: Num) -> Num:
        """sqrt, abs, round (to nearest even), to_f32, to_i32, bits (f32 as i32), from_bits."""
        raise NotImplementedError

    def from_int(self, value: IntLike, kind: str = "i32") -> Num:
        """An index as a scalar Num."""
        raise NotImplementedError

    def to_int(self, value: Num) -> IntLike:
        """A scalar of kind i32 as an index."""
        raise NotImplementedError

    def reduce(self, name: str, a: Num) -> Num:
        """The sum ('add') or the largest ('max') of the lanes, as a scalar."""
        raise NotImplementedError

    def min(self, a: IntLike, b: IntLike) -> IntLike:
        return min(a, b) if isinstance(a, int) and isinstance(b, int) else self.int_op("min", a, b)

    def max(self, a: IntLike, b: IntLike) -> IntLike:
        return max(a, b) if isinstance(a, int) and isinstance(b, int) else self.int_op("max", a, b)


def narrow(channels: int, widest: int) -> int:
    """The narrowest vector that holds the channels: a power of two.

    >>> narrow(6, 16), narrow(1, 16), narrow(40, 16)
    (8, 1, 16)
    """
    return min(widest, 1 << (channels - 1).bit_length())


def caller(depth: int = 1) -> str:
    """file:line of the kernel's author: the first frame outside of the language."""
    frame = sys._getframe(depth)
    while frame.f_back is not None and frame.f_code.co_filename in OWN:
        frame = frame.f_back
    return f"{frame.f_code.co_filename.rsplit('/', 1)[-1]}:{frame.f_lineno}"
