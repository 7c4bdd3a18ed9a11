"""Training steps and inference against PyTorch: `python benchmarks/run.py [--rounds 12]`.

Each system runs in a process of its own; rounds take turns with a pause in between, and the losses of the first three steps
are compared before anything is timed. Reported is the median of all steps, and the ratio to the faster PyTorch.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from networks import NETWORKS

SYSTEMS = ("striate", "torch", "torch.compile")


class Worker:
    def __init__(self, system: str, network: str, mode: str, threads: int):
        command = [sys.executable, str(Path(__file__).with_name("worker.py")), system, network, mode, str(threads)]
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, text=True)
        self.first = self.read()
        self.times: list[float] = []
        self.peak = 0

    def read(self) -> dict[str, Any]:
        """What the system says; nothing where it could not start."""
        line = self.process.stdout.readline()
        return json.loads(line) if line else {}

    def round(self, seconds: float) -> None:
        self.process.stdin.write(f"{seconds}\n")
        self.process.stdin.flush()
        answer = self.read()
        self.times += answer["times"]
        self.peak = answer["peak"]

    def close(self) -> None:
        self.process.stdin.close()
        self.process.wait()


def compare(network: str, mode: str, threads: int, rounds: int, seconds: float) -> None:
    workers = {s: Worker(s, network, mode, threads) for s in SYSTEMS}
    workers = {s: w for s, w in workers.items() if w.first}  # torch.compile needs a C++ compiler
    reference = workers["torch"].first["values"]
    for system, worker in workers.items():
        difference = np.max(np.abs(np.subtract(worker.first["values"], reference)) / np.maximum(1, np.abs(reference)))
        if difference > 1e-3:
            raise SystemExit(f"{system} computes {worker.first['values']}, torch {reference}")
    for _ in range(rounds):
        for worker in workers.values():
            time.sleep(0.3)
            worker.round(seconds)
    medians = {s: statistics.median(w.times) for s, w in workers.items()}
    best = min(m for s, m in medians.items() if s != "striate")
    for system, worker in workers.items():
        note = f"  {best / medians[system]:5.2f}x" if system == "striate" else ""
        print(f"{network:10s} {mode:6s} b{NETWORKS[network][1]:<3d} {system:14s} {medians[system] * 1e3:8.3f} ms  "
              f"peak {worker.peak / 2**20:6.0f} MiB  ready {worker.first['ready']:5.2f} s{note}", flush=True)
        worker.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--networks", nargs="*", default=list(NETWORKS))
    parser.add_argument("--modes", nargs="*", default=["train", "infer"])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=0.25)
    options = parser.parse_args()
    for network in options.networks:
        for mode in options.modes:
            compare(network, mode, options.threads, options.rounds, options.seconds)


if __name__ == "__main__":
    main()
