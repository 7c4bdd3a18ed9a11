"""A program: the calls of a graph with their memory, ready to run.

    arena      values between the first and the last call, placed by plan.py; one for each run under way
    store      parameters and buffers in the form that kernels read; shared by programs that agree on it
    gradient, state.*   beside the store, with the same offsets; large gradients lie in the arena
    prepared   what follows from parameters alone (packed filters, folded norms); made again when they change
    constant   numbers that never change

Every argument of every call is a base address plus an offset, so one addition of arrays makes a run's table of arguments.
"""

from __future__ import annotations

import ctypes
import sys
import threading
from collections.abc import Sequence
from typing import Any

import numpy as np

from striate.cpu import threads
from striate.cpu.cache import library
from striate.cpu.footprint import buffers_of, lay_out, planned
from striate.cpu.layout import Form
from striate.cpu.lower import Call, Lowering, lower
from striate.cpu.plan import ALIGNMENT, Buffer
from striate.graph import Graph, Value, writes
from striate.kernel.machine import Machine, host


def memory(size: int) -> np.ndarray:
    """Aligned bytes, zero."""
    raw = np.zeros(size + ALIGNMENT, np.uint8)
    return raw[-raw.ctypes.data % ALIGNMENT:][:size]


def give_back() -> None:
    """Let the C library return what large arrays have left: glibc keeps it back for others that may come."""
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if trim is not None:
            trim(0)


moving = threading.RLock()
"""Held while arrays move between variables and stores: one store's push is another's pull."""


class Store:
    """Parameters, buffers and optimizer state as programs keep them, in step with the variables that own them."""

    def __init__(self, homes: Sequence[tuple[Any, Form, str, int, bool]], sizes: dict[str, int]):
        self.homes = list(homes)
        """(holder, form, region, offset, changed by the program)"""
        self.regions = {name: memory(size) for name, size in sizes.items()}
        self.seen = [-1] * len(self.homes)
        self.changes = [0] * len(self.homes)
        """How often users, runs and other programs changed each home: what a program prepared from it before is out of date."""
        self.news = 0
        """How often `changes` has changed."""
        self.pushed = -1
        """The count of all writes when the last push began: while it stands there is nothing to bring in."""
        self.changed = [i for i, home in enumerate(self.homes) if home[4]]

    def push(self) -> None:
        """Bring in what users or other programs changed."""
        if self.pushed == writes.count:
            return
        self.pushed, lent = writes.count, 0
        for i, (holder, form, region, offset, changed) in enumerate(self.homes):
            if holder.refresh is not None and holder.refresh != self.pull:
                holder.refresh()
            if holder.version != self.seen[i]:
                view = self.view(form, region, offset)
                form.pack(np.asarray(holder._data, np.float32), view)
                self.seen[i] = holder.version
                self.changes[i] += 1
                self.news += 1
                if changed:
                    holder.lend(self.pull)
                    lent += view.nbytes
        if lent >= 2**24:
            give_back()

    def mark(self) -> None:
        """A run changes the store: the variables fetch their arrays when somebody asks."""
        with moving:
            for i in self.changed:
                self.changes[i] += 1
                if self.homes[i][0].refresh is None:
                    self.homes[i][0].lend(self.pull)
            self.news += 1
            self.pushed = writes.note() if self.pushed == writes.count else -1

    def pull(self) -> None:
        """Write everything that variables have lent to this store back into them."""
        with moving:
            for i in self.changed:
                holder, form, region, offset, _ = self.homes[i]
                if holder.refresh == self.pull:
                    array = form.unpack(self.view(form, region, offset).copy(), holder.shape)
                    holder.adopt(np.asarray(array, holder.dtype))
                    holder.refresh = None
                    self.seen[i] = holder.version

    def view(self, form: Form, region: str, offset: int) -> np.ndarray:
        return self.regions[region][offset: offset + form.size * 4].view(np.float32)


class Workspace:
    """The arena and the argument table of one run under way."""

    def __init__(self, program: Program):
        self.arena = memory(program.arena_bytes)
        self.random = np.zeros(2, np.int64)
        self.inputs: list[np.ndarray] = []
        self.bound = [-1] * len(program.graph.inputs)
        """The address of each input that the table holds."""
        known = {**program.shared, "arena": self.arena, "random": self.random}
        bases = [known[region].ctypes.data if region in known else 0 for region in program.regions]
        self.table = np.array(bases, np.uint64)[program.bases] + program.offsets
        self.tables = program.starts * np.uint64(8) + np.uint64(self.table.ctypes.data)
        self.first = self.tables.ctypes.data
        self.results = [view_of(known[buffer.region], value, buffer) if buffer.region in known else None
                        for value, buffer in zip(program.graph.outputs, program.results, strict=True)]
        """The outputs where they lie; None where an output is an input."""

    def bind(self, program: Program, inputs: Sequence[np.ndarray]) -> None:
        """Let the table point to these inputs."""
        self.inputs = [x if x.dtype is kind and x.flags.c_contiguous else np.ascontiguousarray(x, kind)
                       for x, kind in zip(inputs, program.kinds, strict=True)]
        for i, x in enumerate(self.inputs):
            address = x.__array_interface__["data"][0]
            if address != self.bound[i]:
                slots, offsets = program.slots[i]
                self.table[slots] = offsets + np.uint64(address)
                self.bound[i] = address


class Program:
    """Machine code and memory plan of one graph.

    graph: what to run; shared: stores to use, if one fits. The calls up to `split` compute the updates and the graph's
    first outputs; what the other calls read of them is kept, so these may be repeated. A program runs on as many threads
    as are set when it is made: its scratch memory is planned for them.
    """

    def __init__(self, graph: Graph, machine: Machine | None = None, precise: bool = False, shared: Sequence[Store] = ()):
        self.graph, self.threads = graph, threads.get_num_threads()
        self.kinds = [np.dtype(value.dtype) for value in graph.inputs]
        self.machine = machine or host()
        low = lower(graph, self.machine, self.threads, precise)
        self.calls = [c for c in low.calls if not c.prologue]
        self.prologue = [c for c in low.calls if c.prologue]
        self.split = sum(not c.prologue for c in low.calls[: low.split])
        self.counters = [graph.sources[v] for v in low.counters]
        self.results = low.results
        self.buffers, sizes = buffers_of(low), lay_out(low)
        self.memory = planned(sizes)
        self.arena_bytes = sizes.pop("arena")
        self.prepared = memory(sizes.pop("prepared"))
        self.constants = self._constants(low, sizes.pop("constant"))
        self.store = self._store(low, sizes, shared)
        read = {b for c in self.prologue for b in c.arguments.values()}
        self.watched = [i for i, (_, buffer) in enumerate(low.homes.values()) if buffer in read]
        """Homes that the prologue reads."""
        self.kernels = self._link(self.prologue + self.calls)
        self.code = self.kernels.ctypes.data
        self.shared = {"prepared": self.prepared, "constant": self.constants, **self.store.regions}
        """Regions that all runs share."""
        self._addresses(self.prologue + self.calls)
        self.prepared_for: list[int] | None = None
        self.news = -1
        """The store's news when `prepared_for` was looked at last."""
        self.idle: list[Workspace] = []
        self.lock = threading.Lock()

    # building
    def _constants(self, low: Lowering, size: int) -> np.ndarray:
        block = memory(size)
        for buffer, array in low.constants.items():
            block[buffer.offset: buffer.offset + array.nbytes].view(array.dtype)[:] = array
        return block

    def _store(self, low: Lowering, sizes: dict[str, int], shared: Sequence[Store]) -> Store:
        homes = [(self.graph.sources[value], form, buffer.region, buffer.offset, value in self.graph.updates)
                 for value, (form, buffer) in low.homes.items()]
        for store in shared:
            alike = [h[:4] for h in store.homes] == [h[:4] for h in homes]
            roomy = all(name in store.regions and store.regions[name].size >= size for name, size in sizes.items())
            if alike and roomy and all(h[4] or not n[4] for h, n in zip(store.homes, homes)):
                return store
        return Store(homes, sizes)

    def _link(self, calls: Sequence[Call]) -> np.ndarray:
        return np.array(library.load([c.kernel for c in calls], self.machine), np.uint64)

    def _addresses(self, calls: Sequence[Call]) -> None:
        """For each slot of each call: which base it is counted from, and the offset."""
        inputs = [f"input{i}" for i in range(len(self.graph.inputs))]
        self.regions = ["", "arena", "random", *self.shared, *inputs]
        numbers = {name: i for i, name in enumerate(self.regions)}
        bases, offsets, starts = [], [], []
        for call in calls:
            starts.append(len(offsets))
            for name in call.kernel.arguments:
                value = call.arguments[name]
                bases.append(numbers[value.region] if isinstance(value, Buffer) else 0)
                offsets.append(value.offset if isinstance(value, Buffer) else value)
        self.bases, self.offsets = np.array(bases, np.int64), np.array(offsets, np.uint64)
        self.starts = np.array(starts, np.uint64)
        slots = [np.flatnonzero(self.bases == numbers[name]) for name in inputs]
        self.slots = [(where, self.offsets[where]) for where in slots]
        """For each input: the slots that point into it, and how far."""

    # running
    def workspace(self) -> Workspace:
        """An arena that nobody uses."""
        with self.lock:
            return self.idle.pop() if self.idle else Workspace(self)

    def release(self, space: Workspace) -> None:
        with self.lock:
            self.idle.append(space)

    def begin(self, space: Workspace, inputs: Sequence[np.ndarray], random: tuple[int, int]) -> None:
        """Bind a workspace to inputs, bring parameters up to date, and note which of them the run will change."""
        space.bind(self, inputs)
        space.random[:] = random
        with moving:
            self.store.push()
            if self.news != self.store.news:
                self._prepare(space)
            if self.graph.updates:
                self.store.mark()
        for holder in self.counters:
            holder.put(holder._data + 1)

    def _prepare(self, space: Workspace) -> None:
        """Run the prologue again if a parameter that it reads has changed."""
        changes = [self.store.changes[i] for i in self.watched]
        if self.prepared_for != changes:
            threads.team(self.threads).execute(self.code, space.first, len(self.prologue))
            self.prepared_for = changes
        self.news = self.store.news

    def execute(self, space: Workspace, first: int = 0, last: int | None = None) -> None:
        """Run calls first..last (all of them by default)."""
        start, stop = len(self.prologue) + first, len(self.prologue) + (len(self.calls) if last is None else last)
        threads.team(self.threads).execute(self.code + 8 * start, space.first + 8 * start, stop - start)

    def result(self, space: Workspace, index: int) -> np.ndarray:
        """A copy of an output."""
        view = space.results[index]
        return self.fetch(space, self.graph.outputs[index], self.results[index]) if view is None else view.copy()

    def fetch(self, space: Workspace, value: Value, buffer: Buffer) -> np.ndarray:
        """A copy of a value that a buffer of a run holds."""
        inputs = {f"input{i}": x.reshape(-1).view(np.uint8) for i, x in enumerate(space.inputs)}
        known = {**self.shared, "arena": space.arena, **inputs}
        return view_of(known[buffer.region], value, buffer).copy()

    def run(self, inputs: Sequence[np.ndarray], random: tuple[int, int] = (0, 0)) -> list[np.ndarray]:
        """All outputs for given inputs."""
        space = self.workspace()
        try:
            self.begin(space, inputs, random)
            self.execute(space)
            return [self.result(space, i) for i in range(len(self.results))]
        finally:
            self.release(space)


def view_of(block: np.ndarray, value: Value, buffer: Buffer) -> np.ndarray:
    """A value where its buffer lies in the bytes of a region."""
    return block[buffer.offset: buffer.offset + value.spec.bytes].view(value.dtype).reshape(value.shape)
