"""Threads that run a program together: every thread runs the same calls, a barrier stands between two.

    run(state, thread)      all calls of the job, each followed by a barrier of all threads
    launch(state, job)      announce a job, wake the workers that sleep, and run it
    serve(state, thread)    a worker: spins for jobs, runs them, and sleeps when none came for a while

A worker that goes to sleep raises its flag first and then looks once more for a job; `launch` announces the job first and
then takes the flags. Who lowers a flag is one of the two: the worker, and it does not sleep, or `launch`, and it opens the
lock before which the worker sleeps. So no job is missed.

Which stretches of a share are taken is counted in two tables in turn, one for every other call: while a call counts in one,
each thread clears its line of the other, in which nobody counts until all have met again.

Between two calls nobody leaves native code: a barrier is one atomic addition and a short spin, which gives the core away
after a while, so that more threads than cores still go on. After a job a worker spins for about a tenth of a millisecond and
then sleeps, in a lock of Python's that needs no interpreter. A launch is one call of native code, so an interrupt from the
keyboard comes before it or after it, never while workers wait for the caller. Denormal numbers are flushed to zero inside
and the caller's mode is restored. cores.py keeps the threads on cores of their own.

Source: Mellor-Crummey & Scott, Algorithms for scalable synchronization, ACM TOCS 9(1), 1991 (sense-reversing barrier).
"""

from __future__ import annotations

import ctypes
import operator
import os
import sys
import threading
from functools import cache
from typing import Any

import numpy as np

from striate.cpu.cores import Spread
from striate.errors import ArgumentError
from striate.kernel.machine import Machine, host
from striate.kernel.sharing import SHARES

# slots of the shared state, in 64-bit words; words that different threads write stand in different cache lines
GENERATION, KERNELS, TABLES, COUNT, THREADS, YIELD, STAMPS, TAKEN = 0, 1, 2, 3, 4, 5, 8, 9
ARRIVED, ROUND, ACQUIRE, RELEASE, WORKERS = 16, 32, 6, 7, 48
STRIDE = 8
"""Words from one worker to the next; each has a flag, raised while it sleeps, and the lock before which it does."""
SPINS_BEFORE_YIELD, SPINS_AFTER_YIELD, SPINS_BEFORE_SLEEP = 2000, 1950, 4000
MOST = 1024
"""Threads that may be asked for."""

IR = """
%(declare)s
define void @run(ptr %%state, i64 %%thread) nounwind {
entry:
%(enter)s
  %%kernels.at = getelementptr i64, ptr %%state, i64 %(KERNELS)d
  %%kernels = load ptr, ptr %%kernels.at
  %%tables.at = getelementptr i64, ptr %%state, i64 %(TABLES)d
  %%tables = load ptr, ptr %%tables.at
  %%count.at = getelementptr i64, ptr %%state, i64 %(COUNT)d
  %%count = load i64, ptr %%count.at
  %%threads.at = getelementptr i64, ptr %%state, i64 %(THREADS)d
  %%threads = load i64, ptr %%threads.at
  %%yield.at = getelementptr i64, ptr %%state, i64 %(YIELD)d
  %%yield = load ptr, ptr %%yield.at
  %%arrived.at = getelementptr i64, ptr %%state, i64 %(ARRIVED)d
  %%round.at = getelementptr i64, ptr %%state, i64 %(ROUND)d
  %%stamps.at = getelementptr i64, ptr %%state, i64 %(STAMPS)d
  %%stamps = load ptr, ptr %%stamps.at
  %%timed = icmp ne ptr %%stamps, null
  %%taken.at = getelementptr i64, ptr %%state, i64 %(TAKEN)d
  %%taken.both = load ptr, ptr %%taken.at
  %%line = mul i64 %%thread, %(SHARES)d
  %%size = mul i64 %%threads, %(SHARES)d
  br label %%each
each:
  %%i = phi i64 [ 0, %%entry ], [ %%next, %%onward ]
  %%now = load atomic i64, ptr %%round.at acquire, align 8
  %%odd = and i64 %%now, 1
  %%this = mul i64 %%odd, %%size
  %%that = sub i64 %%size, %%this
  %%mine = add i64 %%that, %%line
  %%taken = getelementptr i64, ptr %%taken.both, i64 %%this
  %%mine.at = getelementptr i64, ptr %%taken.both, i64 %%mine
  store <%(SHARES)d x i64> zeroinitializer, ptr %%mine.at, align 64
  %%kernel.at = getelementptr ptr, ptr %%kernels, i64 %%i
  %%kernel = load ptr, ptr %%kernel.at
  %%table.at = getelementptr ptr, ptr %%tables, i64 %%i
  %%table = load ptr, ptr %%table.at
  call void %%kernel(ptr %%table, i64 %%thread, i64 %%threads, ptr %%taken)
  br i1 %%timed, label %%stamp, label %%meet
stamp:
  %%clock = %(clock)s
  %%row = mul i64 %%thread, %%count
  %%place = add i64 %%row, %%i
  %%stamp.at = getelementptr i64, ptr %%stamps, i64 %%place
  store i64 %%clock, ptr %%stamp.at
  br label %%meet
meet:
  %%before = atomicrmw add ptr %%arrived.at, i64 1 acq_rel
  %%here = add i64 %%before, 1
  %%all = icmp eq i64 %%here, %%threads
  br i1 %%all, label %%last, label %%spin
last:
  store atomic i64 0, ptr %%arrived.at monotonic, align 8
  %%following = add i64 %%now, 1
  store atomic i64 %%following, ptr %%round.at release, align 8
  br label %%onward
spin:
  %%spins = phi i64 [ 0, %%meet ], [ %%more, %%wait ], [ %(SPINS_AFTER_YIELD)d, %%give ]
  %%seen = load atomic i64, ptr %%round.at acquire, align 8
  %%same = icmp eq i64 %%seen, %%now
  br i1 %%same, label %%patience, label %%onward
patience:
  %%long = icmp ugt i64 %%spins, %(SPINS_BEFORE_YIELD)d
  br i1 %%long, label %%give, label %%wait
wait:
  %%more = add i64 %%spins, 1
  %(pause)s
  br label %%spin
give:
  %%ignored = call i32 %%yield()
  br label %%spin
onward:
  %%next = add i64 %%i, 1
  %%again = icmp slt i64 %%next, %%count
  br i1 %%again, label %%each, label %%end
end:
%(leave)s
  ret void
}

define void @launch(ptr %%state, ptr %%kernels, ptr %%tables, i64 %%count, ptr %%stamps) nounwind {
entry:
  %%kernels.at = getelementptr i64, ptr %%state, i64 %(KERNELS)d
  store ptr %%kernels, ptr %%kernels.at
  %%tables.at = getelementptr i64, ptr %%state, i64 %(TABLES)d
  store ptr %%tables, ptr %%tables.at
  %%count.at = getelementptr i64, ptr %%state, i64 %(COUNT)d
  store i64 %%count, ptr %%count.at
  %%stamps.at = getelementptr i64, ptr %%state, i64 %(STAMPS)d
  store ptr %%stamps, ptr %%stamps.at
  %%threads.at = getelementptr i64, ptr %%state, i64 %(THREADS)d
  %%threads = load i64, ptr %%threads.at
  %%release.at = getelementptr i64, ptr %%state, i64 %(RELEASE)d
  %%release = load ptr, ptr %%release.at
  %%old = atomicrmw add ptr %%state, i64 1 seq_cst
  br label %%check
check:
  %%i = phi i64 [ 1, %%entry ], [ %%next, %%onward ]
  %%more = icmp slt i64 %%i, %%threads
  br i1 %%more, label %%look, label %%go
look:
  %%slot = mul i64 %%i, %(STRIDE)d
  %%place = add i64 %%slot, %(WORKERS)d
  %%flag.at = getelementptr i64, ptr %%state, i64 %%place
  %%flag = atomicrmw xchg ptr %%flag.at, i64 0 seq_cst
  %%sleeps = icmp ne i64 %%flag, 0
  br i1 %%sleeps, label %%wake, label %%onward
wake:
  %%lock.at = getelementptr i64, ptr %%flag.at, i64 1
  %%lock = load ptr, ptr %%lock.at
  call void %%release(ptr %%lock)
  br label %%onward
onward:
  %%next = add i64 %%i, 1
  br label %%check
go:
  call void @run(ptr %%state, i64 0)
  ret void
}

define void @serve(ptr %%state, i64 %%thread) nounwind {
entry:
  %%acquire.at = getelementptr i64, ptr %%state, i64 %(ACQUIRE)d
  %%acquire = load ptr, ptr %%acquire.at
  %%slot = mul i64 %%thread, %(STRIDE)d
  %%place = add i64 %%slot, %(WORKERS)d
  %%flag.at = getelementptr i64, ptr %%state, i64 %%place
  %%lock.at = getelementptr i64, ptr %%flag.at, i64 1
  %%lock = load ptr, ptr %%lock.at
  br label %%look
look:
  %%seen = phi i64 [ 0, %%entry ], [ %%seen, %%wait ], [ %%now, %%work ], [ %%seen, %%lower ], [ %%seen, %%sleep ]
  %%spins = phi i64 [ 0, %%entry ], [ %%more, %%wait ], [ 0, %%work ], [ 0, %%lower ], [ 0, %%sleep ]
  %%now = load atomic i64, ptr %%state acquire, align 8
  %%same = icmp eq i64 %%now, %%seen
  br i1 %%same, label %%patience, label %%work
work:
  call void @run(ptr %%state, i64 %%thread)
  br label %%look
patience:
  %%long = icmp ugt i64 %%spins, %(SPINS_BEFORE_SLEEP)d
  br i1 %%long, label %%raise, label %%wait
wait:
  %%more = add i64 %%spins, 1
  %(pause)s
  br label %%look
raise:
  store atomic i64 1, ptr %%flag.at seq_cst, align 8
  %%check = load atomic i64, ptr %%state seq_cst, align 8
  %%still = icmp eq i64 %%check, %%seen
  br i1 %%still, label %%sleep, label %%lower
lower:
  %%mine = atomicrmw xchg ptr %%flag.at, i64 0 seq_cst
  %%kept = icmp ne i64 %%mine, 0
  br i1 %%kept, label %%look, label %%sleep
sleep:
  %%ignored = call i32 %%acquire(ptr %%lock, i32 1)
  br label %%look
}
"""

X86 = {
    "clock": "call i64 @llvm.readcyclecounter()",
    "declare": """declare i64 @llvm.readcyclecounter()
declare void @llvm.x86.sse2.pause()
declare void @llvm.x86.sse.stmxcsr(ptr)
declare void @llvm.x86.sse.ldmxcsr(ptr)""",
    "pause": "call void @llvm.x86.sse2.pause()",
    "enter": """  %mode.at = alloca i32
  %flush.at = alloca i32
  call void @llvm.x86.sse.stmxcsr(ptr %mode.at)
  %mode = load i32, ptr %mode.at
  %flush = or i32 %mode, 32832
  store i32 %flush, ptr %flush.at
  call void @llvm.x86.sse.ldmxcsr(ptr %flush.at)""",
    "leave": "  call void @llvm.x86.sse.ldmxcsr(ptr %mode.at)",
}
ARM = {
    "clock": "call i64 @llvm.read_volatile_register.i64(metadata !0)",
    "declare": """!0 = !{!"cntvct_el0"}
declare i64 @llvm.read_volatile_register.i64(metadata)
declare void @llvm.aarch64.hint(i32)
declare i64 @llvm.aarch64.get.fpcr()
declare void @llvm.aarch64.set.fpcr(i64)""",
    "pause": "call void @llvm.aarch64.hint(i32 1)",
    "enter": """  %mode = call i64 @llvm.aarch64.get.fpcr()
  %flush = or i64 %mode, 16777216
  call void @llvm.aarch64.set.fpcr(i64 %flush)""",
    "leave": "  call void @llvm.aarch64.set.fpcr(i64 %mode)",
}


def runtime_source(machine: Machine) -> str:
    """The LLVM IR of run, launch and serve for a machine."""
    numbers = {"SHARES": SHARES} | {name: value for name, value in globals().items() if name.isupper() and isinstance(value, int)}
    return f'target triple = "{machine.triple}"\n' + IR % ((X86 if machine.x86 else ARM) | numbers)


@cache
def _native() -> tuple[Any, Any, Any]:
    """(launch, serve) as ctypes functions, and the engine that keeps them alive."""
    import llvmlite.binding as llvm

    from striate.cpu.cache import library
    from striate.kernel.compile import target_machine

    engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), target_machine(host()))
    code = library.object_of("runtime", runtime_source(host()), host())
    engine.add_object_file(llvm.ObjectFileRef.from_data(code))
    engine.finalize_object()
    word, pointer = ctypes.c_int64, ctypes.c_void_p
    launch = ctypes.CFUNCTYPE(None, pointer, pointer, pointer, word, pointer)(engine.get_function_address("launch"))
    serve = ctypes.CFUNCTYPE(None, pointer, word)(engine.get_function_address("serve"))
    return launch, serve, engine


def _yield_address() -> int:
    """The system's call that gives the rest of a time slice away."""
    if sys.platform == "win32":
        return _address(ctypes.windll.kernel32.SwitchToThread)
    return _address(ctypes.CDLL(None).sched_yield)


def _address(function: Any) -> int:
    return ctypes.cast(function, ctypes.c_void_p).value or 0


def _closed_lock() -> int:
    """A lock of Python's, as C sees it: `acquire` waits until another thread releases it."""
    api = ctypes.pythonapi
    api.PyThread_allocate_lock.restype = ctypes.c_void_p
    lock = api.PyThread_allocate_lock()
    api.PyThread_acquire_lock(ctypes.c_void_p(lock), 1)
    return lock


def aligned(words: int) -> np.ndarray:
    """64-bit words from a cache line's beginning on, zero."""
    memory = np.zeros(words + 8, np.int64)
    return memory[-memory.ctypes.data % 64 // 8:][:words]


class Team:
    """`size` threads, the caller's among them."""

    def __init__(self, size: int):
        self.size = size
        self.launch, self.serve, _ = _native()
        self.state = aligned(WORKERS + STRIDE * size)
        self.address = self.state.ctypes.data
        self.state[YIELD], self.state[THREADS] = _yield_address(), size
        self.state[ACQUIRE] = _address(ctypes.pythonapi.PyThread_acquire_lock)
        self.state[RELEASE] = _address(ctypes.pythonapi.PyThread_release_lock)
        self.counters = aligned(2 * size * SHARES)
        self.state[TAKEN] = self.counters.ctypes.data
        self.lock = threading.Lock()
        workers = [threading.Thread(target=self.serve, args=(self.address, i), name=f"striate-{i}", daemon=True)
                   for i in range(1, size)]
        for i, worker in enumerate(workers, 1):
            self.state[WORKERS + STRIDE * i + 1] = _closed_lock()
            worker.start()
        self.spread = Spread([worker.native_id or 0 for worker in workers])

    def execute(self, kernels: int, tables: int, count: int, stamps: int = 0) -> None:
        """Run `count` calls: where the addresses of the kernels and of their arguments stand. Returns when all threads are done.

        stamps: where an int64 (threads, calls) takes the processor's clock whenever a thread has done its part of a call.
        """
        if count:
            with self.lock:
                self.spread.look()
                self.launch(self.address, kernels, tables, count, stamps)


_size = 0
_teams: dict[int, Team] = {}
_guard = threading.Lock()


def set_num_threads(n: int) -> None:
    """Use n threads from now on. The results do not depend on n."""
    global _size
    _size = _count(n, "the number of threads")


def get_num_threads() -> int:
    """Threads in use: what was set, else STRIATE_NUM_THREADS, else the cores that this process may use."""
    if _size:
        return _size
    wish = os.environ.get("STRIATE_NUM_THREADS")
    if wish:
        return _count(int(wish) if wish.strip().isdecimal() else wish, "STRIATE_NUM_THREADS")
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _count(n: Any, name: str) -> int:
    """Refuse numbers of threads that no machine has."""
    if isinstance(n, bool) or not hasattr(n, "__index__") or not 1 <= n <= MOST:
        raise ArgumentError(f"{name} must be a whole number from 1 to {MOST}, got {n!r}")
    return operator.index(n)


def team(size: int) -> Team:
    """The `size` threads that run programs planned for so many; started when first wanted, and kept."""
    with _guard:
        if size not in _teams:
            _teams[size] = Team(size)
        return _teams[size]


def _forget() -> None:
    """A forked child has none of its parent's threads."""
    global _guard
    _guard = threading.Lock()
    _teams.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
