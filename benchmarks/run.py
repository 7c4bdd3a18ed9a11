"""Networks against every peer: `python benchmarks/run.py [--networks lenet ...] [--rounds 8] [--save docs/benchmarks]`.

Each system runs in a process of its own; rounds take turns with a pause in between, and the numbers that the systems compute
are compared before anything is timed. Reported are the median of all runs, the ratio to the fastest peer, and the time that
the direct algorithm's multiply-accumulates take at this machine's measured peak, as a share of striate's time.
`--save` writes PATH.json, and PATH.md with its plot PATH.svg.
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
from report import save, show
from systems import available


class Worker:
    """A system that waits in its own process."""

    def __init__(self, system: str, network: str, batch: int, mode: str, threads: int):
        command = [sys.executable, str(Path(__file__).with_name("worker.py")), system, network, str(batch), mode, str(threads)]
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


def compare(network: str, batch: int, mode: str, options: argparse.Namespace) -> list[dict[str, Any]]:
    """One row for each system that starts and computes what PyTorch does."""
    workers = {s: Worker(s, network, batch, mode, options.threads) for s in available(mode)}
    workers = {s: w for s, w in workers.items() if w.first}  # torch.compile needs a C++ compiler
    if missing := {"striate", "torch"} - workers.keys():
        command = f"python benchmarks/worker.py {min(missing)} {network} {batch} {mode} {options.threads}"
        raise SystemExit(f"{' and '.join(sorted(missing))} did not start; for the message: {command}")
    reference = workers["torch"].first["values"]
    for system, worker in workers.items():
        difference = np.max(np.abs(np.subtract(worker.first["values"], reference)) / np.maximum(1, np.abs(reference)))
        if difference > 2e-3:
            raise SystemExit(f"{system} computes {worker.first['values']}, torch {reference}")
    for _ in range(options.rounds):
        for worker in workers.values():
            time.sleep(options.pause)
            worker.round(options.seconds)
    for worker in workers.values():
        worker.close()
    work = NETWORKS[network].macs * batch * (3 if mode == "train" else 1)
    return [{"network": network, "batch": batch, "mode": mode, "system": system, "seconds": statistics.median(worker.times),
             "peak_bytes": worker.peak, "ready": worker.first["ready"], "macs": work} for system, worker in workers.items()]


def rows(options: argparse.Namespace) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for name in options.networks:
        batch = NETWORKS[name].batch
        for mode, size in (("train", batch), ("infer", batch), ("infer", 1)):
            if f"{mode}{'1' if size == 1 else ''}" in options.modes:
                measured = compare(name, size, mode, options)
                show(measured)
                found += measured
                if options.save:  # what is measured stays, whatever comes after
                    options.save.with_suffix(".json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--networks", nargs="*", default=list(NETWORKS))
    parser.add_argument("--modes", nargs="*", default=["train", "infer", "infer1"])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=0.25)
    parser.add_argument("--pause", type=float, default=0.3)
    parser.add_argument("--save", type=Path)
    options = parser.parse_args()
    found = rows(options)
    if options.save:
        save(found, options)


if __name__ == "__main__":
    main()
