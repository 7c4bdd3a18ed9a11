"""Layers against PyTorch: `python -m benchmarks.operators.run [--only TEXT] [--save docs/operators_speed.md]`.

For each case both systems compute the forward pass and the gradients of all inputs and parameters, in turns, two threads each;
measure.py says what is timed. Shown are milliseconds, PyTorch's time over striate's, and the bytes a second of striate's kernels
as a share of what memory can move: above 100% where arrays stay in a cache.
"""

from __future__ import annotations

import argparse
import importlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch

import striate as st
from benchmarks.operators.case import Case
from benchmarks.operators.measure import Seconds, in_turns
from benchmarks.report import processor
from striate.cpu.peak import peak

NO_FAMILY = ("__init__", "case", "measure", "run")
FAMILIES = sorted(path.stem for path in Path(__file__).parent.glob("*.py") if path.stem not in NO_FAMILY)
HEAD = ("forward ms", "PyTorch", "ratio", "memory", "backward ms", "PyTorch", "ratio", "memory")

NOTE = """Written by `make bench-operators`: layers in training against PyTorch {torch}, float32, milliseconds. ratio: PyTorch's
time over striate's, so above 1 striate is faster. memory: the bytes that the kernels read and write, over their time and the
bandwidth of this machine's memory; above 100% where arrays stay in a cache. striate's times are those of the layer's kernels
inside a compiled program, PyTorch's those of its eager forward and backward pass in the better of its two memory formats."""


@dataclass(frozen=True)
class Row:
    """One case as it was measured: seconds of both systems, and striate's bytes, forward and backward."""

    name: str
    striate: Seconds
    torch: Seconds
    moved: tuple[int, int]

    @property
    def ratios(self) -> tuple[float, float]:
        """PyTorch's time over striate's."""
        return self.torch[0] / max(self.striate[0], 1e-9), self.torch[1] / max(self.striate[1], 1e-9)

    def cells(self, bandwidth: float) -> list[str]:
        found = [self.name]
        for own, other, ratio, moved in zip(self.striate, self.torch, self.ratios, self.moved, strict=True):
            found += [f"{own * 1e3:.3f}", f"{other * 1e3:.3f}", f"{ratio:.2f}", f"{moved / max(own, 1e-9) / bandwidth:.0%}"]
        return found


def show(cells: list[str] | tuple[str, ...]) -> str:
    name, *numbers = cells
    return f"{name:38s}" + "".join(f"{n:>{(12, 9, 7, 7)[i % 4]}s}" for i, n in enumerate(numbers))


def cases(only: str) -> Iterator[tuple[str, Case]]:
    """(family, case) of those whose family or name has `only` in it."""
    for family in FAMILIES:
        for case in importlib.import_module(f"benchmarks.operators.{family}").CASES:
            if only in f"{family} {case.name}":
                yield family, case


def page(tables: dict[str, list[Row]]) -> str:
    """The tables as Markdown."""
    limit, rows = peak(), [row for table in tables.values() for row in table]
    lost = sum(min(row.ratios) < 0.9 for row in rows)
    lines = ["# Speed of single layers", "", NOTE.format(torch=torch.__version__.split("+")[0]), "",
             f"Machine: {processor()}, {limit.threads} threads, {limit.flops_per_second * 1e-9:.0f} GFLOP/s, memory "
             f"{limit.bytes_per_second * 1e-9:.0f} GB/s.", "",
             f"{len(rows)} layers; {lost} of them are slower than PyTorch's by more than a tenth in a pass."]
    for family, table in tables.items():
        lines += ["", f"## {family}", "", "| layer | " + " | ".join(HEAD) + " |", "|---|" + "---:|" * len(HEAD)]
        lines += ["| " + " | ".join(row.cells(limit.bytes_per_second)) + " |" for row in table]
    return "\n".join([*lines, ""])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="cases whose family or name has this in it")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=0.1, help="for each turn of each system")
    parser.add_argument("--save", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(st.get_num_threads())
    torch.set_flush_denormal(True)
    bandwidth, tables = peak().bytes_per_second, {}
    print(show(("", *HEAD)), f"  ({bandwidth * 1e-9:.0f} GB/s)")
    for family, case in cases(options.only):
        row = Row(case.name, *in_turns(case, options.rounds, options.seconds))
        tables.setdefault(family, []).append(row)
        print(show(row.cells(bandwidth)), "  <" if min(row.ratios) < 0.9 else "", flush=True)
    if options.save:
        options.save.write_text(page(tables), encoding="utf-8")


if __name__ == "__main__":
    main()
