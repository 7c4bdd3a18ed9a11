"""The CPU's rules: which kernels compute an operator, and in which layouts. One file an operator family."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from striate.cpu.layout import plain

if TYPE_CHECKING:
    from striate.cpu.lower import Lowering
    from striate.graph import Value


def load() -> None:
    """Import every rule, so that it registers itself."""
    from striate.cpu.rules import conv, embedding, linear, norm, pool, reduce, resample, roi, rows, sample_norm, shapes, update

    del conv, embedding, linear, norm, pool, reduce, resample, roi, rows, sample_norm, shapes, update


def finish(low: Lowering, outputs: Sequence[Value]) -> None:
    """What stands at a program's end: updates of parameters, of running statistics, and the outputs in plain order."""
    from striate.cpu.rules.update import finish_updates

    finish_updates(low)
    finish_outputs(low, outputs)


def finish_outputs(low: Lowering, outputs: Sequence[Value]) -> None:
    """Every output in plain order, in memory that lives until the end."""
    for value in outputs:
        low.results.append(low.need(value, plain(value.shape)))
    for buffer in low.results:
        buffer.use(len(low.calls))
