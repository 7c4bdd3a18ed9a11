"""Networks against every peer: `python benchmarks/run.py [--networks lenet ...] [--rounds 24] [--save docs/benchmarks]`.

Each system runs in a process of its own; rounds take turns with a pause in between, each begins with another system, and the
numbers that the systems compute are compared before anything is timed. A system's time is the median of its rounds' medians,
so a round that the machine had no time for counts as one. Beside the ratio to the fastest peer stand its quartiles over the
rounds. The machine's peak is measured anew in every round, and the best of a case is what its floor is counted by (limits.py).

Rounds end when a case has taken `--budget` seconds, but not before there are four.
`--save` writes PATH.json, PATH.md and its plot PATH.svg after each case; what PATH.json holds of other cases stays.
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
from limits import least
from networks import NETWORKS
from report import Rows, case_of, kept, save, show
from systems import available

LEAST_ROUNDS = 4


class Worker:
    """A script that waits in its own process until it is asked."""

    def __init__(self, script: str, *arguments: object):
        command = [sys.executable, str(Path(__file__).with_name(script)), *map(str, arguments)]
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, text=True)

    def read(self) -> dict[str, Any]:
        """What the script says; nothing where it could not start."""
        line = self.process.stdout.readline()
        return json.loads(line) if line else {}

    def ask(self, question: object) -> dict[str, Any]:
        self.process.stdin.write(f"{question}\n")
        self.process.stdin.flush()
        return self.read()

    def close(self) -> None:
        self.process.stdin.close()
        self.process.wait()


def started(network: str, batch: int, mode: str, threads: int) -> tuple[dict[str, Worker], dict[str, dict[str, Any]]]:
    """The systems that start and compute what PyTorch does, and what they said first."""
    workers, first = {}, {}
    for system in available(mode):  # one after the other, or they would hold each other up
        worker = Worker("worker.py", system, network, batch, mode, threads)
        if said := worker.read():  # torch.compile needs a C++ compiler
            workers[system], first[system] = worker, said
    if missing := {"striate", "torch"} - workers.keys():
        command = f"python benchmarks/worker.py {min(missing)} {network} {batch} {mode} {threads}"
        raise SystemExit(f"{' and '.join(sorted(missing))} did not start; for the message: {command}")
    reference = first["torch"]["values"]
    for system in workers:
        difference = np.max(np.abs(np.subtract(first[system]["values"], reference)) / np.maximum(1, np.abs(reference)))
        if difference > 2e-3:
            raise SystemExit(f"{system} computes {first[system]['values']}, torch {reference}")
    return workers, first


def compare(network: str, batch: int, mode: str, options: argparse.Namespace) -> Rows:
    """One row for each system."""
    workers, first = started(network, batch, mode, options.threads)
    machine, names, end = Worker("limits.py", options.threads), list(workers), time.perf_counter() + options.budget
    medians: dict[str, list[float]] = {system: [] for system in names}
    memory, limits = dict.fromkeys(names, 0), []
    for turn in range(options.rounds):
        if turn >= LEAST_ROUNDS and time.perf_counter() > end:
            break
        limits.append(machine.ask("now"))
        for i in range(len(names)):
            system = names[(turn + i) % len(names)]
            time.sleep(options.pause)
            answer = workers[system].ask(options.seconds)
            medians[system].append(statistics.median(answer["times"]))
            memory[system] = answer["peak"]
    for worker in (*workers.values(), machine):
        worker.close()
    macs, moved = least(NETWORKS[network], batch, mode)
    shared = {"threads": options.threads, "rounds": len(limits), "macs": macs, "bytes": moved,
              "peak_flops": max(limit["flops"] for limit in limits),
              "peak_bytes_per_second": max(limit["bytes"] for limit in limits)}
    return [{"network": network, "batch": batch, "mode": mode, "system": system, "seconds": statistics.median(medians[system]),
             "spread": spread(medians[system], medians["striate"]), "peak_bytes": memory[system],
             "ready": first[system]["ready"], **shared} for system in names]


def spread(times: list[float], own: list[float]) -> list[float]:
    """The quartiles over the rounds of a system's time beside striate's."""
    return [float(quartile) for quartile in np.percentile(np.divide(times, own), (25, 75))]


def together(rows: Rows, measured: Rows) -> Rows:
    """The rows of a case in place of those that there were of it; ordered as NETWORKS, training first, one image last."""
    cases = {case_of(row) for row in measured}
    found = [row for row in rows if case_of(row) not in cases] + measured
    return sorted(found, key=lambda row: (list(NETWORKS).index(row["network"]), row["mode"] != "train", -row["batch"]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", nargs="*", default=list(NETWORKS), choices=NETWORKS)
    parser.add_argument("--modes", nargs="*", default=["train", "infer", "infer1"], choices=["train", "infer", "infer1"])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=24)
    parser.add_argument("--seconds", type=float, default=0.08, help="of a system in a round; it runs at least twice")
    parser.add_argument("--pause", type=float, default=0.1)
    parser.add_argument("--budget", type=float, default=90, help="seconds of a case, after which its rounds end")
    parser.add_argument("--save", type=Path)
    options = parser.parse_args()
    rows = kept(options.save, options.threads) if options.save else []
    for name in options.networks:
        batch = NETWORKS[name].batch
        for mode, size in (("train", batch), ("infer", batch), ("infer", 1)):
            if f"{mode}{'1' if size == 1 else ''}" in options.modes:
                measured = compare(name, size, mode, options)
                show(measured)
                rows = together(rows, measured)
                if options.save:  # what is measured stays, whatever comes after
                    save(rows, options.save, options.threads)


if __name__ == "__main__":
    main()
