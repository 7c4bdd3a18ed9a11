"""Kernels as functions on arrays, and the check that every kernel must pass.

A kernel has three meanings here: the bounds-checked interpreter, and machine code for this CPU and for narrower ones
(AVX2: 8 lanes, 16 registers; SSE2: 4 lanes, no fused multiply-add, no masks), which every x86 with AVX2 can run.
"""

from __future__ import annotations

import ctypes
import time
from collections.abc import Callable, Mapping
from functools import cache

import numpy as np

from striate.cpu.cache import source_of
from striate.cpu.kernels.base import Kernel
from striate.kernel.compile import object_code, target_machine
from striate.kernel.interpret import interpret
from striate.kernel.machine import Machine, host, named
from striate.kernel.sharing import SHARES

Arguments = Mapping[str, np.ndarray | int]
Compiled = Callable[[int, int, int, int], None]

MACHINES = {"interpreter": named("avx2"), "host": host(), "avx2": named("avx2"), "sse2": named("sse2")}
GUARD = 67
"""Elements before and after each array, which nothing may touch; odd, so that vectors are not aligned."""


@cache
def compiled(kernel: Kernel, machine: Machine) -> Compiled:
    """A kernel's machine code: function(addresses of arguments, thread, threads, what is taken)."""
    import llvmlite.binding as llvm

    code = object_code(source_of(kernel, machine), machine)
    engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), target_machine(machine))
    engine.add_object_file(llvm.ObjectFileRef.from_data(code))
    engine.finalize_object()
    word, pointer = ctypes.c_int64, ctypes.c_void_p
    function = ctypes.CFUNCTYPE(None, pointer, word, word, pointer)(engine.get_function_address("kernel"))
    function.engine = engine  # type: ignore[attr-defined]
    return function


def slots(kernel: Kernel, arguments: Arguments) -> np.ndarray:
    """The 64-bit slots of a call."""
    values = [arguments[name] for name in kernel.arguments]
    return np.array([v if isinstance(v, int) else v.ctypes.data for v in values], np.int64)


def run(kernel: Kernel, arguments: Arguments, meaning: str = "host", threads: int = 1) -> None:
    """Run a kernel on contiguous arrays, one thread after the other; it writes into those that are its outputs.

    threads: each does its own part; negative for so many of which the last one comes first and does what it finds.
    """
    if meaning == "interpreter":
        interpret(kernel.build, MACHINES[meaning], {name: arguments[name] for name in kernel.arguments}, threads)
        return
    function, table = compiled(kernel, MACHINES[meaning]), slots(kernel, arguments)
    free = np.zeros((abs(threads), SHARES), np.int64)
    for thread in reversed(range(-threads)) if threads < 0 else range(threads):
        taken = free if threads < 0 else nothing_but_its_own(thread, threads)
        function(table.ctypes.data, thread, abs(threads), taken.ctypes.data)


def nothing_but_its_own(thread: int, threads: int) -> np.ndarray:
    """What a kernel finds where all other threads have taken all of their shares."""
    taken = np.full((threads, SHARES), 2**40, np.int64)
    taken[thread] = 0
    return taken


def guarded(array: np.ndarray) -> np.ndarray:
    """A copy between guards: NaN, or the largest whole number."""
    filler = np.nan if array.dtype.kind == "f" else np.iinfo(array.dtype).max
    memory = np.full(array.size + 2 * GUARD, filler, array.dtype)
    memory[GUARD:-GUARD] = array.reshape(-1)
    return memory


def check(kernel: Kernel, inputs: Arguments, wanted: Mapping[str, np.ndarray], rtol: float = 1e-5, start: Arguments | None = None,
          meanings: tuple[str, ...] = tuple(MACHINES)) -> None:
    """All meanings of a kernel give the wanted outputs: the same bits for 1 and 3 threads, whoever does what, and nothing outside
    is touched.

    Outputs that are also inputs are updated in place; the others begin as NaN, or as `start` says.
    """
    assert set(kernel.arguments) == set(inputs) | set(wanted)
    for meaning in meanings:
        first: dict[str, np.ndarray] = {}
        for threads in (1, 3, -3) if meaning != "interpreter" else (3,):  # the interpreter is slow
            begin = {name: np.full(w.shape, np.nan if w.dtype.kind == "f" else 111, w.dtype) for name, w in wanted.items()}
            arrays = begin | dict(start or {}) | dict(inputs)
            memory = {name: guarded(np.asarray(a)) for name, a in arrays.items() if not isinstance(a, int)}
            run(kernel, arrays | {name: m[GUARD:-GUARD] for name, m in memory.items()}, meaning, threads)
            for name, m in memory.items():
                expected = wanted.get(name, arrays[name])
                got, edges = m[GUARD:-GUARD].reshape(np.shape(expected)), guarded(np.asarray(expected))
                np.testing.assert_array_equal(m[:GUARD], edges[:GUARD], f"{meaning}: before {name}")
                np.testing.assert_array_equal(m[-GUARD:], edges[-GUARD:], f"{meaning}: after {name}")
                close(got, expected, rtol if name in wanted else 0.0, f"{kernel} {meaning}, {threads} threads: {name}")
                np.testing.assert_array_equal(got, first.setdefault(name, got), f"{meaning}: {name} depends on the threads")


def apply(kernel, meaning: str, threads: int, **arguments) -> dict[str, np.ndarray]:
    """Run a kernel between guards of NaN; its scratch holds NaN too. The arrays afterwards."""
    if "scratch" in kernel.arguments:
        arguments["scratch"] = np.full(abs(threads) * kernel.scratch_floats(), np.nan, np.float32)
    memory = {name: guarded(np.asarray(a)) for name, a in arguments.items() if not isinstance(a, int)}
    run(kernel, arguments | {name: m[GUARD:-GUARD] for name, m in memory.items()}, meaning, threads)
    for name, m in memory.items():
        assert np.isnan(m[:GUARD]).all() and np.isnan(m[-GUARD:]).all(), f"{name} is touched outside"
    return {name: m[GUARD:-GUARD].reshape(np.shape(arguments[name])) for name, m in memory.items()}


def blank(*shape: int) -> np.ndarray:
    return np.full(shape, np.nan, np.float32)


def for_threads(kernel, meaning: str, out: str, **arguments) -> np.ndarray:
    """What a kernel writes: the same bits for one thread and three, whoever does what."""
    ways = (3,) if meaning == "interpreter" else (1, 3, -3)
    first, *others = (apply(kernel, meaning, threads, **arguments)[out] for threads in ways)
    for other in others:
        np.testing.assert_array_equal(first, other)
    return first


def close(got: np.ndarray, wanted: np.ndarray, rtol: float, what: str) -> None:
    """Equal up to rounding, relative to the largest number."""
    scale = np.max(np.abs(wanted.astype(np.float64)), initial=0, where=np.isfinite(wanted))
    np.testing.assert_allclose(got, wanted, rtol=rtol, atol=rtol * scale, err_msg=what)


def seconds(kernel: Kernel, arguments: Arguments, repeats: int = 50, meaning: str = "host") -> float:
    """The shortest of many single-threaded runs."""
    function, table = compiled(kernel, MACHINES[meaning]), slots(kernel, arguments)
    best = float("inf")
    for _ in range(repeats + 1):
        start = time.perf_counter()
        function(table.ctypes.data, 0, 1, nothing_but_its_own(0, 1).ctypes.data)
        best = min(best, time.perf_counter() - start)
    return best


def floats(*shape: int, seed: int = 0) -> np.ndarray:
    """Normal numbers, float32."""
    return np.random.default_rng([seed, *shape]).standard_normal(shape, np.float32)


def last(x: np.ndarray) -> np.ndarray:
    """(N, C, ...) as it lies in memory: (N, ..., C)."""
    return np.ascontiguousarray(np.moveaxis(x, 1, -1))
