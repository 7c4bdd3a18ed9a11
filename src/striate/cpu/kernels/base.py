"""What a kernel is to the CPU target: a frozen dataclass of sizes and choices, with `arguments` and `build`.

Two equal specifications are the same machine code, so a specification is also the key of the code cache. The batch is an
argument of the run, never part of a specification.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from striate.cpu.kernels.tally import Tally
from striate.kernel.language import Builder


class Kernel:
    """Base of every kernel specification."""

    @property
    def arguments(self) -> tuple[str, ...]:
        """Names of the 64-bit slots, in order: memory and whole numbers."""
        raise NotImplementedError

    def build(self, k: Builder) -> None:
        """Write the kernel."""
        raise NotImplementedError

    def tallies(self, kind: type[Tally], arguments: Mapping[str, Any]) -> bool:
        """Whether the kernel, called with these arguments, can take sums of its results."""
        return False

    @property
    def name(self) -> str:
        return type(self).__name__
