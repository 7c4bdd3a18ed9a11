"""Where a program's time goes: the processor's clock after every call, on every thread.

A call's time is from one barrier to the next; a thread's own part of it ends where the thread reaches the barrier. Times are
medians over runs of the whole program, so the caches are as they are in use. Beside them stands the floor, the time that
the call's multiply-accumulates or its bytes take at this machine's peak (peak.py).
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np

from striate.cpu import threads
from striate.cpu.lower import Call
from striate.cpu.peak import Peak, peak
from striate.cpu.plan import Buffer
from striate.cpu.program import Program
from striate.graph import Node
from striate.ops.base import Cost

WARM_UP = 2
"""Runs before those that count."""


@dataclass(frozen=True)
class Work:
    """The calls that compute one group of nodes: the multiply-accumulates and the other operations of the operator that it is
    named after, and the bytes of the arrays that each call names."""

    layer: str
    op: str
    kernels: tuple[str, ...]
    macs: int
    operations: int
    bytes: int


@dataclass(frozen=True)
class Timing(Work):
    """How long they take. each: seconds of each call, from barrier to barrier; busy: each thread's own share of their sum."""

    each: tuple[float, ...]
    busy: tuple[float, ...]
    start: float

    @property
    def seconds(self) -> float:
        return sum(self.each)

    @property
    def gflops(self) -> float:
        """10^9 FLOPs a second, two for each multiply-accumulate of the direct algorithm."""
        return 2e-9 * self.macs / self.seconds if self.seconds else 0.0

    @property
    def gbytes(self) -> float:
        """10^9 bytes a second, every array of a call counted once."""
        return 1e-9 * self.bytes / self.seconds if self.seconds else 0.0

    def floor(self, best: Peak) -> float:
        """The part of the time that this machine needs at the least; above 1 where Winograd saves products."""
        return best.floor(self.macs, self.bytes) / self.seconds if self.seconds else 0.0


@dataclass(frozen=True)
class Profile:
    """Timings in the order in which the calls run; `runs` of the program were measured."""

    timings: tuple[Timing, ...]
    peak: Peak
    runs: int

    @property
    def seconds(self) -> float:
        return sum(t.seconds for t in self.timings)

    @property
    def predicted(self) -> float:
        """Seconds, if every call reached this machine's peak."""
        return sum(self.peak.floor(t.macs, t.bytes) for t in self.timings)

    def to_dict(self) -> dict[str, Any]:
        """Plain data: seconds, multiply-accumulates, bytes, and the rates that follow."""
        rows = [{"layer": t.layer, "op": t.op, "kernels": list(t.kernels), "seconds": t.seconds, "macs": t.macs,
                 "bytes": t.bytes, "gflops": t.gflops, "gbytes": t.gbytes, "floor": t.floor(self.peak)} for t in self.timings]
        machine = {"threads": self.peak.threads, "gflops": self.peak.flops_per_second * 1e-9,
                   "gbytes": self.peak.bytes_per_second * 1e-9}
        return {"seconds": self.seconds, "predicted": self.predicted, "runs": self.runs, "peak": machine, "calls": rows}

    def trace(self, path: str | Path) -> None:
        """Write the run for chrome://tracing or ui.perfetto.dev: one row a thread, times in microseconds."""
        events = [{"name": f"{t.layer} {t.op}".strip(), "cat": "+".join(t.kernels), "ph": "X", "pid": 0, "tid": thread,
                   "ts": t.start * 1e6, "dur": busy * 1e6, "args": {"GFLOP/s": t.gflops, "GB/s": t.gbytes}}
                  for t in self.timings for thread, busy in enumerate(t.busy)]
        Path(path).write_text(json.dumps({"traceEvents": events, "displayTimeUnit": "ms"}), encoding="utf-8")

    def __rich__(self) -> Any:
        from rich.table import Table

        note = (f"{self.seconds * 1e3:.3f} ms, median of {self.runs} runs on {self.peak.threads} threads; "
                f"{self.predicted * 1e3:.3f} ms at the peak of "
                f"{self.peak.flops_per_second * 1e-9:.0f} GFLOP/s and {self.peak.bytes_per_second * 1e-9:.1f} GB/s")
        table = Table(caption=note, show_edge=False)
        for name in ("layer", "op", "kernels"):
            table.add_column(name, overflow="fold")
        for name in ("ms", "share", "GFLOP/s", "GB/s", "floor"):
            table.add_column(name, justify="right", no_wrap=True)
        for t in self.timings:
            table.add_row(t.layer, t.op, " + ".join(dict.fromkeys(t.kernels)), f"{t.seconds * 1e3:.3f}",
                          f"{t.seconds / self.seconds:.1%}", f"{t.gflops:.0f}" if t.macs else "", f"{t.gbytes:.1f}",
                          f"{t.floor(self.peak):.0%}")
        return table


def profile(program: Program, inputs: Sequence[np.ndarray], runs: int = 20) -> Profile:
    """Run a program some times and say what each of its calls takes."""
    count = len(program.calls)
    stamps = np.zeros((WARM_UP + runs, program.threads, count + 1), np.int64)
    space = program.workspace()
    ends = np.zeros(len(stamps))
    for run in range(len(stamps)):
        program.begin(space, inputs, (0, 0))
        stamps[run] = _stamped(program, space)
        ends[run] = time.perf_counter()
    program.release(space)
    last = stamps[:, :, -1].max(axis=1)
    tick = (ends[-1] - ends[0]) / (last[-1] - last[0])  # from end to end: what stands around the kernels is in both
    return Profile(tuple(_timings(program, stamps[WARM_UP:] * tick)), peak(), runs)


def _stamped(program: Program, space: Any) -> np.ndarray:
    """The clocks of one run: (threads, calls + 1), the first column where the run begins."""
    first = len(program.prologue)
    kernels, tables = program.kernels[first:], space.tables[first:]
    kernels = np.concatenate([_nothing(), kernels])
    tables = np.concatenate([tables[:1], tables])
    stamps = np.zeros((program.threads, len(kernels)), np.int64)
    threads.team(program.threads).execute(kernels.ctypes.data, tables.ctypes.data, len(kernels), stamps.ctypes.data)
    return stamps


def _nothing() -> np.ndarray:
    """A call that does nothing: it brings the threads together and its stamp is where a run begins."""
    from striate.cpu.cache import library
    from striate.cpu.kernels.peak import Nothing
    from striate.kernel.machine import host

    return np.array(library.load([Nothing()], host()), np.uint64)


def _timings(program: Program, clock: np.ndarray) -> list[Timing]:
    """clock: seconds (runs, threads, calls + 1)."""
    met = clock.max(axis=1)  # a barrier opens when the last thread comes
    begun = np.median(met[:, :-1] - met[:, :1], axis=0)
    took = np.median(np.diff(met, axis=1), axis=0)
    busy = np.median(clock[:, :, 1:] - met[:, None, :-1], axis=0)
    found: list[Timing] = []
    first = 0
    for work in works(program.calls):
        span = slice(first, first := first + len(work.kernels))
        found.append(Timing(**vars(work), each=tuple(map(float, took[span])),
                            busy=tuple(map(float, busy[:, span].sum(axis=1))), start=float(begun[span.start])))
    return found


def works(calls: Sequence[Call]) -> Iterator[Work]:
    """The groups in the order in which they run; calls that belong to no node stand alone."""
    numbers = ((call.node, 0) if call.node else (None, i) for i, call in enumerate(calls))
    for (node, _), group in groupby(zip(numbers, calls), key=lambda pair: pair[0]):
        yield _work([call for _, call in group], node)


def _work(calls: Sequence[Call], node: Node | None) -> Work:
    inputs = [v.spec for v in node.inputs] if node else []
    cost = node.op.cost(inputs, [v.spec for v in node.outputs]) if node else Cost()
    moved = sum(sum(b.bytes for b in set(c.arguments.values()) if isinstance(b, Buffer) and b.name != "scratch") for c in calls)
    if 0 < cost.reads < sum(x.size for x in inputs):  # an embedding reads some rows of its table
        moved -= max(0, sum(x.bytes for x in inputs) - 4 * cost.reads)
    return Work(node.module if node else "", node.op.name if node else "", tuple(c.kernel.name for c in calls), cost.macs,
                cost.operations, moved)
