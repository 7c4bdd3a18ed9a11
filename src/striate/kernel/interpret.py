"""The kernel language in NumPy: each line of a kernel is carried out at once, and every access is checked.

Indices are Python ints and loops are Python's, so print and the debugger work inside a kernel. Slow: for small sizes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from striate.errors import KernelError
from striate.kernel.language import Builder, Cell, IntLike, Num, Tensor, caller
from striate.kernel.sharing import own

KINDS = {"f32": np.float32, "i32": np.int32, "bool": np.bool_}
STORED = {"f32": np.float32, "i32": np.int32, "i64": np.int64, "u8": np.uint8}
COMPARE = {"lt": np.less, "le": np.less_equal, "gt": np.greater, "ge": np.greater_equal, "eq": np.equal}


def interpret(build: Callable[[Builder], None], machine: Any, arguments: Mapping[str, Any], threads: int = 1) -> None:
    """Run a kernel on arrays and ints, one thread after the other."""
    for thread in range(threads):
        k = Interpret(machine, arguments, thread, threads)
        with np.errstate(all="ignore"):
            build(k)
        k.close()


class Interpret(Builder):
    """Carries a kernel out while it is written."""

    def __init__(self, machine: Any, arguments: Mapping[str, Any], thread: int = 0, threads: int = 1):
        super().__init__(machine, tuple(arguments))
        self.values = {n: a.reshape(-1) if isinstance(a, np.ndarray) else a for n, a in arguments.items()}
        self.thread, self.threads = thread, threads

    def int(self, name: str) -> IntLike:
        return int(self.values[name])

    def pointer(self, name: str) -> np.ndarray:
        return self.values[name]

    def loop(self, first: IntLike, last: IntLike, step: IntLike) -> Iterator[int]:
        yield from range(first, last, step)  # type: ignore[arg-type]

    def branch(self, condition: Num | bool) -> Iterator[None]:
        if bool(condition.payload if isinstance(condition, Num) else condition):
            yield None

    def passed_on(self, total: IntLike, unit: IntLike, share: int) -> Iterator[tuple[IntLike, IntLike]]:
        return own(self, total, unit)

    def int_op(self, name: str, a: IntLike, b: IntLike) -> IntLike:
        return {"mul": a * b, "div": a // b, "mod": a % b}[name]  # type: ignore[operator]

    def int_compare(self, name: str, a: IntLike, b: IntLike) -> Num:
        return self.num("bool", 1, COMPARE[name](a, b))

    def num(self, kind: str, lanes: int, payload: Any) -> Num:
        return Num(self, kind, lanes, np.broadcast_to(np.asarray(payload).astype(KINDS[kind]), (lanes,)))

    def constant(self, value: float, lanes: int = 1, kind: str = "f32") -> Num:
        if kind == "i32":
            value = (int(value) + 2**31) % 2**32 - 2**31
        return self.num(kind, lanes, value)

    def binary(self, name: str, a: Num, b: Num) -> Num:
        x, y = a.payload, b.payload
        if name in COMPARE:
            return self.num("bool", a.lanes, COMPARE[name](x, y))
        if name in ("max", "min"):
            return self.num(a.kind, a.lanes, np.where(x > y if name == "max" else x < y, x, y))
        if a.kind == "f32":
            return self.num("f32", a.lanes, {"add": np.add, "sub": np.subtract, "mul": np.multiply, "div": np.divide}[name](x, y))
        if a.kind == "i32":
            x, y = x.view(np.uint32) if x.flags.c_contiguous else x.astype(np.uint32), y.astype(np.uint32)
        whole = {"add": np.add, "sub": np.subtract, "mul": np.multiply, "and": np.bitwise_and, "or": np.bitwise_or,
                 "xor": np.bitwise_xor, "shl": np.left_shift, "shr": np.right_shift}[name](x, y)
        return self.num(a.kind, a.lanes, whole)

    def unary(self, name: str, a: Num) -> Num:
        x = np.ascontiguousarray(a.payload)
        kind = {"to_f32": "f32", "to_i32": "i32", "bits": "i32", "from_bits": "f32"}.get(name, a.kind)
        made = {"sqrt": np.sqrt, "abs": np.abs, "round": np.rint, "to_f32": np.float32, "to_i32": lambda v: v.astype(np.int32),
                "bits": lambda v: v.view(np.int32), "from_bits": lambda v: v.view(np.float32)}[name](x)
        return self.num(kind, a.lanes, made)

    def fma(self, a: Num, b: Num, c: Num) -> Num:
        if len({(v.lanes, v.kind) for v in (a, b, c)}) > 1:
            raise KernelError(f"{caller()}: fma of different lanes or kinds")
        return self.num(a.kind, a.lanes, a.payload.astype(np.float64) * b.payload + c.payload)

    def splat(self, value: Any, lanes: int) -> Num:
        if not isinstance(value, Num):
            return self.constant(value, lanes)
        return value if value.lanes == lanes else self.num(value.kind, lanes, value.payload)

    def iota(self, lanes: int) -> Num:
        return self.num("i32", lanes, np.arange(lanes))

    def shuffle(self, a: Num, b: Num, lanes: Sequence[int]) -> Num:
        return self.num(a.kind, len(lanes), np.concatenate([a.payload, b.payload])[list(lanes)])

    def where(self, condition: Num, a: Num, b: Num) -> Num:
        return self.num(a.kind, a.lanes, np.where(condition.payload, a.payload, b.payload))

    def from_int(self, value: IntLike, kind: str = "i32") -> Num:
        return self.constant(int(value), 1, kind)  # type: ignore[arg-type]

    def to_int(self, value: Num) -> IntLike:
        return int(value.payload.item())

    def reduce(self, name: str, a: Num) -> Num:
        return self.num(a.kind, 1, a.payload.max() if name == "max" else a.payload.sum(dtype=np.float32))

    def cell_new(self, start: Num) -> Cell:
        return Cell(self, start.kind, start.lanes, [start])

    def cell_get(self, cell: Cell) -> Num:
        return cell.place[0]

    def cell_set(self, cell: Cell, value: Num) -> None:
        if (value.lanes, value.kind) != (cell.lanes, cell.kind):
            raise KernelError(f"{caller()}: a cell of {cell.kind} x {cell.lanes} cannot hold {value.kind} x {value.lanes}")
        cell.place[0] = value

    def at(self, tensor: Tensor, index: Sequence[Any], reach: int) -> int:
        """The flat position, once every index and the whole vector lie inside."""
        for axis, (i, n) in enumerate(zip(index, tensor.shape, strict=True)):
            last = i + (reach - 1 if axis == len(index) - 1 else 0)
            if not (0 <= i and last < n):
                span = f"{i}" if last == i else f"{i}..{last}"
                raise KernelError(f"{caller()}: {tensor.name}: index {span} on axis {axis} is outside 0..{n - 1}")
        flat = tensor.flat(index)
        if tensor.base.dtype != STORED[tensor.dtype]:
            raise KernelError(f"{caller()}: {tensor.name} holds {tensor.base.dtype}, the kernel reads {tensor.dtype}")
        if not 0 <= flat <= tensor.base.size - reach:  # type: ignore[operator]
            raise KernelError(f"{caller()}: {tensor.name}: element {flat} is outside its memory of {tensor.base.size}")
        return flat  # type: ignore[return-value]

    def load(self, tensor: Tensor, index: Sequence[IntLike], lanes: int, count: IntLike | None) -> Num:
        reach = lanes if count is None else max(0, min(lanes, int(count)))  # type: ignore[arg-type]
        kind = "f32" if tensor.dtype == "f32" else "i32"
        whole = np.zeros(lanes, KINDS[kind])
        if reach:
            start = self.at(tensor, index, reach)
            whole[:reach] = tensor.base[start: start + reach]
        return Num(self, kind, lanes, whole)

    def load_int(self, tensor: Tensor, index: Sequence[IntLike]) -> IntLike:
        return int(tensor.base[self.at(tensor, index, 1)])

    def prefetch(self, tensor: Tensor, index: Sequence[IntLike]) -> None:
        """Nothing: it is no access, and may lie outside."""

    def store(self, tensor: Tensor, value: Num, index: Sequence[IntLike], count: IntLike | None, past: bool) -> None:
        reach = value.lanes if count is None else max(0, min(value.lanes, int(count)))  # type: ignore[arg-type]
        if reach:
            start = self.at(tensor, index, reach)
            tensor.base[start: start + reach] = value.payload[:reach]
