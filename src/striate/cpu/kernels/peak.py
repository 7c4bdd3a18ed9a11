"""Multiply-adds in registers, as many at a time as the machine has units and delay for: its floating-point peak.

    y[i, :] = sum over n of a*b, `accumulators` independent sums side by side; 2 * lanes FLOPs a multiply-add

Twelve sums hide four cycles of delay behind two units and leave registers free on every machine with 16 of them.
"""

from __future__ import annotations

from dataclasses import dataclass

from striate.cpu.kernels.base import Kernel
from striate.kernel.language import Builder

ACCUMULATORS = 12


@dataclass(frozen=True)
class FmaPeak(Kernel):
    """tasks * rounds * ACCUMULATORS multiply-adds of whole vectors."""

    @property
    def arguments(self) -> tuple[str, ...]:
        return ("tasks", "rounds", "y")

    def build(self, k: Builder) -> None:
        tasks, rounds, lanes = k.int("tasks"), k.int("rounds"), k.lanes
        y = k.tensor("y", (tasks, lanes))
        for task in k.share(tasks):
            factor = y.vec(task, 0, lanes=lanes)
            sums = [k.cell(0.0, lanes) for _ in range(ACCUMULATORS)]
            for _ in k.range(rounds):
                for cell in sums:
                    cell.fma(factor, factor)
            total = sums[0].value
            for cell in sums[1:]:
                total = total + cell.value
            y.store(total, task, 0)


@dataclass(frozen=True)
class Nothing(Kernel):
    """No work: where a measurement begins."""

    @property
    def arguments(self) -> tuple[str, ...]:
        return ()

    def build(self, k: Builder) -> None:
        """Nothing to write."""
