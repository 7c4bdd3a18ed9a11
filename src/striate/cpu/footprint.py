"""How much memory a program takes: every buffer gets its place, before anything is compiled or allocated.

    arena        values between the first and the last call, placed by plan.py
    store        parameters and buffers as kernels read them; state.* beside it, and gradient beside its front
    prepared     what follows from parameters alone; constant: numbers that never change
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

from striate.cpu import threads
from striate.cpu.lower import Lowering, lower
from striate.cpu.plan import Buffer, aligned, place
from striate.graph import Graph, Node
from striate.kernel.machine import host


@dataclass(frozen=True)
class Footprint:
    """Bytes of each region. Of the arena, `peak` bytes hold numbers that are still wanted while the call of node `at` runs."""

    regions: dict[str, int]
    peak: int
    at: Node | None


@dataclass(frozen=True)
class Planned:
    """Bytes that a program allocates before its first run, by what they are for; as a text, one line.

    >>> print(Planned({"arena": 3 * 2**20, "parameters": 2**19, "gradients": 0}))
    3.5 MiB of memory: arena 3.0 MiB, parameters 512.0 KiB
    """

    parts: dict[str, int]

    @property
    def total(self) -> int:
        return sum(self.parts.values())

    def __str__(self) -> str:
        from striate.ask.tables import memory

        parts = ", ".join(f"{name} {memory(size)}" for name, size in self.parts.items() if size)
        return f"{memory(self.total)} of memory{': ' if parts else ''}{parts}"


def planned(regions: dict[str, int]) -> Planned:
    """What the regions of a program are for; those who own parameters and optimizer state lend their memory meanwhile."""
    states = sum(size for region, size in regions.items() if region.startswith("state"))
    return Planned({"arena": regions["arena"], "parameters": regions["store"],
                    "prepared parameters": regions["prepared"] + regions["constant"],
                    "gradients": regions["gradient"], "optimizer state": states})


def footprint(graph: Graph, precise: bool = False) -> Footprint:
    """The memory of the program that runs a graph on this machine with as many threads as are set."""
    low = lower(graph, host(), threads.get_num_threads(), precise)
    regions = lay_out(low)
    change = [0] * (len(low.calls) + 2)
    for buffer in buffers_of(low):
        if buffer.region == "arena":
            change[buffer.first] += buffer.bytes
            change[buffer.last + 1] -= buffer.bytes
    alive = list(accumulate(change))
    peak = max(alive)
    return Footprint(regions, peak, low.calls[alive.index(peak)].node if peak else None)


def lay_out(low: Lowering) -> dict[str, int]:
    """Give every buffer its offset; returns the bytes of each region that a program allocates."""
    buffers = buffers_of(low)
    sizes = {"arena": place([b for b in buffers if b.region == "arena"]),
             "prepared": stack([b for b in buffers if b.region == "prepared"]),
             "constant": stack(list(low.constants))}
    settled = {value for value, _, _ in low.settled}
    homes = {value: buffer for value, (_, buffer) in low.homes.items()}
    free = [buffer for value, buffer in homes.items() if buffer.region == "store" and value not in settled]
    beside = dict.fromkeys((b.region for b in homes.values()), low.store_bytes)
    return {**sizes, **beside, "gradient": low.gradient_bytes, "store": low.store_bytes + stack(free, low.store_bytes)}


def buffers_of(low: Lowering) -> list[Buffer]:
    """All buffers that calls and results name."""
    found: dict[Buffer, None] = {}
    for call in low.calls:
        found.update(dict.fromkeys(b for b in call.arguments.values() if isinstance(b, Buffer)))
    found.update(dict.fromkeys(low.results))
    return list(found)


def stack(buffers: Sequence[Buffer], start: int = 0) -> int:
    """Place buffers one after the other, from `start` on; returns their bytes."""
    offset = start
    for buffer in buffers:
        buffer.offset, offset = offset, offset + aligned(buffer.bytes)
    return offset - start
