"""Compiled networks: calling a net, gradients, and whole training steps.

    net(x)                                  forward
    vjp(net, x)                             forward, and a function that carries gradients back
    value_and_grad(net, loss)(x, y)         loss and gradients of the parameters
    compile(net, loss, optimizer)(x, y)     forward, backward and update in one native call

Each is a trace, a walk that adds gradients and updates to the graph, and a program; programs are kept for each shape.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from striate import ops, random
from striate.cpu import threads
from striate.cpu.program import Program
from striate.errors import ArgumentError, DataError, DtypeError, ShapeError
from striate.gradient import differentiate
from striate.graph import Graph, Node, Value, as_spec, finish, paths_of, trace_values, unpack
from striate.nn.module import Module, Parameter, Variable, changes
from striate.ops.base import Op

Array = np.ndarray


def new_graph(net: Module, loss: Any = None) -> Graph:
    """An empty graph that knows the paths of the network's modules and parameters."""
    graph = Graph()
    if isinstance(loss, Module):
        graph.paths.update({key: f"loss.{path}" if path else "loss" for key, path in paths_of(loss).items()})
    graph.paths.update(paths_of(net))
    return graph


def as_array(x: Any, name: str = "x") -> Array:
    """An input as a NumPy array of a type that programs take: float32 or int64."""
    array = np.asarray(x.detach().numpy() if hasattr(x, "detach") else x)
    if array.dtype.kind == "f":
        return array if array.dtype == np.float32 else array.astype(np.float32)
    if array.dtype.kind in "iub":
        return array.astype(np.int64)
    raise DtypeError(f"{name} has dtype {array.dtype}", fix="give an array of numbers, float32 for images and int64 for labels")


def as_images(x: Any, name: str = "x") -> Array:
    """An input of a network: floats, or whole numbers as int64; nothing is scaled."""
    array = as_array(x, name)
    if 0 in array.shape:
        raise ShapeError(f"{name} has shape {array.shape}, which holds no numbers", fix="give a batch of at least one image")
    return array


class Programs:
    """The programs of one network for one purpose, by the shapes of their inputs and the state of the modules.

    loss: traced together with the network, where it is a module too.
    """

    def __init__(self, build: Callable[..., tuple[Graph, Any]], net: Module, loss: Any = None):
        self.build, self.net = build, net
        self.roots = [net, loss] if isinstance(loss, Module) else [net]
        self.known: dict[Any, tuple[Program, Any]] = {}
        self.seen, self.state = -1, ()
        self.lock = threading.RLock()

    def of(self, *inputs: Array) -> tuple[Program, Any]:
        shapes = tuple((x.shape, x.dtype.char) for x in inputs)
        with self.lock:
            key = (shapes, self.mode(), threads.get_num_threads())
            if key not in self.known:
                graph, extra = self.build(*inputs)
                stores = list(dict.fromkeys(program.store for program, _ in self.known.values()))
                program = Program(graph, precise=getattr(self.net, "precise", False), shared=stores)
                key = (shapes, self.mode(), threads.get_num_threads())  # a forward may set attributes; they count from now on
                self.known[key] = program, extra
            return self.known[key]

    def mode(self) -> tuple[Any, ...]:
        """What besides shapes decides how a network is traced; looked up again only when some module has changed."""
        if self.seen != changes.count:
            modules = tuple((m.revision, m.training) for root in self.roots for m in root.modules())
            self.state = modules, tuple((id(p), p.requires_grad) for root in self.roots for p in root.parameters())
            self.seen = changes.count
        return self.state


def run_module(net: Module, inputs: Sequence[Any]) -> Any:
    """net(x) for arrays."""
    arrays = [as_images(x) for x in inputs]
    if not arrays:
        raise ArgumentError(f"{type(net).__name__} was called without an input; give it an array")
    program, structure = _programs(net, "forward", lambda: _forward_builder(net)).of(*arrays)
    return structure(program.run(arrays, random.run_key()))


def forward_program(net: Module, *inputs: Array) -> Program:
    """The program that net(*inputs) runs."""
    return _programs(net, "forward", lambda: _forward_builder(net)).of(*inputs)[0]


def _programs(net: Module, purpose: str, builder: Callable[[], Callable[..., tuple[Graph, Any]]]) -> Programs:
    if purpose not in net._programs:
        net._programs[purpose] = Programs(builder(), net)
    return net._programs[purpose]


def _forward_builder(net: Module) -> Callable[..., tuple[Graph, Any]]:
    def build(*inputs: Array) -> tuple[Graph, Any]:
        graph = new_graph(net)
        finish(graph, trace_values(net, [graph.input(*_spec(x)) for x in inputs]))
        return graph.prune(), graph.structure

    return build


def _spec(x: Array) -> tuple[tuple[int, ...], str]:
    spec = as_spec(x)
    return spec.shape, spec.dtype


# gradients


def vjp(net: Module, *inputs: Any) -> tuple[Any, Callable[..., Any]]:
    """The output, and `pullback(dy) -> (dx, dparams)`: the vector-Jacobian product.

    dx is an array (or a tuple, for several inputs), dparams a dict by parameter name. Parameters with
    requires_grad = False and inputs of whole numbers have no gradient.

    >>> import numpy as np
    >>> from striate import nn
    >>> y, pullback = vjp(nn.ReLU(), np.array([[-1.0, 2.0]], np.float32))
    >>> pullback(np.ones_like(y))[0].tolist()
    [[0.0, 1.0]]
    """
    arrays = [as_images(x).copy() for x in inputs]
    program, (structure, names, count) = _programs(net, "vjp", lambda: _vjp_builder(net)).of(*arrays)
    space, key = program.workspace(), random.run_key()
    seeds = [np.zeros(v.shape, np.float32) for v in program.graph.inputs[len(arrays):]]
    program.begin(space, [*arrays, *seeds], key)
    program.execute(space, 0, program.split)
    outputs = [program.result(space, i) for i in range(count)]

    y = structure(outputs)

    def pullback(*dy: Any) -> tuple[Any, dict[str, Array]]:
        for held, array in zip(space.inputs[len(arrays):], _seeds(y, outputs, dy), strict=True):
            held[...] = array
        program.execute(space, program.split)
        found = [program.result(space, i) for i in range(count, len(program.results))]
        dx = [found.pop(0) if x.dtype.kind == "f" else None for x in arrays]
        return (dx[0] if len(dx) == 1 else tuple(dx)), dict(zip(names, found, strict=True))

    weakref.finalize(pullback, program.release, space)
    return y, pullback


def _seeds(y: Any, outputs: Sequence[Array], dy: Sequence[Any]) -> list[Any]:
    """One dy for each output: given one by one, or in the form in which the network returned them."""
    form, given = dy[0] if len(dy) == 1 else None, list(dy)
    if isinstance(y, dict) and isinstance(form, dict):
        given = [form[name] for name in y if name in form]
    elif isinstance(y, (tuple, list)) and isinstance(form, (tuple, list)):
        given = list(form)
    shapes = [np.shape(array) for array in given]
    if shapes != [array.shape for array in outputs]:
        wanted = ", ".join(str(array.shape) for array in outputs)
        raise ShapeError(f"dy has shape {', '.join(map(str, shapes))} but the output has {wanted}",
                         fix="give dy the output's shape")
    return given


def _vjp_builder(net: Module) -> Callable[..., tuple[Graph, Any]]:
    def build(*inputs: Array) -> tuple[Graph, Any]:
        graph = new_graph(net)
        values = [graph.input(*_spec(x)) for x in inputs]
        outputs, structure = unpack(graph, trace_values(net, values))
        seeds = [graph.input(v.shape, v.dtype, "dy") for v in outputs]
        names = [n for n, v in graph.parameters.items() if graph.sources[v].requires_grad]
        wanted = [v for v in values if v.dtype == "float32"] + [graph.parameters[n] for n in names]
        found = differentiate(graph, outputs, seeds, wanted)
        zeros = [graph.constant(np.zeros(w.shape, np.float32)) for w in wanted]
        graph.outputs = outputs + [g if g is not None else z for g, z in zip(found, zeros, strict=True)]
        graph.first = len(outputs)
        return graph.prune(), (structure, names, len(outputs))

    return build


def value_and_grad(net: Module, loss: Callable[..., Any]) -> Callable[..., tuple[float, dict[str, Array]]]:
    """`f(x, *targets) -> (loss, gradients by parameter name)`."""
    programs = Programs(_loss_builder(net, loss), net, loss)

    def evaluate(x: Any, *targets: Any) -> tuple[float, dict[str, Array]]:
        arrays = [as_images(x), *(as_target(t) for t in targets)]
        program, (names, labels) = programs.of(*arrays)
        check_labels(labels, arrays)
        value, *gradients = program.run(arrays, random.run_key())
        return value.item(), dict(zip(names, gradients, strict=True))

    return evaluate


def as_target(y: Any) -> Array:
    """Targets: labels as int64, or floats; NaN is refused."""
    array = as_array(y, "y")
    if array.dtype == np.float32 and np.isnan(array).any():
        where = tuple(int(i) for i in np.argwhere(np.isnan(array))[0])
        raise DataError(f"the target is NaN at index {where}; remove or mend that sample")
    return array


def trace_loss(graph: Graph, net: Module, loss: Callable[..., Any],
               inputs: Sequence[Array]) -> tuple[Value, list[Value], Callable[..., Any]]:
    """Trace loss(net(x), *targets); returns the loss and the network's outputs."""
    x, *targets = inputs
    values = [graph.input(*_spec(x)), *(graph.input(*_spec(t), name="y") for t in targets)]
    result = trace_values(net, values[:1])
    outputs, structure = unpack(graph, result)
    value = trace_values(loss, [result, *values[1:]])
    if not isinstance(value, Value) or value.spec.size != 1:
        shape = getattr(value, "shape", type(value).__name__)
        raise ShapeError(f"the loss has shape {shape}, but training needs one number", fix="use reduction='mean' or 'sum'")
    return value, outputs, structure


def _loss_builder(net: Module, loss: Callable[..., Any]) -> Callable[..., tuple[Graph, Any]]:
    def build(*inputs: Array) -> tuple[Graph, Any]:
        graph = new_graph(net, loss)
        value, _, _ = trace_loss(graph, net, loss, inputs)
        names = [n for n, v in graph.parameters.items() if graph.sources[v].requires_grad]
        wanted = [graph.parameters[n] for n in names]
        seed = graph.constant(np.ones(value.shape, np.float32))
        found = differentiate(graph, [value], [seed], wanted)
        zeros = [graph.constant(np.zeros(w.shape, np.float32)) for w in wanted]
        graph.outputs = [value, *(g if g is not None else z for g, z in zip(found, zeros, strict=True))]
        return graph.prune(), (names, labels_of(graph))

    return build


# training


class Step:
    """`step(x, y) -> loss`: one training step as one native call.

    output is the network's output of the last step. Parameters are up to date whenever they are read.
    """

    def __init__(self, net: Module, loss: Callable[..., Any], optimizer: Any, clip_norm: float | None = None):
        if clip_norm is not None and not clip_norm > 0:
            raise ArgumentError(f"clip_norm must be greater than 0, got {clip_norm}")
        self.net, self.loss, self.optimizer, self.clip_norm = net, loss, optimizer, clip_norm
        optimizer.groups_for(net)  # what does not fit together is refused here
        self.hypers: dict[tuple[Any, ...], Variable] = {}
        self.programs = Programs(self._build, net, loss)
        self._last: Callable[[], Any] = lambda: None

    @property
    def output(self) -> Any:
        """The network's output of the last step; None before the first."""
        return self._last()

    def __call__(self, x: Any, *targets: Any) -> float:
        arrays = [as_images(x), *(as_target(t) for t in targets)]
        program, (structure, groups, labels) = self.programs.of(*arrays)
        check_labels(labels, arrays)
        for group, hyper in groups:
            hyper.put(group.hyper(self.optimizer.steps + 1))
        self.optimizer.steps += 1
        space = program.workspace()
        program.begin(space, arrays, random.run_key())
        program.execute(space)
        value = program.result(space, 0).item()
        program.release(space)
        self._last = lambda: structure([program.result(space, i) for i in range(1, len(program.results))])
        return value

    def program(self, *inputs: Array) -> Program:
        """The program of a step on such inputs."""
        return self.programs.of(*inputs)[0]

    def graph(self, *inputs: Array) -> Graph:
        """What a step computes for arrays of these shapes: both passes and the updates."""
        return self._build(*inputs)[0]

    def _build(self, *inputs: Array) -> tuple[Graph, Any]:
        graph = new_graph(self.net, self.loss)
        value, outputs, structure = trace_loss(graph, self.net, self.loss, inputs)
        groups = [(group, self._hyper(group)) for group in self.optimizer.groups_for(self.net)]
        trained = [(g, h, p) for g, h in groups for p in g.parameters]
        values = [graph.source(p, "parameter") for _, _, p in trained]
        seed = graph.constant(np.ones(value.shape, np.float32))
        gradients = differentiate(graph, [value], [seed], values)
        pairs = [(item, v, d) for item, v, d in zip(trained, values, gradients, strict=True) if d is not None]
        if not pairs:
            raise ArgumentError("no trained parameter reaches the loss; look at the network's forward and at requires_grad")
        if self.clip_norm is not None:
            graph.apply(ops.ClipScale(float(self.clip_norm)), graph.apply(ops.GradientNorm(), *(d for _, _, d in pairs)))
        for (group, hyper, parameter), old, gradient in pairs:
            self._update(graph, group, hyper, parameter, old, gradient)
        graph.outputs = [value, *outputs]
        clipping = [n for n in graph.nodes if isinstance(n.op, (ops.ClipScale, ops.GradientNorm))]
        graph.prune()
        graph.nodes += clipping  # they have no reader in the graph: the scale goes straight into the update kernels
        return graph, (structure, groups, labels_of(graph))

    def _hyper(self, group: Any) -> Variable:
        """A group's settings as arrays hold them: one for all batch shapes, so that their programs share a store."""
        return self.hypers.setdefault((group.op, *map(id, group.parameters)), Variable(group.hyper(1)))

    def _update(self, graph: Graph, group: Any, hyper: Variable, parameter: Parameter, old: Value, gradient: Value) -> None:
        states = [self.optimizer.state_of(parameter, name) for name in group.state_names]
        values = [graph.source(s, "buffer") for s in states]
        made = graph.apply(group.op, old, gradient, *values, graph.source(hyper, "buffer"))
        graph.updates.update(zip([old, *values], made if isinstance(made, tuple) else (made,), strict=True))


def compile(net: Module, loss: Callable[..., Any], optimizer: Any, clip_norm: float | None = None) -> Step:
    """A training step: forward, loss, backward and update compiled together, for each batch shape when it first comes.

    clip_norm scales the gradients down to this total norm where it is larger.
    """
    return Step(net, loss, optimizer, clip_norm)


@dataclass(frozen=True)
class Labels:
    """The target of a cross-entropy: which input it is, and what the network does to it on the way (slices, reshapes)."""

    source: int
    way: tuple[Op, ...]
    classes: int
    ignored: int


def labels_of(graph: Graph) -> list[Labels]:
    """The labels that a program reads. It must not read past a row, so they are checked before it runs."""
    found: dict[Labels, None] = {}
    for node in graph.nodes:
        if isinstance(node.op, (ops.CrossEntropy, ops.OneHot)):
            value, classes, ignored = _label_rule(node)
            way: list[Op] = []
            while value.producer is not None and len(value.producer.inputs) == 1:
                way.insert(0, value.producer.op)
                value = value.producer.inputs[0]
            if value in graph.inputs:
                found[Labels(graph.inputs.index(value), tuple(way), classes, ignored)] = None
    return list(found)


def _label_rule(node: Node) -> tuple[Value, int, int]:
    """The labels that a node reads, how many classes there are, and which label does not count."""
    if isinstance(node.op, ops.OneHot):
        return node.inputs[0], node.op.classes, 0  # every label counts; 0 is one of the classes
    return node.inputs[1], node.inputs[0].shape[1], node.op.ignore_index


def check_labels(labels: Sequence[Labels], inputs: Sequence[Array]) -> None:
    """Refuse labels outside of the classes that a cross-entropy knows."""
    for item in labels:
        given = inputs[item.source]
        for op in item.way:
            given = np.asarray(op.reference(given))
        if int(given.min()) < 0 or int(given.max()) >= item.classes:
            _refuse_labels(given, item.classes, item.ignored)


def _refuse_labels(labels: Array, classes: int, ignored: int) -> None:
    wrong = ((labels < 0) | (labels >= classes)) & (labels != ignored)
    if wrong.any():
        index = tuple(int(i) for i in np.argwhere(wrong)[0])
        place = index[0] if len(index) == 1 else index
        raise DataError(f"label {int(labels[index])} at index {place} is outside 0..{classes - 1}: "
                        f"the network has {classes} classes; mend the labels or give the last layer more outputs")
