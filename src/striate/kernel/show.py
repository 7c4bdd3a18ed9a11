"""The kernel language as readable text: loops indented, one line for each statement.

    for i in 0:64
      r0 = <8 x f32> 0.0
      for j in 0:32
        r0 += x[i, j] * w[j, 0:+8]
      y[i, 0:+8] = r0
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from striate.kernel.language import Builder, Cell, Int, IntLike, Num, Tensor

SIGN = {"add": "+", "sub": "-", "mul": "*", "div": "/", "and": "&", "or": "|", "xor": "^", "shl": "<<", "shr": ">>",
        "lt": "<", "le": "<=", "gt": ">", "ge": ">=", "eq": "==", "mod": "%"}


def show(build: Callable[[Builder], None], machine: Any, arguments: Sequence[str]) -> str:
    """The text of a kernel."""
    k = Show(machine, arguments)
    build(k)
    k.close()
    return "\n".join(k.lines) + "\n"


class Show(Builder):
    """Writes a kernel down."""

    def __init__(self, machine: Any, arguments: Sequence[str]):
        super().__init__(machine, arguments)
        self.lines: list[str] = []
        self.indent, self.cells, self.names = 0, 0, 0
        self.known: list[dict[str, str]] = [{}]
        self.thread, self.threads = Int(self, {"thread": 1}), Int(self, {"threads": 1})

    def say(self, line: str) -> None:
        self.lines.append("  " * self.indent + line)

    def int_text(self, value: IntLike) -> str:
        if isinstance(value, int):
            return str(value)
        parts = [{1: name, -1: f"-{name}"}.get(scale, f"{scale}*{name}") for name, scale in value.terms.items()]
        parts += [str(value.const)] if value.const else []
        return " + ".join(parts).replace("+ -", "- ")

    def int(self, name: str) -> IntLike:
        return Int(self, {name: 1})

    def pointer(self, name: str) -> str:
        return name

    def loop(self, first: IntLike, last: IntLike, step: IntLike) -> Iterator[Int]:
        name = "ijlmnopqrstuvw"[self.indent % 14]
        by = "" if step == 1 else f":{self.int_text(step)}"
        self.say(f"for {name} in {self.int_text(first)}:{self.int_text(last)}{by}")
        yield from self.inside(Int(self, {name: 1}))

    def branch(self, condition: Num) -> Iterator[None]:
        self.say(f"when {condition.payload}")
        yield from self.inside(None)

    def passed_on(self, total: IntLike, unit: IntLike, share: int) -> Iterator[tuple[IntLike, IntLike]]:
        cut = f", cut at multiples of {self.int_text(unit)}" if unit else ""
        self.say(f"for begin{share}, end{share} in this thread's stretches of 0:{self.int_text(total)}{cut}")
        yield from self.inside((Int(self, {f"begin{share}": 1}), Int(self, {f"end{share}": 1})))

    def inside(self, value: Any) -> Iterator[Any]:
        """The body of a loop or condition."""
        self.indent += 1
        self.known.append({})
        yield value
        self.known.pop()
        self.indent -= 1

    def int_op(self, name: str, a: IntLike, b: IntLike) -> IntLike:
        x, y = self.int_text(a), self.int_text(b)
        sign = "//" if name == "div" else SIGN.get(name)
        text = f"{name}({x}, {y})" if name in ("min", "max") else f"({wrapped(x)} {sign} {wrapped(y)})"
        return Int(self, {text if len(text) <= 20 else self.named_int(text): 1})

    def named_int(self, text: str) -> str:
        """A name for a long index, the same for the same text in this block and those inside it."""
        for scope in self.known:
            if text in scope:
                return scope[text]
        name = self.known[-1][text] = f"n{sum(map(len, self.known))}"
        self.say(f"{name} = {text}")
        return name

    def int_compare(self, name: str, a: IntLike, b: IntLike) -> Num:
        return Num(self, "bool", 1, f"{self.int_text(a)} {SIGN[name]} {self.int_text(b)}")

    def num(self, kind: str, lanes: int, text: str, longest: int = 60) -> Num:
        """Long expressions get a name, so that lines stay readable."""
        if len(text) > longest:
            name = f"t{self.names}"
            self.names += 1
            self.say(f"{name} = {text}")
            text = name
        return Num(self, kind, lanes, text)

    def constant(self, value: float, lanes: int = 1, kind: str = "f32") -> Num:
        return Num(self, kind, lanes, f"{value:g}" if kind == "f32" else str(value))

    def binary(self, name: str, a: Num, b: Num) -> Num:
        text = f"{name}({a.payload}, {b.payload})" if name in ("min", "max") else f"({a.payload} {SIGN[name]} {b.payload})"
        return self.num("bool" if name in ("lt", "le", "gt", "ge", "eq") else a.kind, a.lanes, text)

    def unary(self, name: str, a: Num) -> Num:
        kind = {"to_f32": "f32", "to_i32": "i32", "bits": "i32", "from_bits": "f32"}.get(name, a.kind)
        return self.num(kind, a.lanes, f"{name}({a.payload})")

    def fma(self, a: Num, b: Num, c: Num) -> Num:
        x, y, z = (self.num(v.kind, v.lanes, v.payload, 40).payload for v in (a, b, c))
        return Num(self, a.kind, a.lanes, f"({z} + {x} * {y})")

    def splat(self, value: Any, lanes: int) -> Num:
        value = value if isinstance(value, Num) else self.constant(value, lanes)
        return Num(self, value.kind, lanes, value.payload)

    def iota(self, lanes: int) -> Num:
        return Num(self, "i32", lanes, f"0:{lanes}")

    def shuffle(self, a: Num, b: Num, lanes: Sequence[int]) -> Num:
        return self.num(a.kind, len(lanes), f"shuffle({a.payload}, {b.payload}, {' '.join(map(str, lanes))})")

    def where(self, condition: Num, a: Num, b: Num) -> Num:
        return self.num(a.kind, a.lanes, f"where({condition.payload}, {a.payload}, {b.payload})")

    def from_int(self, value: IntLike, kind: str = "i32") -> Num:
        return Num(self, kind, 1, str(value) if isinstance(value, int) else wrapped(self.int_text(value)))

    def to_int(self, value: Num) -> IntLike:
        return Int(self, {value.payload: 1})

    def reduce(self, name: str, a: Num) -> Num:
        return self.num(a.kind, 1, f"{name}_lanes({a.payload})")

    def cell_new(self, start: Num) -> Cell:
        name = f"r{self.cells}"
        self.cells += 1
        self.say(f"{name} = <{start.lanes} x {start.kind}> {start.payload}")
        return Cell(self, start.kind, start.lanes, name)

    def cell_get(self, cell: Cell) -> Num:
        return Num(self, cell.kind, cell.lanes, cell.place)

    def cell_set(self, cell: Cell, value: Num) -> None:
        start = f"({cell.place} + "
        plus = value.payload.startswith(start)
        self.say(f"{cell.place} += {value.payload[len(start):-1]}" if plus else f"{cell.place} = {value.payload}")

    def element(self, tensor: Tensor, index: Sequence[IntLike], lanes: int, count: IntLike | None) -> str:
        parts = [self.int_text(i) for i in index]
        if lanes > 1:
            parts[-1] += f":+{lanes}" + ("" if count is None else f" of {self.int_text(count)}")
        return f"{tensor.name}[{', '.join(parts)}]"

    def load(self, tensor: Tensor, index: Sequence[IntLike], lanes: int, count: IntLike | None) -> Num:
        return Num(self, "f32" if tensor.dtype == "f32" else "i32", lanes, self.element(tensor, index, lanes, count))

    def load_int(self, tensor: Tensor, index: Sequence[IntLike]) -> IntLike:
        return Int(self, {self.element(tensor, index, 1, None): 1})

    def prefetch(self, tensor: Tensor, index: Sequence[IntLike]) -> None:
        self.say(f"prefetch {self.element(tensor, index, 1, None)}")

    def store(self, tensor: Tensor, value: Num, index: Sequence[IntLike], count: IntLike | None, past: bool) -> None:
        self.say(f"{self.element(tensor, index, value.lanes, count)} = {value.payload}{' past the caches' if past else ''}")


def wrapped(text: str) -> str:
    """In parentheses, if it is more than a name or a number and has none around it.

    >>> wrapped("i"), wrapped("2*i"), wrapped("(i // 3)"), wrapped("(i) + (j)")
    ('i', '(2*i)', '(i // 3)', '((i) + (j))')
    """
    depths = [text[: i + 1].count("(") - text[: i + 1].count(")") for i in range(len(text))]
    whole = text.startswith("(") and depths.index(0) == len(text) - 1
    return text if whole or text.replace("_", "").isalnum() else f"({text})"
