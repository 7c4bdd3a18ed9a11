"""What a kernel is to the CPU target: a frozen dataclass of sizes and choices, with `arguments` and `build`.

Two equal specifications are the same machine code, so a specification is also the key of the code cache. The batch is an
argument of the run, never part of a specification.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Self

from striate.cpu.kernels.tally import Tally
from striate.kernel.language import Builder

if TYPE_CHECKING:
    from striate.cpu.kernels.pointwise import Chain


class Kernel:
    """Base of every kernel specification."""

    @property
    def arguments(self) -> tuple[str, ...]:
        """Names of the 64-bit slots, in order: memory and whole numbers."""
        raise NotImplementedError

    def build(self, k: Builder) -> None:
        """Write the kernel."""
        raise NotImplementedError

    @property
    def name(self) -> str:
        return type(self).__name__


class Tallying(Kernel):
    """Base of the kernels that can take sums of their results: they end in a chain, which holds the tally."""

    chain: Chain

    def tallies(self, kind: type[Tally], arguments: Mapping[str, Any]) -> bool:
        """Whether the kernel takes such sums, called with these arguments."""
        raise NotImplementedError

    def ending(self, chain: Chain) -> Self:
        """The same kernel with another chain."""
        return replace(self, chain=chain)  # type: ignore[type-var]
