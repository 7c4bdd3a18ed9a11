"""What a kernel may know of the machine that it is written for: lanes, registers, fused multiply-add, caches."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from striate.errors import ArgumentError

LINE = 16
"""Floats in a cache line."""


@dataclass(frozen=True)
class Machine:
    """One CPU, as LLVM names it.

    lanes: float32 in a vector register; registers: how many vector registers; fma: has fused multiply-add.
    """

    cpu: str
    features: str
    triple: str
    lanes: int
    registers: int
    fma: bool
    masks: bool
    """Loads and stores of part of a vector cost no more than whole ones."""

    @property
    def x86(self) -> bool:
        return self.triple.startswith(("x86_64", "i686"))

    def __str__(self) -> str:
        return f"{self.cpu}: {self.lanes} float32 lanes, {self.registers} vector registers"


@cache
def host() -> Machine:
    """The very CPU that this process runs on."""
    import llvmlite.binding as llvm

    features = llvm.get_host_cpu_features()
    present = {name for name, on in features.items() if on}
    return _describe(llvm.get_host_cpu_name(), features.flatten(), llvm.get_process_triple(), present)


FORMS = {
    "avx512": ("skylake-avx512", "", "x86_64-unknown-linux-gnu", {"avx512f", "avx512vl", "avx2", "fma"}),
    "avx2": ("haswell", "", "x86_64-unknown-linux-gnu", {"avx2", "fma"}),
    "sse2": ("x86-64", "", "x86_64-unknown-linux-gnu", {"sse2"}),
    "neon": ("generic", "", "aarch64-unknown-linux-gnu", {"neon"}),
}


def named(form: str) -> Machine:
    """A machine by the name of its instruction set: avx512, avx2, sse2 or neon.

    >>> named("avx2").lanes
    8
    """
    if form not in FORMS:
        raise ArgumentError(f"unknown machine '{form}'; known are {', '.join(FORMS)}")
    return _describe(*FORMS[form])


def _describe(cpu: str, features: str, triple: str, has: set[str]) -> Machine:
    x86 = triple.startswith(("x86_64", "i686"))
    wide = {"avx512f", "avx512vl"} <= has
    lanes = 16 if wide else 8 if "avx2" in has else 4
    return Machine(cpu, features, triple, lanes, registers=32 if wide or not x86 else 16, fma="fma" in has or not x86, masks=wide)
