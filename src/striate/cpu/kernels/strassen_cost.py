"""Where Strassen's algorithm pays for a matrix product, and by which blocks; the kernel is in gemm_strassen.py."""

from __future__ import annotations

from striate.cpu.kernels.gemm_strassen import GemmStrassen, Met
from striate.cpu.kernels.pointwise import Chain
from striate.kernel.machine import LINE, Machine

BLOCK = 100
"""Rows of a block at most: S, the rows and what a group of columns reads of u stay in a second-level cache of 1 MB."""
TASKS = 8
"""Fewer are not shared well by threads."""


def strassen_for(machine: Machine, images: int, rows: int, C: int, K: int, fixed: bool,
                 chain: Chain = Chain(), met: Met | None = None) -> GemmStrassen | None:
    """The choices for so many images of `rows` rows each; None where it does not fit, does not pay or was not measured.

    fixed: u is made once for all runs, as in inference, and not for each.

    met: where the rows lie, if not one after the other; the rows of a tile lie in one line.

    Blocks are parts of an image, so that no image's numbers are rounded, or made infinite, by another's.

    >>> from striate.kernel.machine import named
    >>> found = strassen_for(named("avx512"), 1, 14 * 14, 512, 512, fixed=True)
    >>> found.rows, found.pixels
    (98, 7)
    """
    if machine.registers < 32 or machine.lanes < LINE or C % 4 or K % (4 * machine.lanes):
        return None
    M = images * rows
    fits = [GemmStrassen(C, K, n, machine.lanes, pixels, chain=chain, met=met) for n in range(2, min(rows, BLOCK) + 1)
            for pixels in (8, 7, 6, 5) if rows % n == 0 and -(-n // 2) % pixels == 0
            and (met is None or (met.Q % pixels == 0 and n % 2 == 0))]
    best = min(fits, key=lambda kernel: strassen_cost(kernel, M, fixed), default=None)
    return best if best and M // best.rows * best.groups >= TASKS and strassen_pays(best, M, fixed) else None


def strassen_pays(kernel: GemmStrassen, M: int, fixed: bool) -> bool:
    """Whether it beats the plain product of M rows by a fiftieth at least, as `strassen_cost` and the products have it.

    >>> strassen_pays(GemmStrassen(64, 256, rows=98), 784, True), strassen_pays(GemmStrassen(32, 64, rows=98), 784, True)
    (True, False)
    """
    return 2 * kernel.vectors * (kernel.C + 3) > 1.02 * strassen_cost(kernel, M, fixed)


def strassen_cost(kernel: GemmStrassen, M: int, fixed: bool) -> float:
    """Cycles for one of M rows and a group of columns of both halves, on a core with one product a cycle.

    Measured: a tile takes 350 cycles beside its products, a vector of S two and a half, a line of u one for each block and two
    more the first time, as there are 7 for 4 of a plain product. Where u is made anew, a line takes 16, the speed of memory.
    """
    sums = 2.5 * 4 * kernel.C / 2 / kernel.lanes / kernel.groups
    block = (kernel.u_lines + 350 / kernel.pixels + sums) * kernel.half + kernel.u_lines
    return block / kernel.rows + (2 if fixed else 16) * kernel.u_lines / M
