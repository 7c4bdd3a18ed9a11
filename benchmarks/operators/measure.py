"""The time of one layer in both systems, forward and backward.

striate's is that of the layer's own kernels inside a compiled training program, between the clocks of two barriers: images lie
channels last, as they do in the middle of a network, parameters are updated after the pass, so nothing that follows from them is
made beforehand, and the update itself is not counted. PyTorch's is that of its eager forward and backward pass, in the better
of its two memory formats.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import numpy as np
import torch

from benchmarks.operators.case import Case
from striate import nn, ops
from striate.cpu.lower import Call
from striate.cpu.profile import profile
from striate.cpu.program import Program
from striate.engine import _spec, new_graph
from striate.gradient import differentiate
from striate.graph import Node, trace_values
from striate.nn.module import Variable

FORMATS = {4: torch.channels_last, 5: torch.channels_last_3d}
Seconds = tuple[float, float]
"""Forward, backward."""


def arrays_of(case: Case) -> list[np.ndarray]:
    """Random numbers; whole ones below `classes` for the last input."""
    rng = np.random.default_rng(0)
    found: list[np.ndarray] = [rng.standard_normal(shape, np.float32) for shape in case.shapes]
    if case.classes is not None:
        found[-1] = rng.integers(0, case.classes, case.shapes[-1])
    return found


class Within(nn.Module):
    """A layer whose images lie channels last outside of it: (N, H, W, C) in and out, and no copies."""

    def __init__(self, layer: nn.Module):
        super().__init__()
        self.layer = layer

    def forward(self, *inputs: Any) -> Any:
        y = self.layer(*(x.permute(0, x.ndim - 1, *range(1, x.ndim - 1)) if is_image(x) else x for x in inputs))
        return y.permute(0, *range(2, y.ndim), 1) if is_image(y) else y


def is_image(x: Any) -> bool:
    return x.ndim >= 3 and x.dtype == "float32"


class Trained:
    """striate's program of a case: both passes and an update, and what it reads."""

    def __init__(self, case: Case):
        layer, arrays = case.make(nn), arrays_of(case)
        net = layer if case.rows else Within(layer)
        arrays = [np.moveaxis(a, 1, -1).copy() if is_image(a) and not case.rows else a for a in arrays]
        graph = new_graph(net)
        values = [graph.input(*_spec(x)) for x in arrays]
        y = trace_values(net, values)
        seed = graph.input(y.shape, y.dtype, "dy")
        wanted, trained = [v for v in values if v.dtype == "float32"], list(graph.parameters.values())
        found = differentiate(graph, [y], [seed], wanted + trained)
        graph.outputs = [y, *(g for g in found[:len(wanted)] if g is not None)]
        if not trained:
            graph.first = 1  # two stages, so that the passes of what has no parameters do not become one kernel
        hyper = graph.source(Variable(np.zeros(4, np.float32)), "buffer") if trained else None  # a rate of zero
        for old, gradient in zip(trained, found[len(wanted):], strict=True):
            graph.updates[old] = graph.apply(ops.SgdPlainUpdate(), old, gradient, hyper)
        self.inputs = [*arrays, np.ones(seed.shape, np.float32)]
        self.program = Program(graph.prune())
        ahead = set(self.program.graph.needed_for([y]))
        self.passes = [_pass_of(call, i < self.program.split, ahead, bool(trained)) for i, call in enumerate(self.program.calls)]
        """For each call: 0 forward, 1 backward, None for the update and for what stands after all."""
        self.runs = 7

    def measure(self, seconds: float) -> tuple[Seconds, tuple[int, int]]:
        """Medians, and the bytes that the kernels move if each reads and writes its arrays once."""
        found = profile(self.program, self.inputs, self.runs)
        self.runs = int(min(1000, max(7, seconds / found.seconds)))
        times, moved, at = [0.0, 0.0], [0, 0], 0
        for t in found.timings:  # all calls of a timing belong to one node
            side = self.passes[at]
            at += len(t.each)
            if side is not None:
                times[side] += t.seconds
                moved[side] += t.bytes
        return (times[0], times[1]), (moved[0], moved[1])


def _pass_of(call: Call, early: bool, ahead: set[Node], trained: bool) -> int | None:
    """By stages where there are two, else by whether the output needs the call's node."""
    if not trained:
        return 0 if early else 1
    if call.node is None or isinstance(call.node.op, ops.SgdPlainUpdate):
        return None
    return 0 if call.node in ahead else 1


def theirs(case: Case, seconds: float, form: torch.memory_format = torch.channels_last,
           clock: Callable[[], float] = time.perf_counter) -> Seconds:
    """PyTorch's medians."""
    net = case.make(torch.nn)
    inputs = [torch.from_numpy(a) for a in arrays_of(case)]
    wide = form != torch.contiguous_format
    inputs = [x.to(memory_format=FORMATS[x.ndim]) if wide and x.ndim in FORMATS and x.is_floating_point() else x for x in inputs]
    inputs = [x.requires_grad_() if x.is_floating_point() else x for x in inputs]
    wanted = [x for x in inputs if x.requires_grad] + list(net.parameters())
    seed = torch.ones_like(_first(net(*inputs)))
    ahead, back, end = [], [], time.perf_counter() + seconds
    while time.perf_counter() < end or len(ahead) < 5:
        start = clock()
        y = _first(net(*inputs))
        middle = clock()
        torch.autograd.grad(y, wanted, seed)
        back.append(clock() - middle)
        ahead.append(middle - start)
    return statistics.median(ahead[1:]), statistics.median(back[1:])


def _first(y: Any) -> torch.Tensor:
    return y[0] if isinstance(y, tuple) else y


def in_turns(case: Case, rounds: int, seconds: float) -> tuple[Seconds, Seconds, tuple[int, int]]:
    """striate, PyTorch, bytes: the best of some turns, for a turn's median only suffers from what else the machine does.

    A pause stands between two turns: the threads of the system that ran last go on spinning for a while.
    """
    own, other, moved, trained = [], [], (0, 0), Trained(case)
    wide = not case.rows and any(len(shape) in FORMATS for shape in case.shapes)
    for _ in range(rounds):
        mine, moved = trained.measure(seconds)
        own.append(mine)
        time.sleep(0.3)
        other.append(theirs(case, seconds, torch.contiguous_format))
        if wide:
            with suppress(RuntimeError):  # there are layers whose gradient PyTorch does not have for channels last
                other.append(theirs(case, seconds))
        time.sleep(0.3)
    return best(own), best(other), moved


def best(turns: Sequence[Seconds]) -> Seconds:
    """The shortest forward and the shortest backward pass."""
    return min(t[0] for t in turns), min(t[1] for t in turns)
