"""A kernel of one's own: one Python function as readable text, in a checked interpreter, and as machine code.

    python examples/05_own_kernel.py
"""

import ctypes
from dataclasses import dataclass

import numpy as np

from striate.cpu.cache import library
from striate.cpu.kernels.base import Kernel
from striate.errors import KernelError
from striate.kernel.interpret import interpret
from striate.kernel.language import Builder
from striate.kernel.machine import host, named
from striate.kernel.sharing import SHARES
from striate.kernel.show import show


@dataclass(frozen=True)
class RowNorms(Kernel):
    """y[n] = sqrt(sum over c of x[n, c]^2) for rows of C floats. The fields are known when the kernel is written."""

    C: int
    arguments = ("N", "x", "y")  # what it gets when it runs: whole numbers and memory

    def build(self, k: Builder) -> None:
        N = k.int("N")
        x, y = k.tensor("x", (N, self.C)), k.tensor("y", (N,))
        for n in k.share(N):  # a loop that runs, over the rows that this thread does; Python's own `range` would unroll it
            total = k.cell(0.0)  # a register that changes in loops
            for c, lanes, count in k.vectors(self.C):  # whole vectors in a loop, then what is left over
                v = x.vec(n, c, lanes=lanes, count=count)
                total.add(k.reduce("add", v * v))
            y.store(k.unary("sqrt", total.value), n)


kernel, N, C = RowNorms(21), 1000, 21
x = np.random.default_rng(0).standard_normal((N, C)).astype(np.float32)
expected = np.linalg.norm(x, axis=1)

print("The kernel for a machine with 8 lanes, as text:\n")
print(show(kernel.build, named("avx2"), kernel.arguments))

# The interpreter carries out each line in NumPy and checks every access: here print and the debugger work.
y = np.zeros(N, np.float32)
interpret(kernel.build, host(), {"N": 10, "x": x, "y": y})
np.testing.assert_allclose(y[:10], expected[:10], rtol=1e-5)
print("interpreted: right, for 10 rows")
try:
    interpret(kernel.build, host(), {"N": 10, "x": x[:9], "y": y})
except KernelError as error:
    print("interpreted with one row too few:", error)

# Machine code for this very CPU. The cache on disk knows the kernel by its fields, so the next process only loads it.
address = library.load([kernel], host())[0]
run = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64, ctypes.c_void_p)(address)
y = np.zeros(N, np.float32)
table = np.array([N, x.ctypes.data, y.ctypes.data], np.uint64)
taken = np.zeros((2, SHARES), np.int64)  # how much of each thread's share is done, by whomever
for thread in range(2):  # two threads, here one after the other: the first finds all shares free and does them
    run(table.ctypes.data, thread, 2, taken.ctypes.data)
np.testing.assert_allclose(y, expected, rtol=1e-5)
print(f"machine code for {host()}: right, for {N:,} rows")
