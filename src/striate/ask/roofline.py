"""How fast each layer runs, and how fast this machine could run it: the roofline, for inference and for training.

    seconds >= max(2 * MACs / peak, bytes / bandwidth)        FLOP/s <= min(peak, intensity * bandwidth)

MACs are the multiply-accumulates of the direct algorithm, FLOPs two for each of them and the other operations of the operator
that a row is named after; what is fused to it is not counted. Bytes are those of the arrays that the row's kernels name,
intensity = FLOPs / bytes. Peak and bandwidth are measured on this machine with the threads that are set. A layer whose bytes
take longer than its FLOPs is bound by memory. Winograd's algorithm saves products and may rise above the roof; so may a layer
whose arrays stay in the cache.

Source: Williams, Waterman & Patterson, Roofline: an insightful visual performance model, CACM 52(4), 2009.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from striate.ask import tables
from striate.ask.step import own, step_of, target_of
from striate.ask.tracing import batched, mode, name_of, network
from striate.graph import Graph, trace
from striate.nn.module import Module
from striate.ops.base import Spec

if TYPE_CHECKING:
    from striate.cpu.peak import Peak
    from striate.cpu.profile import Work
    from striate.cpu.program import Program
    from striate.draw.svg import Drawing
    from striate.optim.optimizer import Optimizer

LEFT, TOP, WIDTH, HEIGHT = 60, 50, 560, 320
"""The plot's place in the drawing, in pixels."""
NAMED = 5
"""The layers that take longest have their names in the plot."""
LEAST = 0.005
"""What takes a smaller part of the time is in `points` and in `to_dict()`, but not shown."""


@dataclass(frozen=True)
class Point:
    """One layer with what is fused to it: predicted and measured seconds, `bound` by 'compute' or 'memory'."""

    layer: str
    op: str
    macs: int
    flops: int
    bytes: int
    predicted: float
    measured: float
    """0 where nothing was run."""
    bound: str

    @property
    def intensity(self) -> float:
        """FLOPs for each byte."""
        return self.flops / max(1, self.bytes)

    @property
    def gflops(self) -> float:
        """10^9 FLOPs a second: measured, or predicted where nothing was run."""
        return 1e-9 * self.flops / self.seconds if self.flops else 0.0

    @property
    def seconds(self) -> float:
        """Measured, or predicted where nothing was run."""
        return self.measured or self.predicted

    @property
    def label(self) -> str:
        """The layer's path, and which of its gradients this is."""
        sign = next((s for name, s in (("weight_gradient", "dw"), ("input_gradient", "dx"), ("gradient", "d"))
                     if self.op.endswith(name)), "")
        return f"{self.layer or self.op} {sign}".rstrip()


@dataclass(frozen=True)
class Roofline(tables.Answer):
    """The layers in the order in which they run, under the roof of this machine: 10^9 FLOPs and 10^9 bytes a second."""

    network: str
    batch: int
    threads: int
    gflops: float
    gbytes: float
    points: tuple[Point, ...]
    training: bool = False

    @property
    def predicted(self) -> float:
        """Seconds, if every layer stood at the roof."""
        return sum(p.predicted for p in self.points)

    @property
    def measured(self) -> float:
        """Seconds of all layers; 0 where nothing was run."""
        return sum(p.measured for p in self.points)

    @property
    def macs(self) -> int:
        return sum(p.macs for p in self.points)

    @property
    def flops(self) -> int:
        return sum(p.flops for p in self.points)

    @property
    def rate(self) -> float:
        """10^9 FLOPs a second of the whole network: FLOPS, a speed; FLOPs are a number of operations."""
        return 1e-9 * self.flops / self.seconds if self.flops else 0.0

    @property
    def seconds(self) -> float:
        """Measured, or predicted where nothing was run."""
        return self.measured or self.predicted

    @property
    def shown(self) -> list[Point]:
        """The points that take their share of the time: a step has hundreds of others, such as running statistics."""
        least = LEAST * self.seconds
        return [p for p in self.points if p.seconds >= least]

    def to_dict(self) -> dict[str, Any]:
        """Plain data."""
        rows = [{**asdict(p), "intensity": p.intensity, "gflops": p.gflops} for p in self.points]
        return {"network": self.network, "batch": self.batch, "training": self.training, "threads": self.threads,
                "peak_gflops": self.gflops, "peak_gbytes": self.gbytes, "predicted": self.predicted, "measured": self.measured,
                "rate": self.rate, "rows": rows}

    @property
    def title(self) -> str:
        return f"{self.network}, {'training, ' if self.training else ''}batch {self.batch}"

    def table(self) -> tables.Table:
        """One row for each layer that takes its share of the time; without what is measured where nothing was run."""
        names = ("FLOPs/byte", "bound by", "predicted ms", "measured ms", "predicted/measured", "GFLOP/s")
        columns = [tables.Column("layer"), tables.Column("op"), *(tables.Column(name, True) for name in names)]
        rows = [(p.layer, p.op, f"{p.intensity:.1f}", p.bound, f"{p.predicted * 1e3:.3f}", f"{p.measured * 1e3:.3f}",
                 f"{p.predicted / p.measured:.0%}" if p.measured else "", f"{p.gflops:.0f}" if p.macs else "")
                for p in self.shown]
        kept = [i for i in range(len(columns)) if self.measured or i not in (5, 6)]
        spent = f"{self.measured * 1e3:.3f} ms measured, " if self.measured else ""
        rest = len(self.points) - len(rows)
        less = f", {rest} row{'s' * (rest > 1)} of less than {LEAST:.1%} of the time left out" if rest else ""
        notes = [f"{spent}{self.predicted * 1e3:.3f} ms predicted, {self.rate:.0f} GFLOP/s{less}",
                 f"roof on {self.threads} threads: {self.gflops:.0f} GFLOP/s, {self.gbytes:.1f} GB/s, which meet at "
                 f"{self.gflops / self.gbytes:.1f} FLOPs/byte"]
        return tables.Table(self.title, notes, [columns[i] for i in kept], [[row[i] for i in kept] for row in rows])

    def __repr__(self) -> str:
        spent = f"{self.measured * 1e3:.3f} ms measured, " if self.measured else ""
        return f"Roofline({self.network}: {spent}{self.predicted * 1e3:.3f} ms predicted)"

    def drawing(self) -> Drawing:
        """The roof with the layers below it; both axes are logarithmic, a layer's area is its share of the time.

        What only moves numbers has no place on it: the table has its time.
        """
        from striate.draw.svg import BLUE, INK, ORANGE, Drawing

        drawing = Drawing(LEFT + WIDTH + 20, TOP + HEIGHT + 50, f"Roofline of {self.title}")
        drawing.text(16, 26, drawing.title, size=14, weight="bold")
        points = sorted((p for p in self.shown if p.flops and p.layer), key=lambda p: -p.seconds)
        plane = Plane.around([(p.intensity, p.gflops) for p in points], self.gflops, self.gbytes)
        plane.draw(drawing)
        corners = max(plane.x[0], plane.y[0] / self.gbytes), self.gflops / self.gbytes, plane.x[1]
        drawing.line(*(plane.at(x, min(self.gflops, x * self.gbytes)) for x in corners), stroke=INK, thick=2)
        whole = self.seconds
        places = [(*plane.at(p.intensity, p.gflops), 3 + 14 * math.sqrt(p.seconds / whole)) for p in points]
        for p, place in zip(points, places):
            drawing.circle(*place, "none", BLUE if p.bound == "compute" else ORANGE)
        for p, (x, y) in zip(points, beside(places[:NAMED])):
            drawing.text(x, y, p.label, size=9)
        for place, (words, colour) in enumerate((("bound by compute", BLUE), ("bound by memory", ORANGE))):
            drawing.circle(LEFT + WIDTH - 230 + 120 * place, 22, 4, "none", colour)
            drawing.text(LEFT + WIDTH - 220 + 120 * place, 26, words, size=11)
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


def beside(circles: Sequence[tuple[float, float, float]], line: float = 11, wide: float = 90) -> list[tuple[float, float]]:
    """Where to write beside circles (x, y, radius): to the right, one line lower where another name stands already.

    >>> beside([(10, 10, 5), (12, 11, 5), (200, 10, 5)])
    [(18, 13), (20, 25), (208, 13)]
    """
    found: list[tuple[float, float]] = []
    for x, y, radius in circles:
        x, y = x + radius + 3, y + 3
        while near := [b for a, b in found if abs(a - x) < wide and abs(b - y) < line]:
            y = max(near) + line + 1
        found.append((x, y))
    return found


def roofline(net: Any, input_shape: Any, batch: int = 1, runs: int = 10, optimizer: Optimizer | None = None, loss: Any = None,
             target: Any = None) -> Roofline:
    """Run a network and set every layer's time against what this machine needs for it at the least.

    input_shape: of one item, without the batch axis; the inputs are random numbers, zeros for whole numbers. optimizer: a
    whole training step is run, with loss and target as for `st.memory`; weights and statistics are put back afterwards. Times
    are medians over `runs`; runs=0 only predicts: but for the machine's peak, nothing is run or compiled.

    >>> from striate import nn
    >>> net = nn.Sequential(nn.Conv2d(3, 16, 3, padding=1), nn.ReLU())
    >>> point = roofline(net, (3, 32, 32), runs=2).points[0]
    >>> point.layer, point.op, point.macs
    ('0', 'conv2d', 442368)
    """
    from striate.cpu.peak import peak
    from striate.cpu.profile import profile

    net, inputs, training = network(net), [drawn(spec) for spec in batched(input_shape, batch)], optimizer is not None
    with mode(net, training), kept(net) if training else nullcontext():
        program, graph = _inference(net)
        if optimizer is not None:
            forward = graph(*inputs)
            inputs.append(drawn(target_of(forward, loss, target)))
            step = step_of(net, forward, loss, own(optimizer))
            program, graph = step.program, step.graph
        precise = getattr(net, "precise", False)
        found = profile(program(*inputs), inputs, runs).timings if runs else _works(graph(*inputs), precise)
    return under_roof(name_of(net), batch, found, peak(), training)


def under_roof(name: str, batch: int, found: Sequence[Work], best: Peak, training: bool = False) -> Roofline:
    """Work, or what the profiler has timed, under the roof of a machine."""
    points = tuple(_point(work, best) for work in found)
    return Roofline(name, batch, best.threads, best.flops_per_second * 1e-9, best.bytes_per_second * 1e-9, points, training)


def _inference(net: Module) -> tuple[Callable[..., Program], Callable[..., Graph]]:
    """What makes the program and the graph of a forward pass out of its inputs."""
    from striate.engine import forward_program

    return partial(forward_program, net), partial(trace, net)


def _works(graph: Graph, precise: bool) -> Sequence[Work]:
    """The work of each layer as the CPU would do it."""
    from striate.cpu import threads
    from striate.cpu.lower import lower
    from striate.cpu.profile import works
    from striate.kernel.machine import host

    low = lower(graph, host(), threads.get_num_threads(), precise)
    return list(works([call for call in low.calls if not call.prologue]))


def _point(work: Work, best: Peak) -> Point:
    """A row of the profiler, or work that has not been timed, under the roof."""
    bound = "compute" if best.floor(work.macs, 0) > best.floor(0, work.bytes) else "memory"
    return Point(work.layer, work.op or " + ".join(work.kernels), work.macs, 2 * work.macs + work.operations, work.bytes,
                 best.floor(work.macs, work.bytes), getattr(work, "seconds", 0.0), bound)


@contextmanager
def kept(net: Module) -> Iterator[None]:
    """Weights and statistics may change within; afterwards they are as before."""
    before = net.state_dict()
    try:
        yield
    finally:
        net.load_state_dict(before)


def drawn(spec: Spec) -> np.ndarray:
    """An input to measure with."""
    if spec.dtype.startswith("float"):
        return np.random.default_rng(0).standard_normal(spec.shape, np.float32)
    return np.zeros(spec.shape, spec.dtype)
