"""How much memory a network takes on the CPU, at work and in training, known before the first run.

    arena        the plan's one block for all that lives between two operators: activations, their gradients, scratch
    parameters   a copy in the order in which the kernels read them, with what is prepared from them
    gradients    of the parameters, in training; optimizer state, in the kernels' order

All of it follows from the plan that the program is made with, so it is exact; Python, NumPy and LLVM themselves, the
network's own arrays and the inputs are not in it. The arena is linear in the batch but for scratch and rounding, so the largest
batch that fits is found with a few plans.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from striate.ask import tables
from striate.ask.step import own, step_of, target_of
from striate.ask.tracing import mode, name_of, network, traced
from striate.errors import ArgumentError
from striate.graph import Graph, place
from striate.nn.module import Module

if TYPE_CHECKING:
    from striate.optim.optimizer import Optimizer

UNITS = {"B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12, "KIB": 2**10, "MIB": 2**20, "GIB": 2**30, "TIB": 2**40}
LARGEST = 2**20
"""No batch above this is looked for."""


@dataclass(frozen=True)
class Memory(tables.Answer):
    """Bytes for a batch. `parts` are allocated when the program first runs, `total` is their sum."""

    network: str
    batch: int
    training: bool
    parts: dict[str, int]
    activations: int
    """All outputs of the forward pass, if each had memory of its own: what the plan's arena is to be compared with."""
    peak: int
    """The most bytes of the arena that are wanted at one time, and the layer and operator at work then."""
    where: str
    at_once: int
    """Images that a call runs together: with light weights it takes a large batch in pieces, each with the memory of so many."""
    again: Callable[[int], Memory] = field(repr=False, compare=False)

    @property
    def arena(self) -> int:
        """The one block that the values of a run share."""
        return self.parts["arena"]

    @property
    def total(self) -> int:
        return sum(self.parts.values())

    def fits(self, budget: int | str) -> int:
        """The largest batch whose total fits into so many bytes, or '4 GiB'; 0 if not even one item does.

        >>> from striate import nn
        >>> net = nn.Sequential(nn.Conv2d(3, 64, 3, padding=1), nn.ReLU(), nn.Conv2d(64, 3, 3))
        >>> batch = memory(net, (3, 64, 64)).fits("1 GiB")
        >>> memory(net, (3, 64, 64), batch).total <= 2**30 < memory(net, (3, 64, 64), batch + 1).total
        True
        """
        room = bytes_of(budget)
        low, high, least = 0, 1, self.again(1).total
        if least > room:
            return 0
        while high <= LARGEST:  # from a straight line through two batches to the answer, then by halves
            found = self.again(high).total
            if found > room:
                break
            slope = max(1.0, (found - least) / (high - 1)) if high > 1 else 0.0
            low, high = high, max(high + 1, int(high + (room - found) / slope)) if slope else 2 * high
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if self.again(middle).total <= room else (low, middle)
        return low

    def to_dict(self) -> dict[str, Any]:
        """Plain data, in bytes."""
        return {"network": self.network, "batch": self.batch, "training": self.training, "total": self.total, **self.parts,
                "activations": self.activations, "peak": self.peak, "where": self.where}

    def to_csv(self) -> str:
        """A head line and one row."""
        return tables.as_csv([self.to_dict()])

    def table(self) -> tables.Table:
        rows = [(name, tables.memory(size), tables.share(size, self.total)) for name, size in self.parts.items() if size]
        notes = [f"{tables.memory(self.total)} in all",
                 f"at most {tables.memory(self.peak)} of the arena are wanted at a time, while {self.where} runs",
                 f"{tables.memory(self.activations)} of outputs in the forward pass alone, if none shared its memory"]
        if self.at_once < self.batch:
            less = tables.memory(self.again(self.at_once).total)
            notes.append(f"a call runs {self.at_once} images at a time, one after the other, in {less}")
        kind = "training" if self.training else "inference"
        columns = (tables.Column("memory"), tables.Column("size", True), tables.Column(""))
        return tables.Table(f"{self.network}, {kind}, batch {self.batch}", notes, columns, rows)

    def __repr__(self) -> str:
        return f"Memory({self.network}: {tables.memory(self.total)} for batch {self.batch}, arena {tables.memory(self.arena)})"


def memory(net: Any, input_shape: Any, batch: int = 1, optimizer: Optimizer | None = None, loss: Any = None,
           target: Any = None, budget: int | str | None = None) -> Memory:
    """The memory of running a network, or of training it where an optimizer is given. Nothing is run or compiled.

    input_shape: of one item, without the batch axis. loss: cross-entropy by default, whose target is one label for each item
    (and pixel); of another loss the target is like the output unless `target` gives the shape, or the Spec, of one item's.
    budget: bytes, or '4 GiB'; the answer is then for the largest batch that fits.

    This is the program for the whole batch. A call of a network with light weights runs a large batch a few images at a time
    (cpu/pieces.py): `at_once` says how many, and the memory for a batch of so many is what the call takes.

    Raises ArgumentError where the budget is too small for one item.

    >>> from striate import nn, optim
    >>> net = nn.Sequential(nn.Conv2d(1, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 26 * 26, 10))
    >>> used = memory(net, (1, 28, 28), batch=64)
    >>> used.arena < used.activations
    True
    """
    asked = _Question(network(net), input_shape, optimizer, loss, target)
    if budget is None:
        return asked.answer(batch)
    largest = asked.answer(1).fits(budget)
    if not largest:
        raise ArgumentError(f"one item takes {tables.memory(asked.answer(1).total)}, more than the budget of {budget}; "
                            "use a smaller network or input")
    return asked.answer(largest)


@dataclass(frozen=True)
class _Question:
    """What stays the same from batch to batch."""

    net: Module
    input_shape: Any
    optimizer: Optimizer | None
    loss: Any
    target: Any

    def answer(self, batch: int) -> Memory:
        from striate.cpu.footprint import footprint, planned
        from striate.cpu.pieces import images_at_once

        training = self.optimizer is not None
        forward = traced(self.net, self.input_shape, batch, training)
        activations = sum(v.spec.bytes for node in forward.nodes for v in node.outputs)
        graph = forward if self.optimizer is None else self._step(forward, self.optimizer)
        found = footprint(graph, getattr(self.net, "precise", False))
        where = place(found.at.op.name, found.at.module, "") if found.at else "nothing"
        parts = planned(found.regions).parts
        at_once = batch if training else images_at_once(forward)
        return Memory(name_of(self.net), batch, training, parts, activations, found.peak, where, at_once, self.answer)

    def _step(self, forward: Graph, optimizer: Optimizer) -> Graph:
        """The graph of a training step, on arrays that take no memory."""
        optimizer = own(optimizer)
        phantoms: dict[Any, Phantom] = {}
        optimizer.state_of = lambda p, name: phantoms.setdefault((id(p), name), Phantom(p.shape))  # type: ignore
        specs = [*(v.spec for v in forward.inputs), target_of(forward, self.loss, self.target)]
        with mode(self.net, training=True):
            step = step_of(self.net, forward, self.loss, optimizer)
            return step.graph(*(np.broadcast_to(np.zeros((), spec.dtype), spec.shape) for spec in specs))


@dataclass(frozen=True, eq=False)
class Phantom:
    """The shape of an array that nobody has made."""

    shape: tuple[int, ...]
    dtype: str = "float32"


def bytes_of(budget: int | str) -> int:
    """Bytes of a number, or of a text with a unit.

    >>> bytes_of("4 GiB"), bytes_of("1.5MB"), bytes_of(1000)
    (4294967296, 1500000, 1000)
    """
    if isinstance(budget, int):
        return budget
    read = re.fullmatch(r"\s*([\d.]+)\s*([KMGT]?i?B)\s*", str(budget), re.IGNORECASE)
    if not read:
        raise ArgumentError(f"a budget is a number of bytes, or a text such as '4 GiB' or '500 MB', got {budget!r}")
    return int(float(read[1]) * UNITS[read[2].upper()])
