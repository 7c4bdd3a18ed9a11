"""One system in a process of its own: `python worker.py SYSTEM NETWORK BATCH MODE THREADS`.

Reads a line for each round and answers with the seconds of the runs of that round, as JSON. Between rounds it sleeps on its
input, so it takes no core from the others.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import time
import warnings
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from systems import run_of


def main() -> None:
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # some systems print while they start
    warnings.simplefilter("ignore")
    system, network, batch, mode, threads = sys.argv[1:6]
    start = time.perf_counter()
    run = run_of(system, network, int(batch), mode, int(threads))
    values = [run() for _ in range(3)]
    print(json.dumps({"values": values, "ready": time.perf_counter() - start}), file=answers, flush=True)
    for line in sys.stdin:
        times = measured(run, float(line))
        print(json.dumps({"times": times, "peak": peak_bytes()}), file=answers, flush=True)


def peak_bytes() -> int:
    """The most memory that this process has had. Linux's own mark, for `getrusage` begins with what the parent process has."""
    status = Path("/proc/self/status")
    if not status.exists():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return int(status.read_text().partition("VmHWM:")[2].split()[0]) * 1024


def measured(run, seconds: float) -> list[float]:
    """Seconds of each run, for so long and at least twice."""
    run()  # the caches are somebody else's
    times, end = [], time.perf_counter() + seconds
    while time.perf_counter() < end or len(times) < 2:
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return times


if __name__ == "__main__":
    main()
