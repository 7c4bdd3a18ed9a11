"""The table and the picture of a benchmark's rows."""

from __future__ import annotations

import argparse
import json
import platform
from pathlib import Path
from typing import Any

Rows = list[dict[str, Any]]


def show(rows: Rows) -> None:
    """Print the rows of one network, batch and mode."""
    for row in rows:
        ratio = f"{against(rows):5.2f}x of the best peer" if row["system"] == "striate" else ""
        print(f"{row['network']:13s} {row['mode']:6s} b{row['batch']:<3d} {row['system']:14s} {row['seconds'] * 1e3:9.3f} ms  "
              f"peak {row['peak_bytes'] / 2**20:6.0f} MiB  ready {row['ready']:5.1f} s  {ratio}", flush=True)


def against(rows: Rows) -> float:
    """The fastest peer's time over striate's."""
    own = next(row["seconds"] for row in rows if row["system"] == "striate")
    return min(row["seconds"] for row in rows if row["system"] != "striate") / own


def processor() -> str:
    """The processor's name as the system tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def save(rows: Rows, options: argparse.Namespace) -> None:
    """PATH.json with everything; PATH.md with the table; PATH.svg with the bars."""
    from striate.cpu.peak import peak

    best = peak()
    options.save.with_suffix(".json").write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    options.save.with_suffix(".svg").write_text(picture(rows), encoding="utf-8")
    machine = (f"{processor()}, {options.threads} threads; measured peak {best.flops_per_second * 1e-9:.0f} GFLOP/s, memory "
               f"{best.bytes_per_second * 1e-9:.0f} GB/s")
    options.save.with_suffix(".md").write_text(page(rows, machine, options.save.stem, best.flops_per_second), encoding="utf-8")


def cases(rows: Rows) -> list[Rows]:
    """The rows that were measured against each other."""
    keys = dict.fromkeys((row["network"], row["batch"], row["mode"]) for row in rows)
    return [[row for row in rows if (row["network"], row["batch"], row["mode"]) == key] for key in keys]


def page(rows: Rows, machine: str, name: str, flops: float) -> str:
    systems = list(dict.fromkeys(row["system"] for row in rows))
    head = ["network", "batch", "mode", *systems, "ratio", "peak memory", "floor"]
    lines = ["# Speed against other systems", "", "Written by `python benchmarks/run.py --save docs/benchmarks`: milliseconds, "
             "medians of interleaved runs, every system in a process of its own with the same weights and images, float32.",
             "", f"Machine: {machine}.", "", f"![bars]({name}.svg)", "", "| " + " | ".join(head) + " |",
             "|" + "---|" * len(head)]
    for group in cases(rows):
        seconds = {row["system"]: row["seconds"] for row in group}
        own = next(row for row in group if row["system"] == "striate")
        theirs = [row["peak_bytes"] for row in group if row["system"] == "torch"]
        cells = [own["network"], str(own["batch"]), own["mode"]]
        cells += [f"{seconds[s] * 1e3:.2f}" if s in seconds else "" for s in systems]
        cells += [f"**{against(group):.2f}**", f"{own['peak_bytes'] / theirs[0]:.2f} of torch's",
                  f"{2 * own['macs'] / flops / own['seconds']:.0%}"]
        lines.append("| " + " | ".join(cells) + " |")
    note = ("ratio: the fastest peer's time over striate's. floor: the time of the direct algorithm's multiply-accumulates at "
            "the measured peak over striate's time; Winograd can pass 100%.")
    return "\n".join([*lines, "", note, ""])


def picture(rows: Rows) -> str:
    """Bars of the ratio to the fastest peer, one for each case; the line is a tie."""
    groups, width, height = cases(rows), 640, 22
    scale = (width - 260) / max(1.0, *(against(group) for group in groups))
    parts = []
    for i, group in enumerate(groups):
        ratio, y, row = against(group), 10 + i * height, group[0]
        colour = "#2a7f62" if ratio >= 1 else "#b5523b"
        parts += [f'<text x="190" y="{y + 12}" text-anchor="end">{row["network"]} {row["mode"]} b{row["batch"]}</text>',
                  f'<rect x="200" y="{y}" width="{ratio * scale:.1f}" height="{height - 6}" fill="{colour}"/>',
                  f'<text x="{206 + ratio * scale:.1f}" y="{y + 12}">{ratio:.2f}</text>']
    bottom = 10 + len(groups) * height
    line = f'<line x1="{200 + scale:.1f}" x2="{200 + scale:.1f}" y1="4" y2="{bottom}" stroke="#333" stroke-dasharray="3 3"/>'
    return (f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{bottom + 8}" font-family="sans-serif" '
            f'font-size="12"><rect width="100%" height="100%" fill="white"/>{"".join(parts)}{line}</svg>\n')
