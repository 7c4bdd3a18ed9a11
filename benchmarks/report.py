"""The table and the picture of a benchmark's rows."""

from __future__ import annotations

import json
import platform
from pathlib import Path
from typing import Any

Row = dict[str, Any]
Rows = list[Row]
NOTE = """ratio: the fastest peer's time over striate's, and its quartiles over the rounds. floor: the least time over striate's:
the direct algorithm's multiply-accumulates at the peak, or the bytes that must move at the memory's, whichever takes longer, by
what the machine did at best among the rounds of the row. The bytes are the images, and in inference all parameters, read; in
training all parameters and their momentum, read and written. Winograd's and Strassen's algorithms can pass 100%, and so can
small networks, whose parameters stay in the caches."""


def show(rows: Rows) -> None:
    """Print the rows of one network, batch and mode."""
    for row in rows:
        ratio = f"{against(rows):5.2f}x of the best peer{between(rows)}, floor {floor(row)}" if row["system"] == "striate" else ""
        print(f"{row['network']:13s} {row['mode']:6s} b{row['batch']:<3d} {row['system']:14s} {row['seconds'] * 1e3:9.3f} ms  "
              f"peak {row['peak_bytes'] / 2**20:6.0f} MiB  ready {row['ready']:5.1f} s  {ratio}", flush=True)


def of(rows: Rows, system: str) -> Row:
    """A system's row of a case."""
    return next(row for row in rows if row["system"] == system)


def best_peer(rows: Rows) -> Row:
    return min((row for row in rows if row["system"] != "striate"), key=lambda row: row["seconds"])


def against(rows: Rows) -> float:
    """The fastest peer's time over striate's."""
    return best_peer(rows)["seconds"] / of(rows, "striate")["seconds"]


def between(rows: Rows) -> str:
    """The quartiles of the ratio over the rounds, where they were kept."""
    quartiles = best_peer(rows).get("spread")
    return f" ({quartiles[0]:.2f} to {quartiles[1]:.2f})" if quartiles else ""


def floor(row: Row) -> str:
    """The least time that the machine needs at its peak, as a share of the row's; nothing where no peak was measured with it."""
    from striate.cpu.peak import Peak

    if "peak_flops" not in row:
        return ""
    peak = Peak(row["threads"], row["peak_flops"], row["peak_bytes_per_second"])
    return f"{peak.floor(row['macs'], row['bytes']) / row['seconds']:.0%}"


def processor() -> str:
    """The processor's name as the system tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def kept(path: Path, threads: int) -> Rows:
    """The rows of an earlier run, if there are any; they must have been measured on as many threads."""
    file = path.with_suffix(".json")
    rows = json.loads(file.read_text(encoding="utf-8")) if file.exists() else []
    if other := {row["threads"] for row in rows if "threads" in row} - {threads}:
        raise SystemExit(f"{file} holds rows of {min(other)} threads; save those of {threads} elsewhere")
    return rows


def save(rows: Rows, path: Path, threads: int) -> None:
    """PATH.json with everything; PATH.md with the table; PATH.svg with the bars."""
    path.with_suffix(".json").write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    path.with_suffix(".svg").write_text(picture(rows), encoding="utf-8")
    path.with_suffix(".md").write_text(page(rows, f"{processor()}, {threads} threads{best(rows)}", path.stem), encoding="utf-8")


def best(rows: Rows) -> str:
    """The best peak of all rows, in words."""
    flops, moved = (max((row.get(name, 0) for row in rows), default=0) for name in ("peak_flops", "peak_bytes_per_second"))
    return f"; measured peak {flops * 1e-9:.0f} GFLOP/s, memory {moved * 1e-9:.0f} GB/s" if flops else ""


def case_of(row: Row) -> tuple[str, int, str]:
    """What is measured together."""
    return row["network"], row["batch"], row["mode"]


def cases(rows: Rows) -> list[Rows]:
    """The rows that were measured against each other."""
    return [[row for row in rows if case_of(row) == case] for case in dict.fromkeys(map(case_of, rows))]


def page(rows: Rows, machine: str, name: str) -> str:
    systems = list(dict.fromkeys(row["system"] for row in rows))
    head = ["network", "batch", "mode", *systems, "ratio", "peak memory", "floor"]
    lines = ["# Speed against other systems", "", "Written by `python benchmarks/run.py --save docs/benchmarks`: milliseconds, "
             "medians of interleaved rounds, every system in a process of its own with the same weights and images, float32.",
             "", f"Machine: {machine}.", "", f"![bars]({name}.svg)", "", "| " + " | ".join(head) + " |",
             "|" + "---|" * len(head)]
    for group in cases(rows):
        seconds = {row["system"]: row["seconds"] for row in group}
        own = of(group, "striate")
        cells = [own["network"], str(own["batch"]), own["mode"]]
        cells += [f"{seconds[s] * 1e3:.2f}" if s in seconds else "" for s in systems]
        cells += [f"**{against(group):.2f}**{between(group)}",
                  f"{own['peak_bytes'] / of(group, 'torch')['peak_bytes']:.2f} of torch's", floor(own)]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join([*lines, "", NOTE, ""])


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
