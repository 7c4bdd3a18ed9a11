"""Threads of one team on cores of their own.

Linux may wake a worker on the core of the thread that woke it, and may leave both there while another core is free: they spin, so
neither looks idle, and at every barrier one waits until the other has spun for long enough to give the core away. A step of a
tenth of a millisecond was seen to take three times as long, for seconds on end. So now and then a team looks where its threads
ran last, and pushes those that share a core to free ones: bound for one job, then free to go where the system wants them.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

PAUSE = 0.02
"""Seconds between two looks; one takes about 20 microseconds for each thread."""


def crowded(cores: Sequence[int], allowed: set[int]) -> dict[int, int]:
    """The threads, by number, that should move, each with a free core: all but the first on each core, while there are free ones.

    >>> crowded([0, 1, 1, 1], {0, 1, 2, 3})
    {2: 2, 3: 3}
    """
    free = sorted(allowed - set(cores), reverse=True)
    double = [i for i, core in enumerate(cores) if core in cores[:i]]
    return {i: free.pop() for i in double[:len(free)]}


def last_core(thread: int) -> int:
    """The core on which a thread of this process ran last, by the system's number of the thread."""
    line = Path(f"/proc/self/task/{thread}/stat").read_text(encoding="ascii", errors="replace")
    return int(line[line.rindex(")") + 2:].split()[36])


class Spread:
    """Keeps the workers of a team away from each other and from their caller; the system's numbers of its threads."""

    def __init__(self, workers: Sequence[int], clock: Callable[[], float] = time.monotonic):
        self.workers, self.clock = list(workers), clock
        self.bound: list[int] = []
        self.next = 0.0 if workers and sys.platform == "linux" else float("inf")

    def look(self) -> None:
        """Called before every job; looks rarely. Who was pushed is bound for the job that follows."""
        if self.bound or self.clock() >= self.next:
            try:
                self._push()
            except OSError:  # a system that hides its threads, or lets nobody move them
                self.bound, self.next = [], float("inf")

    def _push(self) -> None:
        caller = threading.get_native_id()
        allowed = os.sched_getaffinity(caller)
        while self.bound:
            os.sched_setaffinity(self.bound.pop(), allowed)
        if self.clock() < self.next:
            return
        self.next = self.clock() + PAUSE
        team = [caller, *self.workers]
        for i, core in crowded([last_core(thread) for thread in team], allowed).items():
            self.bound.append(team[i])
            os.sched_setaffinity(team[i], {core})
