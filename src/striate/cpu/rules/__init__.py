"""The CPU's rules: which kernels compute an operator, and in which layouts. One file an operator family."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from striate.cpu.lower import Lowering


def load() -> None:
    """Import every rule, so that it registers itself."""
    from striate.cpu.rules import conv, linear, norm, pool, reduce, rows, shapes, update

    del conv, linear, norm, pool, reduce, rows, shapes, update


def finish(low: Lowering) -> None:
    """What stands at a program's end: updates of parameters, of running statistics, and the outputs in plain order."""
    from striate.cpu.rules.update import finish_outputs, finish_updates

    finish_updates(low)
    finish_outputs(low)
