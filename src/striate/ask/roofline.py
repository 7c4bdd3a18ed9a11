"""How fast each layer runs, and how fast this machine could run it: the roofline.

    seconds >= max(FLOPs / peak, bytes / bandwidth)        FLOP/s <= min(peak, intensity * bandwidth)

FLOPs are two for each multiply-accumulate of the direct algorithm, bytes are those of the arrays that a layer's kernels name,
intensity is their quotient. Peak and bandwidth are measured on this machine with the threads that are set. A layer whose bytes
take longer than its FLOPs is bound by memory. Winograd's algorithm saves products and may rise above the roof; so may a layer
whose arrays stay in the cache.

Source: Williams, Waterman & Patterson, Roofline: an insightful visual performance model, CACM 52(4), 2009.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from striate.ask import tables
from striate.ask.tracing import batched, mode, name_of, network
from striate.ops.base import Spec

if TYPE_CHECKING:
    from striate.draw.svg import Drawing

LEFT, TOP, WIDTH, HEIGHT = 60, 50, 560, 320
"""The plot's place in the drawing, in pixels."""
NAMED = 5
"""The layers that take longest have their names in the plot."""


@dataclass(frozen=True)
class Point:
    """One layer with what is fused to it: predicted and measured seconds, `bound` by 'compute' or 'memory'."""

    layer: str
    op: str
    macs: int
    bytes: int
    predicted: float
    measured: float
    bound: str

    @property
    def intensity(self) -> float:
        """FLOPs for each byte."""
        return 2 * self.macs / max(1, self.bytes)

    @property
    def gflops(self) -> float:
        """10^9 FLOPs a second, measured."""
        return 2e-9 * self.macs / self.measured


@dataclass(frozen=True)
class Roofline(tables.Answer):
    """The layers in the order in which they run, under the roof of this machine: 10^9 FLOPs and 10^9 bytes a second."""

    network: str
    batch: int
    threads: int
    gflops: float
    gbytes: float
    points: tuple[Point, ...]

    @property
    def predicted(self) -> float:
        """Seconds, if every layer stood at the roof."""
        return sum(p.predicted for p in self.points)

    @property
    def measured(self) -> float:
        return sum(p.measured for p in self.points)

    @property
    def macs(self) -> int:
        return sum(p.macs for p in self.points)

    @property
    def rate(self) -> float:
        """10^9 FLOPs a second of the whole network: FLOPS, a speed; FLOPs, 2 * macs, is a number of operations."""
        return 2e-9 * self.macs / self.measured

    def to_dict(self) -> dict[str, Any]:
        """Plain data."""
        rows = [{**asdict(p), "intensity": p.intensity, "gflops": p.gflops} for p in self.points]
        return {"network": self.network, "batch": self.batch, "threads": self.threads, "peak_gflops": self.gflops,
                "peak_gbytes": self.gbytes, "predicted": self.predicted, "measured": self.measured, "rate": self.rate,
                "rows": rows}

    def table(self) -> tables.Table:
        names = ("FLOPs/byte", "bound by", "predicted ms", "measured ms", "predicted/measured", "GFLOP/s")
        columns = [tables.Column("layer"), tables.Column("op"), *(tables.Column(name, True) for name in names)]
        rows = [(p.layer, p.op, f"{p.intensity:.1f}", p.bound, f"{p.predicted * 1e3:.3f}", f"{p.measured * 1e3:.3f}",
                 f"{p.predicted / p.measured:.0%}", f"{p.gflops:.0f}" if p.macs else "") for p in self.points]
        notes = [f"{self.measured * 1e3:.3f} ms measured, {self.predicted * 1e3:.3f} ms predicted, {self.rate:.0f} GFLOP/s",
                 f"roof on {self.threads} threads: {self.gflops:.0f} GFLOP/s, {self.gbytes:.1f} GB/s, which meet at "
                 f"{self.gflops / self.gbytes:.1f} FLOPs/byte"]
        return tables.Table(f"{self.network}, batch {self.batch}", notes, columns, rows)

    def __repr__(self) -> str:
        return f"Roofline({self.network}: {self.measured * 1e3:.3f} ms measured, {self.predicted * 1e3:.3f} ms predicted)"

    def drawing(self) -> Drawing:
        """The roof with the layers below it; both axes are logarithmic, a layer's area is its share of the time.

        Layers without multiply-accumulates have no place on it: the table has their times.
        """
        from striate.draw.svg import BLUE, INK, ORANGE, Drawing

        drawing = Drawing(LEFT + WIDTH + 20, TOP + HEIGHT + 50, f"Roofline of {self.network}, batch {self.batch}")
        drawing.text(16, 26, drawing.title, size=14, weight="bold")
        plane = Plane.around([(p.intensity, p.gflops) for p in self.points if p.macs], self.gflops, self.gbytes)
        plane.draw(drawing)
        corners = max(plane.x[0], plane.y[0] / self.gbytes), self.gflops / self.gbytes, plane.x[1]
        drawing.line(*(plane.at(x, min(self.gflops, x * self.gbytes)) for x in corners), stroke=INK, thick=2)
        for p in self.points:
            if p.macs:
                colour = BLUE if p.bound == "compute" else ORANGE
                drawing.circle(*plane.at(p.intensity, p.gflops), 3 + 14 * math.sqrt(p.measured / self.measured), "none", colour)
        for p in sorted((p for p in self.points if p.macs), key=lambda p: -p.measured)[:NAMED]:
            x, y = plane.at(p.intensity, p.gflops)
            drawing.text(x, y + 3, p.layer, size=9, anchor="middle")
        return drawing

    def save(self, path: str | Path) -> Path:
        """Write the drawing as SVG."""
        return self.drawing().save(path)


@dataclass(frozen=True)
class Plane:
    """Two logarithmic axes, (least, most) each, and where their points lie in the drawing."""

    x: tuple[float, float]
    y: tuple[float, float]

    @classmethod
    def around(cls, points: list[tuple[float, float]], gflops: float, gbytes: float) -> Plane:
        """Powers of ten that hold all points, the ridge of the roof and its flat part."""
        xs, ys = [gflops / gbytes, *(x for x, _ in points)], [gflops, *(y for _, y in points)]
        return cls(*((10.0 ** math.floor(math.log10(min(v))), 10.0 ** math.ceil(math.log10(1.2 * max(v)))) for v in (xs, ys)))

    def at(self, x: float, y: float) -> tuple[float, float]:
        """Pixels of a point."""
        (left, right), (low, high) = (tuple(map(math.log10, axis)) for axis in (self.x, self.y))
        return (LEFT + (math.log10(x) - left) / (right - left) * WIDTH, TOP + (high - math.log10(y)) / (high - low) * HEIGHT)

    def draw(self, drawing: Drawing) -> None:
        """A grid of powers of ten, with numbers and names."""
        from striate.draw.svg import FAINT, RULE

        for x in self.marks(self.x):
            drawing.line(self.at(x, self.y[0]), self.at(x, self.y[1]), stroke=RULE)
            drawing.text(self.at(x, self.y[0])[0], TOP + HEIGHT + 16, f"{x:g}", size=10, fill=FAINT, anchor="middle")
        for y in self.marks(self.y):
            drawing.line(self.at(self.x[0], y), self.at(self.x[1], y), stroke=RULE)
            drawing.text(LEFT - 6, self.at(self.x[0], y)[1] + 4, f"{y:g}", size=10, fill=FAINT, anchor="end")
        drawing.text(LEFT + WIDTH / 2, TOP + HEIGHT + 38, "FLOPs / byte", size=11, anchor="middle")
        drawing.text(LEFT, TOP - 8, "GFLOP/s", size=11)

    def marks(self, axis: tuple[float, float]) -> list[float]:
        """The powers of ten of an axis."""
        return [10.0**i for i in range(round(math.log10(axis[0])), round(math.log10(axis[1])) + 1)]


def roofline(net: Any, input_shape: Any, batch: int = 1, runs: int = 10) -> Roofline:
    """Run a network in eval mode and set every layer's time against what this machine needs for it at the least.

    input_shape: of one item, without the batch axis; the inputs are random numbers, zeros for whole numbers. Times are
    medians over `runs`.

    >>> from striate import nn
    >>> net = nn.Sequential(nn.Conv2d(3, 16, 3, padding=1), nn.ReLU())
    >>> point = roofline(net, (3, 32, 32), runs=2).points[0]
    >>> point.layer, point.op, point.macs
    ('0', 'conv2d', 442368)
    """
    from striate.cpu.profile import profile
    from striate.engine import forward_program

    net, inputs = network(net), [_drawn(spec) for spec in batched(input_shape, batch)]
    with mode(net, training=False):
        found = profile(forward_program(net, *inputs), inputs, runs)
    best = found.peak
    points = [Point(t.layer, t.op or " + ".join(t.kernels), t.macs, t.bytes, best.floor(t.macs, t.bytes), t.seconds,
                    "compute" if best.floor(t.macs, 0) > best.floor(0, t.bytes) else "memory") for t in found.timings]
    return Roofline(name_of(net), batch, best.threads, best.flops_per_second * 1e-9, best.bytes_per_second * 1e-9, tuple(points))


def _drawn(spec: Spec) -> np.ndarray:
    """An input to measure with."""
    if spec.dtype.startswith("float"):
        return np.random.default_rng(0).standard_normal(spec.shape, np.float32)
    return np.zeros(spec.shape, spec.dtype)
