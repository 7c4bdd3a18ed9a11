"""The graph: what a network is, once its Python has run.

`trace` calls a module with symbolic values; each operator that they meet becomes a Node. Nodes are stored in the order
in which they were made, which is a topological order: every walk is a loop over `graph.nodes`, never a recursion.

    graph = trace(net, (1, 3, 224, 224))
    for node in graph.nodes:
        node.op, node.inputs, node.outputs, node.module, node.location
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from striate.errors import ArgumentError, DtypeError, ShapeError
from striate.ops.base import Array, Op, Spec
from striate.value import Value

PACKAGE = str(Path(__file__).parent) + os.sep
COMMANDS = PACKAGE + "cli" + os.sep
DTYPES = {"float32", "float64", "int64", "int32", "uint8", "bool"}


class Counter:
    """Counts events of one kind in all networks."""

    def __init__(self) -> None:
        self.count = 0

    def note(self) -> int:
        """One more; its number."""
        self.count += 1
        return self.count


writes = Counter()
"""Writes to the arrays that graphs read: a program with copies of its own looks at them again when this has changed."""


class Node:
    """One operator at work: inputs, outputs, and its place in the network and in the user's code."""

    __slots__ = ("inputs", "location", "module", "op", "outputs")

    def __init__(self, op: Op, inputs: tuple[Value, ...], module: str, location: str):
        self.op: Any = op  # whoever reads its attributes has looked at its type
        self.inputs, self.module, self.location = inputs, module, location
        self.outputs: tuple[Value, ...] = ()

    @property
    def output(self) -> Value:
        """The first output; most operators have no other."""
        return self.outputs[0]

    @property
    def place(self) -> str:
        return place(self.op.name, self.module, self.location)

    def __repr__(self) -> str:
        call = f"{self.op.name}({', '.join(v.name for v in self.inputs)})"
        shapes = " ".join(str(v.shape) for v in self.outputs)
        return f"{', '.join(v.name for v in self.outputs)} = {call} {self.op.attributes()}".rstrip() + f" -> {shapes}"


class Graph:
    """Nodes in topological order, with inputs, parameters, buffers, constants and outputs."""

    def __init__(self) -> None:
        self.nodes: list[Node] = []
        self.inputs: list[Value] = []
        self.parameters: dict[str, Value] = {}
        self.buffers: dict[str, Value] = {}
        self.outputs: list[Value] = []
        self.first: int | None = None
        """How many outputs are wanted, with all updates, before the others are computed; None for all of them."""
        self.updates: dict[Value, Value] = {}
        """Parameter or buffer -> the value that it takes when the graph has run."""
        self.sources: dict[Value, Any] = {}
        """Parameter or buffer -> the object that holds its array (it has `.data`)."""
        self.random: Value | None = None
        self.structure: Callable[[list[Any]], Any] = lambda outputs: outputs[0]
        """Puts a list of outputs into the form in which `forward` returned them."""
        self.paths: dict[int, str] = {}
        self._scope: list[Any] = []
        self._lifted: dict[int, Value] = {}
        self._names: dict[str, int] = {}
        self._place: tuple[str, str] | None = None

    # building
    def input(self, shape: Sequence[int], dtype: str = "float32", name: str = "x") -> Value:
        value = Value(self, Spec(tuple(int(n) for n in shape), dtype), self._fresh(name))
        self.inputs.append(value)
        return value

    def source(self, holder: Any, kind: str) -> Value:
        """The value of a parameter or buffer: one for each holder, named by its path in the network."""
        if id(holder) not in self._lifted:
            known = self.parameters if kind == "parameter" else self.buffers
            name = self.paths.get(id(holder)) or self._fresh(kind)
            value = Value(self, Spec(tuple(holder.shape), str(holder.dtype)), name)
            self._lifted[id(holder)] = known[name] = value
            self.sources[value] = holder
        return self._lifted[id(holder)]

    def constant(self, array: Any) -> Value:
        data = np.array(array)
        if str(data.dtype) in ("float64", "float16") or (data.ndim == 0 and data.dtype.kind in "biu"):
            data = data.astype(np.float32)
        if str(data.dtype) not in DTYPES:
            raise ArgumentError(f"{type(array).__name__} {array!r} is no array or number; use values, arrays and numbers")
        if data.dtype.kind in "iub":
            data = data.astype(np.int64)
        value = Value(self, Spec(data.shape, str(data.dtype)), str(data) if data.ndim == 0 else self._fresh("constant"))
        value.constant = data
        return value

    def random_state(self) -> Value:
        """(seed, step) as two whole numbers: what every random mask of the graph is drawn from."""
        if self.random is None:
            self.random = Value(self, Spec((2,), "int64"), "random")
        return self.random

    def lift(self, item: Any) -> Value:
        """A Value out of a Value, a parameter, a buffer, an array or a number."""
        if isinstance(item, Value):
            if item.graph is not self:
                raise ArgumentError(f"'{item.name}' belongs to another trace; use only values of this call of forward")
            return item
        return item.lift(self) if hasattr(item, "lift") else self.constant(item)

    def apply(self, op: Op, *items: Any) -> Any:
        """Add a node; returns its output, or a tuple where the operator has several."""
        inputs = tuple(self.lift(item) for item in items)
        module, location = self._module(), self._location()
        try:
            specs = op.infer(*(v.spec for v in inputs))
        except ShapeError as error:
            raise error.at(place(op.name, module, location)) from None
        node = Node(op, inputs, module, location)
        several = specs if isinstance(specs, tuple) else (specs,)
        node.outputs = tuple(Value(self, spec, self._fresh(op.name), node, i) for i, spec in enumerate(several))
        self.nodes.append(node)
        return node.outputs if isinstance(specs, tuple) else node.outputs[0]

    @contextmanager
    def inside(self, module: Any) -> Iterator[None]:
        """Nodes made here carry the module's path."""
        self._scope.append(module)
        try:
            yield
        finally:
            self._scope.pop()

    @contextmanager
    def at(self, node: Node) -> Iterator[None]:
        """Nodes made here carry the place of another node: a gradient that of the layer it belongs to."""
        before, self._place = self._place, (node.module, node.location)
        try:
            yield
        finally:
            self._place = before

    def _module(self) -> str:
        if self._place:
            return self._place[0]
        return self.paths.get(id(self._scope[-1]), "") if self._scope else ""

    def _location(self) -> str:
        """file:line of the user's forward, or else of the line that built the module."""
        if self._place:
            return self._place[1]
        frame = sys._getframe(2)
        while frame is not None and frame.f_code.co_filename.startswith(PACKAGE):
            if frame.f_code.co_name == "trace_values":  # the trace began here: no user's forward in between
                return next((m.built_at for m in reversed(self._scope) if getattr(m, "built_at", "")), "")
            frame = frame.f_back
        return f"{Path(frame.f_code.co_filename).name}:{frame.f_lineno}" if frame is not None else ""

    def _fresh(self, name: str) -> str:
        count = self._names[name] = self._names.get(name, -1) + 1
        return f"{name}_{count}" if count else name

    # reading
    def users(self) -> dict[Value, list[Node]]:
        """The nodes that read each value."""
        table: dict[Value, list[Node]] = {}
        for node in self.nodes:
            for value in node.inputs:
                table.setdefault(value, []).append(node)
        return table

    def needed_for(self, values: Iterable[Value]) -> list[Node]:
        """The nodes that these values depend on, in order."""
        needed, found = set(values), []
        for node in reversed(self.nodes):
            if needed.intersection(node.outputs):
                needed.update(node.inputs)
                found.append(node)
        return found[::-1]

    def copy(self) -> Graph:
        """The same graph with nodes and values of its own, for a walk that rewrites it."""
        twin, values = Graph(), {}

        def own(value: Value) -> Value:
            if value not in values:
                values[value] = Value(twin, value.spec, value.name, None, value.index)
                values[value].constant = value.constant
            return values[value]

        for node in self.nodes:
            made = Node(node.op, tuple(map(own, node.inputs)), node.module, node.location)
            made.outputs = tuple(map(own, node.outputs))
            for value in made.outputs:
                value.producer = made
            twin.nodes.append(made)
        twin.inputs, twin.outputs, twin.first = [own(v) for v in self.inputs], [own(v) for v in self.outputs], self.first
        twin.parameters = {name: own(v) for name, v in self.parameters.items()}
        twin.buffers = {name: own(v) for name, v in self.buffers.items()}
        twin.updates = {own(old): own(new) for old, new in self.updates.items()}
        twin.sources = {own(v): holder for v, holder in self.sources.items()}
        twin.random = own(self.random) if self.random is not None else None
        twin.structure, twin.paths = self.structure, self.paths
        twin._lifted, twin._names = {key: own(v) for key, v in self._lifted.items()}, dict(self._names)
        return twin

    def prune(self) -> Graph:
        """Drop nodes that no output and no update needs."""
        self.nodes = self.needed_for([*self.outputs, *self.updates.values()])
        return self

    def __str__(self) -> str:
        lines = [f"input {v.name}: {v.dtype} {v.shape}" for v in self.inputs]
        lines += [f"parameter {v.name}: {v.shape}" for v in self.parameters.values()]
        lines += [f"buffer {v.name}: {v.shape}" for v in self.buffers.values()]
        lines += [repr(n) + (f"    # {n.module}" if n.module else "") for n in self.nodes]
        lines += [f"update {old.name} <- {new.name}" for old, new in self.updates.items()]
        return "\n".join([*lines, "return " + ", ".join(v.name for v in self.outputs)])

    def evaluate(self, inputs: Sequence[Array], dtype: Any = np.float32, random: tuple[int, int] = (0, 0)) -> dict[Value, Array]:
        """Every value's array, computed by the operators' references."""
        arrays: dict[Value, Array] = dict(zip(self.inputs, [_cast(np.asarray(x), dtype) for x in inputs], strict=True))
        arrays.update({value: _cast(holder.data, dtype) for value, holder in self.sources.items()})
        if self.random is not None:
            arrays[self.random] = np.asarray(random, np.int64)
        for node in self.nodes:
            arrays.update({v: _cast(v.constant, dtype) for v in node.inputs if v.constant is not None})
            with np.errstate(all="ignore"):  # infinities and NaN are answers, as in machine code
                made = node.op.reference(*(arrays[v] for v in node.inputs))
            arrays.update(zip(node.outputs, map(np.asarray, made if isinstance(made, tuple) else (made,)), strict=True))
        return arrays

    def run(self, *inputs: Array, target: str = "cpu", dtype: Any = np.float32) -> Any:
        """The outputs for given inputs, on a target: 'reference' (NumPy, float32 or float64) or 'cpu' (machine code)."""
        given = list(inputs[0]) if len(inputs) == 1 and isinstance(inputs[0], (list, tuple)) else list(inputs)
        check_inputs(self, given)
        if target == "reference":
            arrays = self.evaluate(given, dtype)
            return self.structure([arrays[v] if v.constant is None else v.constant for v in self.outputs])
        if target == "cpu":
            if np.dtype(dtype) != np.float32:
                raise DtypeError("the cpu target computes in float32 only", fix="use target='reference' for float64")
            from striate.cpu import run_graph  # a target reads the graph, so it is looked up when it is asked for

            return run_graph(self, given)
        raise ArgumentError(f"unknown target '{target}'; use 'reference' or 'cpu'")


def _cast(array: Array, dtype: Any) -> Array:
    return array.astype(dtype) if array.dtype.kind == "f" else array


def place(op: str, module: str, location: str) -> str:
    """`conv2d 'features.3' (net.py:12)`."""
    return op + (f" '{module}'" if module else "") + (f" ({location})" if location else "")


def check_inputs(graph: Graph, inputs: Sequence[Array]) -> None:
    """Refuse arrays that differ from what the graph was traced for."""
    if len(inputs) != len(graph.inputs):
        raise ArgumentError(f"the graph takes {len(graph.inputs)} inputs, got {len(inputs)}")
    for value, array in zip(graph.inputs, inputs, strict=True):
        if np.shape(array) != value.shape:
            raise ShapeError(f"input '{value.name}' has shape {np.shape(array)}, the graph was traced for {value.shape}",
                             fix="trace again for this shape")
        kind = np.asarray(array).dtype
        if (kind.kind == "f") != value.dtype.startswith("float"):
            raise DtypeError(f"input '{value.name}' has dtype {kind}, the graph was traced for {value.dtype}",
                             fix=f"convert it with astype('{value.dtype}')")


def trace(module: Any, *inputs: Any) -> Graph:
    """The graph of a module, for inputs given as shapes, Specs or arrays.

    >>> from striate import nn
    >>> print(trace(nn.Sequential(nn.Conv2d(1, 6, 5), nn.ReLU()), (1, 1, 28, 28)))
    input x: float32 (1, 1, 28, 28)
    parameter 0.weight: (6, 1, 5, 5)
    parameter 0.bias: (6,)
    conv2d = conv2d(x, 0.weight, 0.bias) window=5x5 -> (1, 6, 24, 24)    # 0
    relu = relu(conv2d) -> (1, 6, 24, 24)    # 1
    return relu
    """
    graph = Graph()
    graph.paths.update(paths_of(module))
    values = [graph.input(spec.shape, spec.dtype) for spec in map(as_spec, inputs)]
    finish(graph, trace_values(module, values))
    return graph.prune()


def trace_values(module: Any, values: Sequence[Any]) -> Any:
    """Call a module on symbolic values. Its name marks the end of the user's code in a stack of frames."""
    return module(*values)


def finish(graph: Graph, result: Any) -> None:
    """Note the outputs of a trace and the form in which forward returned them."""
    graph.outputs, graph.structure = unpack(graph, result)


def unpack(graph: Graph, result: Any) -> tuple[list[Value], Callable[[list[Any]], Any]]:
    """Outputs as a flat list, and the way back to a value, or to tuples, lists and dicts of values; None stays None."""
    found: list[Value] = []

    def rebuild(item: Any) -> Callable[[list[Any]], Any]:
        if isinstance(item, dict):
            named = {key: rebuild(part) for key, part in item.items()}
            return lambda outputs: {key: part(outputs) for key, part in named.items()}
        if isinstance(item, (tuple, list)):
            make = getattr(type(item), "_make", type(item))  # a named tuple takes its fields one by one
            parts = [rebuild(part) for part in item]
            return lambda outputs: make([part(outputs) for part in parts])
        if item is None:
            return lambda outputs: None
        place = len(found)
        found.append(graph.lift(item))
        return lambda outputs: outputs[place]

    structure = rebuild(result) if isinstance(result, (Value, dict, tuple, list)) else None
    if structure is None or not found:
        raise ArgumentError(f"forward returned {type(result).__name__}; return a value, or a tuple, list or dict of values")
    return found, structure


def paths_of(module: Any) -> dict[int, str]:
    """id -> dotted path, for every module, parameter and buffer."""
    paths = {}
    for walk in ("named_modules", "named_parameters", "named_buffers"):
        paths.update({id(item): name for name, item in getattr(module, walk, list)()})
    return paths


def as_spec(item: Any) -> Spec:
    """A Spec out of a shape, a Spec or an array; numbers are float32, whole numbers int64.

    >>> as_spec((1, 3, 8, 8)), as_spec(np.zeros(2))
    (Spec(shape=(1, 3, 8, 8), dtype='float32'), Spec(shape=(2,), dtype='float32'))
    """
    if isinstance(item, Spec):
        return item
    if isinstance(item, np.ndarray):
        return Spec(item.shape, {"f": "float32"}.get(item.dtype.kind, "int64"))
    try:
        return Spec(tuple(int(n) for n in item))
    except (TypeError, ValueError):
        raise ArgumentError(f"trace needs a shape such as (1, 3, 224, 224), got {item!r}") from None
