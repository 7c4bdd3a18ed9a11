"""The kernel language as LLVM IR.

The text is written directly: one line for each instruction. Indices stay affine sums until an address needs them, and a
sum that was computed in an enclosing block is used again, so the IR is short and LLVM has little left to do.
Cells are stack slots that LLVM's first pass turns into registers.

A kernel becomes `void name(ptr arguments, i64 thread, i64 threads, ptr taken)`; arguments are 64-bit slots, pointers or whole
numbers. taken, int64 (threads, SHARES), counts how many stretches of each thread's part of each share are taken: 0 at first.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from striate.errors import KernelError
from striate.kernel.language import Builder, Cell, Int, IntLike, Num, Tensor, caller
from striate.kernel.machine import LINE
from striate.kernel.sharing import NEIGHBOURS, SHARES, cut, part_of, stretch

SCALAR = {"f32": "float", "i32": "i32", "bool": "i1", "u8": "i8", "i64": "i64"}
BINARY = {
    ("add", "f32"): "fadd", ("sub", "f32"): "fsub", ("mul", "f32"): "fmul", ("div", "f32"): "fdiv",
    ("add", "i32"): "add", ("sub", "i32"): "sub", ("mul", "i32"): "mul", ("and", "i32"): "and", ("or", "i32"): "or",
    ("xor", "i32"): "xor", ("shl", "i32"): "shl", ("shr", "i32"): "lshr",
    ("and", "bool"): "and", ("or", "bool"): "or", ("xor", "bool"): "xor",
}
COMPARE = {"lt": ("olt", "slt"), "le": ("ole", "sle"), "gt": ("ogt", "sgt"), "ge": ("oge", "sge"), "eq": ("oeq", "eq")}
CONVERT = {"to_f32": ("sitofp", "f32"), "to_i32": ("fptosi", "i32"), "bits": ("bitcast", "i32"), "from_bits": ("bitcast", "f32")}
INTRINSIC = {"sqrt": "sqrt", "abs": "fabs", "round": "roundeven"}


def llvm_type(kind: str, lanes: int) -> str:
    return SCALAR[kind] if lanes == 1 else f"<{lanes} x {SCALAR[kind]}>"


def suffix(kind: str, lanes: int) -> str:
    name = kind if kind != "bool" else "i1"
    return name if lanes == 1 else f"v{lanes}{name}"


class Emit(Builder):
    """Writes one LLVM function; `text()` is the module."""

    def __init__(self, machine: Any, arguments: Sequence[str]):
        super().__init__(machine, arguments)
        self.entry: list[str] = []
        self.lines: list[str] = []
        self.declared: dict[str, str] = {}
        self.metadata: set[str] = set()
        self.count = 0
        self.block = "start"
        self.known: list[dict[Any, str]] = [{}]
        self.order: dict[str, int] = {"%thread": 0, "%threads": 1}
        self.thread, self.threads = Int(self, {"%thread": 1}), Int(self, {"%threads": 1})

    def text(self, name: str = "kernel") -> str:
        """The module, with the function by that name."""
        self.close()
        body = ["entry:", *self.entry, "  br label %start", "start:", *self.lines, "  ret void", "}"]
        head = f"define void @{name}(ptr %arguments, i64 %thread, i64 %threads, ptr %taken) nounwind {{"
        return "\n".join([f'target triple = "{self.machine.triple}"', *self.declared.values(), head, *body, *self.metadata, ""])

    # writing
    def fresh(self, prefix: str = "v") -> str:
        self.count += 1
        return f"%{prefix}{self.count}"

    def put(self, line: str, prefix: str = "v") -> str:
        name = self.fresh(prefix)
        self.lines.append(f"  {name} = {line}")
        return name

    def call(self, function: str, result: str, *arguments: tuple[str, str], flags: str = "") -> str:
        """Call an intrinsic; arguments are (type, value)."""
        if function not in self.declared:
            self.declared[function] = f"declare {result} @{function}({', '.join(t for t, _ in arguments)})"
        return self.put(f"call {flags}{result} @{function}({', '.join(f'{t} {v}' for t, v in arguments)})")

    def label(self, name: str) -> None:
        self.lines.append(f"{name}:")
        self.block = name

    def once(self, key: Any, make: Any) -> str:
        """A value that is computed once for this block and those inside it."""
        for scope in reversed(self.known):
            if key in scope:
                return scope[key]
        name = self.known[-1][key] = make()
        return name

    # indices
    def index(self, value: IntLike) -> str:
        """The i64 operand of an index."""
        if isinstance(value, int):
            return str(value)
        total = self.sum_of(tuple(sorted(value.terms.items(), key=lambda t: self.order[t[0]])))
        return total if not value.const else self.named_int(f"add nsw i64 {total}, {value.const}", (total, value.const))

    def sum_of(self, terms: tuple[tuple[str, int], ...]) -> str:
        """Outermost names first, so that loops inside share what was summed outside."""
        *front, (name, scale) = terms
        product = name if scale == 1 else self.named_int(f"mul nsw i64 {name}, {scale}", (name, "*", scale))
        return product if not front else self.named_int(f"add nsw i64 {self.sum_of(tuple(front))}, {product}", terms)

    def named_int(self, line: str, key: Any) -> str:
        return self.once(("int", key), lambda: self.put(line, "n"))

    def as_int(self, name: str) -> Int:
        self.order.setdefault(name, len(self.order))
        return Int(self, {name: 1})

    def int(self, name: str) -> IntLike:
        return self.as_int(self._argument(name, "i64"))

    def int_op(self, name: str, a: IntLike, b: IntLike) -> IntLike:
        x, y = self.index(a), self.index(b)
        if name in ("min", "max"):
            return self.as_int(self.call(f"llvm.s{name}.i64", "i64", ("i64", x), ("i64", y)))
        verb = {"mul": "mul nsw", "div": "udiv", "mod": "urem"}[name]
        return self.as_int(self.named_int(f"{verb} i64 {x}, {y}", (name, x, y)))

    def int_compare(self, name: str, a: IntLike, b: IntLike) -> Num:
        return Num(self, "bool", 1, self.put(f"icmp {COMPARE[name][1]} i64 {self.index(a)}, {self.index(b)}"))

    # arguments and addresses
    def _argument(self, name: str, kind: str) -> str:
        if name not in self.arguments:
            raise KernelError(f"{caller()}: '{name}' is not among the kernel's arguments {self.arguments}")
        slot = self.arguments.index(name)
        value = f"%{name}.{slot}"
        if not any(line.startswith(f"  {value} =") for line in self.entry):
            self.entry.append(f"  {value}.slot = getelementptr i64, ptr %arguments, i64 {slot}")
            self.entry.append(f"  {value} = load {kind}, ptr {value}.slot")
        return value

    def pointer(self, name: str) -> str:
        return self._argument(name, "ptr")

    def address(self, tensor: Tensor, index: Sequence[IntLike]) -> str:
        flat, item = tensor.flat(index), SCALAR[tensor.dtype]
        if isinstance(flat, int):
            return self.offset(tensor.base, item, flat)
        moving = Int(self, flat.terms)
        key = ("address", tensor.base, item, tuple(sorted(flat.terms.items())))
        start = self.once(key, lambda: self.put(f"getelementptr {item}, ptr {tensor.base}, i64 {self.index(moving)}", "p"))
        return self.offset(start, item, flat.const)

    def offset(self, pointer: str, item: str, elements: int) -> str:
        if not elements:
            return pointer
        return self.once(("offset", pointer, item, elements),
                         lambda: self.put(f"getelementptr {item}, ptr {pointer}, i64 {elements}", "p"))

    # control
    @contextmanager
    def inside(self, label: str, after: str) -> Iterator[None]:
        """A block that goes on to another one; what is computed in it is known only there."""
        self.label(label)
        self.known.append({})
        yield
        self.known.pop()
        self.lines.append(f"  br label %{after}")

    def loop(self, first: IntLike, last: IntLike, step: IntLike) -> Iterator[Int]:
        begin, end, by = self.index(first), self.index(last), self.index(step)
        self.count += 1
        n = self.count
        before, i = self.block, f"%i{n}"
        self.lines.append(f"  br label %head{n}")
        self.label(f"head{n}")
        self.lines.append(f"  {i} = phi i64 [ {begin}, %{before} ], [ {i}.next, %latch{n} ]")
        self.lines.append(f"  {i}.more = icmp slt i64 {i}, {end}")
        self.lines.append(f"  br i1 {i}.more, label %body{n}, label %done{n}")
        if isinstance(first, int) and isinstance(step, int):
            self.steps[i] = math.gcd(first, step)
        with self.inside(f"body{n}", f"latch{n}"):
            yield self.as_int(i)
        self.label(f"latch{n}")
        self.lines.append(f"  {i}.next = add nsw i64 {i}, {by}")
        self.lines.append(f"  br label %head{n}")
        self.label(f"done{n}")

    def branch(self, condition: Num) -> Iterator[None]:
        self.count += 1
        n = self.count
        self.lines.append(f"  br i1 {condition.payload}, label %then{n}, label %after{n}")
        with self.inside(f"then{n}", f"after{n}"):
            yield None
        self.label(f"after{n}")

    def passed_on(self, total: IntLike, unit: IntLike, share: int) -> Iterator[tuple[IntLike, IntLike]]:
        for step in self.loop(0, self.min(self.threads, NEIGHBOURS), 1):
            owner = (self.thread + step) % self.threads
            begin, end = part_of(owner, self.threads, total)
            by, count = cut(self, begin, end, unit)
            counter = self.put(f"getelementptr i64, ptr %taken, i64 {self.index(owner * SHARES + share)}", "p")
            for number in self.taken(counter, count):
                yield stretch(self, begin, end, by, number)

    def taken(self, counter: str, stretches: IntLike) -> Iterator[IntLike]:
        """Takes one of so many stretches after the other, until none is left; it looks first, as adding claims the cache line."""
        self.count += 1
        n, last = self.count, self.index(stretches)
        self.lines.append(f"  br label %take{n}")
        self.label(f"take{n}")
        self.lines.append(f"  %seen{n} = load atomic i64, ptr {counter} monotonic, align 8")
        self.lines.append(f"  %left{n} = icmp slt i64 %seen{n}, {last}")
        self.lines.append(f"  br i1 %left{n}, label %claim{n}, label %none{n}")
        self.label(f"claim{n}")
        self.lines.append(f"  %taken{n} = atomicrmw add ptr {counter}, i64 1 monotonic")
        self.lines.append(f"  %some{n} = icmp slt i64 %taken{n}, {last}")
        self.lines.append(f"  br i1 %some{n}, label %mine{n}, label %none{n}")
        with self.inside(f"mine{n}", f"take{n}"):
            yield self.as_int(f"%taken{n}")
        self.label(f"none{n}")

    # values
    def num(self, kind: str, lanes: int, line: str) -> Num:
        return Num(self, kind, lanes, self.put(line))

    def constant(self, value: float, lanes: int = 1, kind: str = "f32") -> Num:
        if kind == "f32":
            rounded = struct.unpack("f", struct.pack("f", value))[0]
            text = "0x" + struct.pack(">d", rounded).hex().upper()
        elif kind == "bool":
            text = "true" if value else "false"
        else:
            text = str((int(value) + 2**31) % 2**32 - 2**31)
        item = SCALAR[kind]
        return Num(self, kind, lanes, text if lanes == 1 else "<" + ", ".join([f"{item} {text}"] * lanes) + ">")

    def binary(self, name: str, a: Num, b: Num) -> Num:
        kind = llvm_type(a.kind, a.lanes)
        if name in COMPARE:
            verb = f"fcmp {COMPARE[name][0]}" if a.kind == "f32" else f"icmp {COMPARE[name][1]}"
            return self.num("bool", a.lanes, f"{verb} {kind} {a.payload}, {b.payload}")
        if name in ("max", "min"):
            above = self.binary("gt" if name == "max" else "lt", a, b)
            return self.where(above, a, b)
        if (name, a.kind) not in BINARY:
            raise KernelError(f"{caller()}: {name} does not exist for {a.kind}")
        return self.num(a.kind, a.lanes, f"{BINARY[name, a.kind]} {kind} {a.payload}, {b.payload}")

    def unary(self, name: str, a: Num) -> Num:
        kind = llvm_type(a.kind, a.lanes)
        if name in CONVERT:
            verb, to = CONVERT[name]
            return self.num(to, a.lanes, f"{verb} {kind} {a.payload} to {llvm_type(to, a.lanes)}")
        if name == "round" and not (self.machine.masks or self.machine.fma):
            magic = self.constant(1.5 * 2**23, a.lanes)  # SSE2 has no rounding instruction; good for |a| < 2**22
            return self.binary("sub", self.binary("add", a, magic), magic)
        function = f"llvm.{INTRINSIC[name]}.{suffix(a.kind, a.lanes)}"
        return Num(self, a.kind, a.lanes, self.call(function, kind, (kind, a.payload)))

    def fma(self, a: Num, b: Num, c: Num) -> Num:
        for other in (b, c):
            if (other.lanes, other.kind) != (a.lanes, a.kind):
                raise KernelError(f"{caller()}: fma: {a.kind} x {a.lanes} with {other.kind} x {other.lanes}")
        if not self.machine.fma:
            return self.binary("add", self.binary("mul", a, b), c)
        kind = llvm_type(a.kind, a.lanes)
        function = f"llvm.fma.{suffix(a.kind, a.lanes)}"
        return Num(self, a.kind, a.lanes, self.call(function, kind, (kind, a.payload), (kind, b.payload), (kind, c.payload)))

    def splat(self, value: Any, lanes: int) -> Num:
        if not isinstance(value, Num):
            return self.constant(value, lanes)
        if value.lanes == lanes:
            return value
        kind = llvm_type(value.kind, lanes)
        one = self.put(f"insertelement {kind} poison, {SCALAR[value.kind]} {value.payload}, i32 0")
        return self.num(value.kind, lanes, f"shufflevector {kind} {one}, {kind} poison, <{lanes} x i32> zeroinitializer")

    def iota(self, lanes: int) -> Num:
        return Num(self, "i32", lanes, "0" if lanes == 1 else "<" + ", ".join(f"i32 {i}" for i in range(lanes)) + ">")

    def shuffle(self, a: Num, b: Num, lanes: Sequence[int]) -> Num:
        kind, order = llvm_type(a.kind, a.lanes), ", ".join(f"i32 {i}" for i in lanes)
        picked = f"<{len(lanes)} x i32> <{order}>"
        return self.num(a.kind, len(lanes), f"shufflevector {kind} {a.payload}, {kind} {b.payload}, {picked}")

    def where(self, condition: Num, a: Num, b: Num) -> Num:
        kind = llvm_type(a.kind, a.lanes)
        return self.num(a.kind, a.lanes, f"select {llvm_type('bool', condition.lanes)} {condition.payload}, "
                                         f"{kind} {a.payload}, {kind} {b.payload}")

    def from_int(self, value: IntLike, kind: str = "i32") -> Num:
        if isinstance(value, int):
            return self.constant(value, 1, kind)
        small = self.num("i32", 1, f"trunc i64 {self.index(value)} to i32")
        return small if kind == "i32" else self.unary("to_f32", small)

    def to_int(self, value: Num) -> IntLike:
        return self.as_int(self.put(f"sext i32 {value.payload} to i64", "n"))

    def reduce(self, name: str, a: Num) -> Num:
        if a.lanes == 1:
            return a
        kind = llvm_type(a.kind, a.lanes)
        if name == "max":  # LLVM's own reduction spends most of its time on NaN
            half = a.lanes // 2
            low, high = ([i + start for i in range(half)] for start in (0, half))
            if half == 1:
                return self.binary("max", *(self.num(a.kind, 1, f"extractelement {kind} {a.payload}, i32 {i}") for i in (0, 1)))
            return self.reduce(name, self.binary("max", self.shuffle(a, a, low), self.shuffle(a, a, high)))
        function = f"llvm.vector.reduce.fadd.{suffix(a.kind, a.lanes)}"
        zero = self.constant(0.0).payload
        return Num(self, a.kind, 1, self.call(function, "float", ("float", zero), (kind, a.payload), flags="reassoc "))

    # cells
    def cell_new(self, start: Num) -> Cell:
        place = self.fresh("c")
        self.entry.append(f"  {place} = alloca {llvm_type(start.kind, start.lanes)}")
        cell = Cell(self, start.kind, start.lanes, place)
        self.cell_set(cell, start)
        return cell

    def cell_get(self, cell: Cell) -> Num:
        return self.num(cell.kind, cell.lanes, f"load {llvm_type(cell.kind, cell.lanes)}, ptr {cell.place}")

    def cell_set(self, cell: Cell, value: Num) -> None:
        if (value.lanes, value.kind) != (cell.lanes, cell.kind):
            raise KernelError(f"{caller()}: a cell of {cell.kind} x {cell.lanes} cannot hold {value.kind} x {value.lanes}")
        self.lines.append(f"  store {llvm_type(cell.kind, cell.lanes)} {value.payload}, ptr {cell.place}")

    # memory
    def mask(self, lanes: int, count: IntLike) -> str:
        if isinstance(count, int):
            return "<" + ", ".join(f"i1 {'true' if i < count else 'false'}" for i in range(lanes)) + ">"
        limit = self.splat(self.from_int(count), lanes)
        return self.binary("lt", self.iota(lanes), limit).payload

    def load(self, tensor: Tensor, index: Sequence[IntLike], lanes: int, count: IntLike | None) -> Num:
        pointer, item = self.address(tensor, index), SCALAR[tensor.dtype]
        whole = item if lanes == 1 else f"<{lanes} x {item}>"
        kind = "f32" if tensor.dtype == "f32" else "i32"
        if count is None:
            value = self.put(f"load {whole}, ptr {pointer}, align {4 if tensor.dtype != 'u8' else 1}")
        elif lanes == 1:
            raise KernelError(f"{caller()}: a scalar cannot be read in part; use k.when")
        else:
            value = self.call(f"llvm.masked.load.{'v'}{lanes}{ {'float': 'f32'}.get(item, item) }.p0", whole, ("ptr", pointer),
                              ("i32", "4" if tensor.dtype != "u8" else "1"), (f"<{lanes} x i1>", self.mask(lanes, count)),
                              (whole, "zeroinitializer"))
        if tensor.dtype == "u8":
            value = self.put(f"zext {whole} {value} to {llvm_type('i32', lanes)}")
        elif tensor.dtype == "i64":
            value = self.put(f"trunc {whole} {value} to {llvm_type('i32', lanes)}")
        return Num(self, kind, lanes, value)

    def load_int(self, tensor: Tensor, index: Sequence[IntLike]) -> IntLike:
        item = SCALAR[tensor.dtype]
        value = self.put(f"load {item}, ptr {self.address(tensor, index)}, align 1")
        widen = "zext" if item == "i8" else "sext"
        return self.as_int(value if item == "i64" else self.put(f"{widen} {item} {value} to i64", "n"))

    def prefetch(self, tensor: Tensor, index: Sequence[IntLike]) -> None:
        self.declared.setdefault("llvm.prefetch.p0", "declare void @llvm.prefetch.p0(ptr, i32, i32, i32)")
        self.lines.append(f"  call void @llvm.prefetch.p0(ptr {self.address(tensor, index)}, i32 0, i32 3, i32 1)")

    def store(self, tensor: Tensor, value: Num, index: Sequence[IntLike], count: IntLike | None, past: bool) -> None:
        pointer, item, payload = self.address(tensor, index), SCALAR[tensor.dtype], value.payload
        whole = item if value.lanes == 1 else f"<{value.lanes} x {item}>"
        if tensor.dtype == "u8":
            payload = self.put(f"trunc {llvm_type('i32', value.lanes)} {payload} to {whole}")
        if count is None and past and value.lanes == LINE and self.divisor(tensor.flat(index)) % LINE == 0:
            self.metadata.add("!0 = !{i32 1}")
            self.lines.append(f"  store {whole} {payload}, ptr {pointer}, align {4 * LINE}, !nontemporal !0")
            return
        if count is None:
            self.lines.append(f"  store {whole} {payload}, ptr {pointer}, align {4 if tensor.dtype != 'u8' else 1}")
            return
        function = f"llvm.masked.store.v{value.lanes}{ {'float': 'f32'}.get(item, item) }.p0"
        mask = self.mask(value.lanes, count)
        types = f"{whole}, ptr, i32, <{value.lanes} x i1>"
        self.declared.setdefault(function, f"declare void @{function}({types})")
        align = 4 if tensor.dtype != "u8" else 1
        self.lines.append(f"  call void @{function}({whole} {payload}, ptr {pointer}, i32 {align}, <{value.lanes} x i1> {mask})")
