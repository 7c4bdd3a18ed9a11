"""What this machine can do at best, measured: multiply-adds in registers, and numbers through memory.

    time of a kernel >= max(FLOPs / flops_per_second, bytes / bytes_per_second)

Source: Williams, Waterman & Patterson, Roofline, CACM 52(4), 2009.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import cache

import numpy as np

from striate import ops
from striate.cpu import threads
from striate.cpu.cache import library
from striate.cpu.kernels.base import Kernel
from striate.cpu.kernels.peak import ACCUMULATORS, FmaPeak
from striate.cpu.kernels.pointwise import FULL, Chain, Pointwise
from striate.kernel.machine import host

SUM = Pointwise(Chain((FULL, FULL), ((ops.Add(), (1, 2)),), (3,)), (), ((True,), (True,)))
"""y = a + b over flat arrays."""


@dataclass(frozen=True)
class Peak:
    """The floor of every kernel's time on `threads` threads: FLOPs and bytes a second."""

    threads: int
    flops_per_second: float
    bytes_per_second: float

    def floor(self, macs: float, moved: float) -> float:
        """Seconds that so many multiply-accumulates and bytes take at the least.

        >>> Peak(2, flops_per_second=2e11, bytes_per_second=2e10).floor(macs=10**9, moved=10**6)
        0.01
        """
        return max(2 * macs / self.flops_per_second, moved / self.bytes_per_second)


def peak() -> Peak:
    """The peak of as many threads as are set; measured once for each number of threads, in about 0.3 s."""
    return _known(threads.get_num_threads())


def measured(count: int) -> Peak:
    """The peak of so many threads, measured now: a machine that is shared with others does not do the same every minute."""
    lanes, rounds = host().lanes, 200_000
    sums = np.ones((count, lanes), np.float32)
    seconds = _best(count, FmaPeak(), count, rounds, sums)
    flops = 2 * lanes * ACCUMULATORS * rounds * count / seconds
    size = 2**24
    a, b, y = (np.ones(size, np.float32) for _ in range(3))  # written: zeros that nobody wrote lie in no memory of their own
    return Peak(count, flops, 3 * a.nbytes / _best(count, SUM, size, y, a, b))


_known = cache(measured)


def _best(count: int, kernel: Kernel, *arguments: np.ndarray | int, repeats: int = 15) -> float:
    """The fastest of some runs of one kernel, in seconds."""
    table = np.array([a if isinstance(a, int) else a.ctypes.data for a in arguments], np.uint64)
    code = np.array(library.load([kernel], host()), np.uint64)
    tables = np.array([table.ctypes.data], np.uint64)
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        threads.team(count).execute(code.ctypes.data, tables.ctypes.data, 1)
        times.append(time.perf_counter() - start)
    return min(times)
