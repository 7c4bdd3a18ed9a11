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
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np

from striate import ops, random
from striate.calling import Form, as_array, images_of, plain_form, split_arguments
from striate.cpu import threads
from striate.cpu.footprint import Planned
from striate.cpu.pieces import images_at_once
from striate.cpu.program import Program
from striate.errors import ArgumentError, DataError, ShapeError
from striate.gradient import differentiate
from striate.graph import Graph, Value, as_spec, finish, paths_of, trace_values, unpack
from striate.indices import check_numbers, numbers_of
from striate.nn.module import TRACED, Module, Parameter, Variable, changes

Array = np.ndarray


def new_graph(net: Module, loss: Any = None) -> Graph:
    """An empty graph that knows the paths of the network's modules and parameters."""
    graph = Graph()
    if isinstance(loss, Module):
        graph.paths.update({key: f"loss.{path}" if path else "loss" for key, path in paths_of(loss).items()})
    graph.paths.update(paths_of(net))
    return graph


FEW, MOST, BYTES = 4, 64, 2**30
"""Programs that a network keeps for one purpose: the newest few always, more while they are not too many and not too large."""


class Programs:
    """The programs of one network for one purpose, by the shapes of their inputs and the state of the modules.

    loss: traced together with the network, where it is a module too. What was not used for long is forgotten: a network that
    meets ever new sizes does not take ever more memory.
    """

    def __init__(self, build: Callable[..., tuple[Graph, Any]], net: Module, loss: Any = None):
        self.build, self.net = build, net
        self.roots = [net, loss] if isinstance(loss, Module) else [net]
        self.known: dict[Any, tuple[Program, Any]] = {}
        self.modes: dict[tuple[Any, ...], int] = {}
        self.seen = self.state = -1
        self.lock = threading.RLock()

    def of(self, *inputs: Array, **how: int) -> tuple[Program, Any]:
        """The program for such inputs, and what its builder said beside it; `how` goes to the builder."""
        shapes = (*((x.shape, x.dtype.char) for x in inputs), *how.items())
        with self.lock:
            key = (shapes, self.mode(), threads.get_num_threads())
            found = self.known.pop(key, None)
            if found is None:
                graph, extra = self.build(*inputs, **how)
                stores = list(dict.fromkeys(program.store for program, _ in self.known.values()))
                found = Program(graph, precise=getattr(self.net, "precise", False), shared=stores), extra
                key = (shapes, self.mode(), threads.get_num_threads())  # a forward may set attributes; they count from now on
                self.forget()
            self.known[key] = found  # the newest stands last
            return found

    def forget(self) -> None:
        """Leave out the programs that were not used for longest, where there is one more to come."""
        sizes = [program.memory.total for program, _ in self.known.values()]
        while len(sizes) >= FEW and (len(sizes) >= MOST or sum(sizes) > BYTES):
            del self.known[next(iter(self.known))], sizes[0]
        kept = {mode for _, mode, _ in self.known}
        self.modes = {state: mode for state, mode in self.modes.items() if mode in kept or mode == self.state}

    def mode(self) -> int:
        """A number for what besides shapes decides how a network is traced; looked up again only when some module has changed."""
        if self.seen != changes.count:
            modules = tuple((m.revision, m.training) for root in self.roots for m in root.modules())
            state = modules, tuple((id(p), p.requires_grad) for root in self.roots for p in root.parameters())
            self.seen = changes.count
            self.state = self.modes.setdefault(state, self.seen)
        return self.state


def run_module(net: Module, inputs: Sequence[Any], named: Mapping[str, Any] = MappingProxyType({})) -> Any:
    """net(x) for arrays, and for what else its forward takes."""
    arrays, form = split_arguments(inputs, named)
    if not arrays:
        raise ArgumentError(f"{type(net).__name__} was called without an input; give it an array")
    program, (structure, numbers, count) = _programs(net, form.of("forward"), lambda: _piece_builder(net, form)).of(*arrays)
    check_numbers(numbers, arrays)
    key = random.run_key()
    if count == 1:
        return structure(program.run(arrays, key))
    pieces = [program.run(piece, key) for piece in zip(*(np.split(x, count) for x in arrays), strict=True)]
    return structure([np.concatenate(parts) for parts in zip(*pieces, strict=True)])


def forward_program(net: Module, *inputs: Array) -> Program:
    """The program of net(*inputs) for the whole batch. A call may run a batch in pieces, see cpu/pieces.py."""
    form = plain_form(len(inputs))
    return _programs(net, "whole", lambda: _forward_builder(net, form)).of(*inputs)[0]


def _piece_builder(net: Module, form: Form) -> Callable[..., tuple[Graph, Any]]:
    """As _forward_builder, for a piece of the batch; it says in how many pieces to run."""
    whole = _forward_builder(net, form)

    def build(*inputs: Array) -> tuple[Graph, Any]:
        graph, extra = whole(*inputs)
        images = images_at_once(graph)
        count = max(1, inputs[0].shape[0] // images) if inputs[0].ndim else 1
        if count > 1:
            graph, (structure, _) = whole(*(x[:images] for x in inputs))
            extra = structure, extra[1]
        return graph, (*extra, count)

    return build


def _programs(net: Module, purpose: Any, builder: Callable[[], Callable[..., tuple[Graph, Any]]]) -> Programs:
    if purpose not in net._programs:
        net._programs[purpose] = Programs(builder(), net)
    return net._programs[purpose]


def _forward_builder(net: Module, form: Form) -> Callable[..., tuple[Graph, Any]]:
    def build(*inputs: Array) -> tuple[Graph, Any]:
        graph = new_graph(net)
        finish(graph, form.call(net, [graph.input(*_spec(x)) for x in inputs]))
        return graph.prune(), (graph.structure, numbers_of(graph))

    return build


def _spec(x: Array) -> tuple[tuple[int, ...], str]:
    spec = as_spec(x)
    return spec.shape, spec.dtype


# gradients


def vjp(net: Module, *inputs: Any, **named: Any) -> tuple[Any, Callable[..., Any]]:
    """The output, and `pullback(dy) -> (dx, dparams)`: the vector-Jacobian product.

    dx is an array (or a tuple, for several inputs), dparams a dict by parameter name. Parameters with
    requires_grad = False and inputs of whole numbers have no gradient. Arguments by name go to forward.

    >>> import numpy as np
    >>> from striate import nn
    >>> y, pullback = vjp(nn.ReLU(), np.array([[-1.0, 2.0]], np.float32))
    >>> pullback(np.ones_like(y))[0].tolist()
    [[0.0, 1.0]]
    """
    given, form = split_arguments(inputs, named)
    arrays = [x.copy() for x in given]
    program, (structure, names, count, numbers) = _programs(net, form.of("vjp"), lambda: _vjp_builder(net, form)).of(*arrays)
    check_numbers(numbers, arrays)
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
    given = list(dy) if len(dy) != 1 else _follow(y, dy[0])
    shapes = [np.shape(array) for array in given]
    if shapes != [array.shape for array in outputs]:
        wanted = ", ".join(str(array.shape) for array in outputs)
        raise ShapeError(f"dy has shape {', '.join(map(str, shapes))} but the output has {wanted}",
                         fix="give dy the output's shape")
    return given


def _follow(y: Any, dy: Any) -> list[Any]:
    """The arrays of dy in the order of the outputs, for dy in the form of y."""
    if isinstance(y, dict) and isinstance(dy, dict):
        return [seed for name in y if name in dy for seed in _follow(y[name], dy[name])]
    if isinstance(y, (tuple, list)) and isinstance(dy, (tuple, list)):
        return [seed for a, b in zip(y, dy) for seed in _follow(a, b)] if len(y) == len(dy) else list(dy)
    return [] if y is None else [dy]


def _vjp_builder(net: Module, form: Form | None = None) -> Callable[..., tuple[Graph, Any]]:
    def build(*inputs: Array) -> tuple[Graph, Any]:
        graph = new_graph(net)
        values = [graph.input(*_spec(x)) for x in inputs]
        outputs, structure = unpack(graph, (form or plain_form(len(values))).call(net, values))
        seeds = [graph.input(v.shape, v.dtype, "dy") for v in outputs]
        names = [n for n, v in graph.parameters.items() if graph.sources[v].requires_grad]
        wanted = [v for v in values if v.dtype == "float32"] + [graph.parameters[n] for n in names]
        found = differentiate(graph, outputs, seeds, wanted)
        zeros = [graph.constant(np.zeros(w.shape, np.float32)) for w in wanted]
        graph.outputs = outputs + [g if g is not None else z for g, z in zip(found, zeros, strict=True)]
        graph.first = len(outputs)
        return graph.prune(), (structure, names, len(outputs), numbers_of(graph))

    return build


def value_and_grad(net: Module, loss: Callable[..., Any]) -> Callable[..., tuple[float, dict[str, Array]]]:
    """`f(x, *targets) -> (loss, gradients by parameter name)`; x is a tuple of arrays for a network of several inputs."""
    programs = Programs(_loss_builder(net, loss), net, loss)

    def evaluate(x: Any, *targets: Any) -> tuple[float, dict[str, Array]]:
        given = images_of(x)
        arrays = [*given, *(as_target(t) for t in targets)]
        program, (names, labels) = programs.of(*arrays, count=len(given))
        check_numbers(labels, arrays)
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


def trace_loss(graph: Graph, net: Module, loss: Callable[..., Any], inputs: Sequence[Array],
               count: int) -> tuple[Value, list[Value], Callable[..., Any]]:
    """Trace loss(net(*images), *targets), the first `count` inputs being images; returns the loss and the network's outputs."""
    values = [graph.input(*_spec(x), name="x" if i < count else "y") for i, x in enumerate(inputs)]
    result = trace_values(net, values[:count])
    outputs, structure = unpack(graph, result)
    token = TRACED.set(graph)  # a loss that is a plain function may read parameters too, as for a penalty on weights
    try:
        value = trace_values(loss, [result, *values[count:]])
    finally:
        TRACED.reset(token)
    if not isinstance(value, Value) or value.spec.size != 1:
        shape = getattr(value, "shape", type(value).__name__)
        raise ShapeError(f"the loss has shape {shape}, but training needs one number", fix="use reduction='mean' or 'sum'")
    return value, outputs, structure


def _loss_builder(net: Module, loss: Callable[..., Any]) -> Callable[..., tuple[Graph, Any]]:
    def build(*inputs: Array, count: int) -> tuple[Graph, Any]:
        graph = new_graph(net, loss)
        value, _, _ = trace_loss(graph, net, loss, inputs, count)
        names = [n for n, v in graph.parameters.items() if graph.sources[v].requires_grad]
        wanted = [graph.parameters[n] for n in names]
        seed = graph.constant(np.ones(value.shape, np.float32))
        found = differentiate(graph, [value], [seed], wanted)
        zeros = [graph.constant(np.zeros(w.shape, np.float32)) for w in wanted]
        graph.outputs = [value, *(g if g is not None else z for g, z in zip(found, zeros, strict=True))]
        return graph.prune(), (names, numbers_of(graph))

    return build


# training


class Step:
    """`step(x, y) -> loss`: one training step as one native call; x is a tuple of arrays for a network of several inputs.

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

    def __reduce__(self) -> Any:
        """A copy, or a pickle, compiles for itself."""
        return Step, (self.net, self.loss, self.optimizer, self.clip_norm)

    @property
    def output(self) -> Any:
        """The network's output of the last step; None before the first."""
        return self._last()

    def __call__(self, x: Any, *targets: Any) -> float:
        given = images_of(x)
        arrays = [*given, *(as_target(t) for t in targets)]
        program, (structure, groups, labels) = self.programs.of(*arrays, count=len(given))
        check_numbers(labels, arrays)
        for group, hyper in groups:
            settings = group.hyper(self.optimizer.steps + 1)
            if settings.tobytes() != hyper._data.tobytes():  # what stays as it is makes no program look at its store
                hyper.put(settings)
        self.optimizer.steps += 1
        space = program.workspace()
        program.begin(space, arrays, random.run_key())
        program.execute(space)
        value = program.result(space, 0).item()
        program.release(space)
        self._last = lambda: structure([program.result(space, i) for i in range(1, len(program.results))])
        return value

    def program(self, x: Any, *targets: Any) -> Program:
        """The program of a step on such inputs."""
        given = images_of(x)
        return self.programs.of(*given, *(as_target(t) for t in targets), count=len(given))[0]

    def memory(self, x: Any, *targets: Any) -> Planned:
        """The memory that a step on such inputs takes, planned and not used yet: print it, or read its `total` in bytes."""
        return self.program(x, *targets).memory

    def graph(self, x: Any, *targets: Any) -> Graph:
        """What a step computes for arrays of these shapes: both passes and the updates."""
        given = x if isinstance(x, tuple) else (x,)
        return self._build(*given, *targets, count=len(given))[0]

    def _build(self, *inputs: Array, count: int) -> tuple[Graph, Any]:
        graph = new_graph(self.net, self.loss)
        value, outputs, structure = trace_loss(graph, self.net, self.loss, inputs, count)
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
        return graph, (structure, groups, numbers_of(graph))

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
