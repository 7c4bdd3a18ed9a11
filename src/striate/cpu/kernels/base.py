"""What a kernel is to the CPU target: a frozen dataclass of sizes and choices, with `arguments` and `build`.

Two equal specifications are the same machine code, so a specification is also the key of the code cache. The batch is an
argument of the run, never part of a specification.
"""

from __future__ import annotations

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

    @property
    def name(self) -> str:
        return type(self).__name__
