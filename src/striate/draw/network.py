"""Any network as a diagram, drawn from its graph: boxes in rows, each row one step further from the input.

    row(b) = 1 + the largest row of what b reads

An operator that works element by element on what nobody else reads (a norm, an activation, a reshape) stands in the box of the
operator before it. A value that is read some rows further down, as a shortcut's is, gets a lane in the rows between. Within a
row, boxes and lanes stand as near as they can to what they are joined to.

Source: Sugiyama, Tagawa & Toda, Methods for visual understanding of hierarchical system structures, IEEE SMC 11, 1981.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from striate.ask.tracing import name_of, network, traced
from striate.draw.svg import BLUE, FAINT, INK, MINT, PAPER, PEACH, SAND, SKY, Drawing
from striate.graph import Graph, Node, Value

HEIGHT, STEP, GAP, LANE, LETTER = 36.0, 62.0, 16.0, 12.0, 5.9
"""Pixels: of a box, from row to row, between neighbours, of a lane, and of a letter."""
NAMES = {"batch_norm_inference": "batch norm", "concat": "join channels", "add": "+", "multiply": "x", "hardtanh": "clip",
         "avg_pool": "mean", "max_pool": "max"}  # fmt: skip
COLOURS = (("conv", SKY), ("linear", SKY), ("pool", MINT), ("add", PEACH), ("concat", PEACH), ("multiply", PEACH))
JOINED = ("norm", "reshape", "dropout")
SWEEPS = 12


@dataclass(eq=False)
class Box:
    """Operators in a row of the diagram, or a lane for a value that passes by (no words)."""

    words: str
    shape: str
    colour: str
    before: list[Box] = field(default_factory=list)
    after: list[Box] = field(default_factory=list)
    row: int = 0
    x: float = 0.0

    @property
    def width(self) -> float:
        return max(LETTER * max(len(self.words), len(self.shape)) + 16, 44) if self.words else LANE


def diagram(net: Any, input_shape: Any) -> Drawing:
    """The graph of a network for one item of `input_shape` (C, H, W), in eval mode, from the input at the top.

    Raises ShapeError where sizes do not fit.

    >>> from striate import nn
    >>> diagram(nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU()), (3, 32, 32)).title
    'Sequential'
    """
    net = network(net)
    rows = with_lanes(boxes_of(traced(net, input_shape)))
    arrange(rows)
    left = min(box.x - box.width / 2 for row in rows for box in row)
    right = max(box.x + box.width / 2 for row in rows for box in row)
    drawing = Drawing(max(right - left + 40, 40 + 9 * len(name_of(net))), STEP * len(rows) + 56, name_of(net))
    drawing.text(20, 28, drawing.title, size=15, weight="bold")
    for box in (box for row in rows for box in row):
        box.x += 20 - left
    for box in (box for row in rows for box in row):
        for other in box.after:
            joined(drawing, box, other)
        if box.words:
            written(drawing, box)
        else:
            drawing.line((box.x, top(box)), (box.x, top(box) + HEIGHT), stroke=BLUE, thick=1.2)
    return drawing


# from the graph to boxes


def boxes_of(graph: Graph) -> list[Box]:
    """Inputs and what is computed from them; operators on parameters alone are left out."""
    home = {value: Box("input", sized(value), PAPER) for value in graph.inputs}
    found = list(home.values())
    readers: dict[Value, int] = {}
    for value in (v for node in graph.nodes for v in {*node.inputs}):
        readers[value] = readers.get(value, 0) + 1
    for node in graph.nodes:
        read = list(dict.fromkeys(home[v] for v in node.inputs if v in home))
        if not read:
            continue
        before = next(v for v in node.inputs if v in home)
        if joins(node) and len(read) == 1 and read[0].words != "input" and readers[before] == 1:
            box, words = read[0], said(node)
            box.words, box.shape = f"{box.words}, {words}", sized(node.output)
        else:
            colour = next((colour for part, colour in COLOURS if part in node.op.name), PAPER)
            box = Box(said(node), sized(node.output), colour, read, row=1 + max(b.row for b in read))
            found.append(box)
            for other in read:
                other.after.append(box)
        home.update(dict.fromkeys(node.outputs, box))
    return found


def joins(node: Node) -> bool:
    """Whether an operator may stand in the box of the one before it: it changes elements one by one, or their order."""
    name = node.op.name
    return any(part in name for part in JOINED) or (node.output.shape == node.inputs[0].shape and not any(
        part in name for part, _ in COLOURS))  # fmt: skip


def said(node: Node) -> str:
    """`conv 3 x 3 / 2`: the operator, its window and its stride."""
    name, windows = node.op.name, getattr(node.op, "window", ())
    plain: str = name.removesuffix("1d").removesuffix("2d").removesuffix("3d").rstrip("_")
    words = "flatten" if name == "reshape" and len(node.output.shape) == 2 else NAMES.get(plain, plain.replace("_", " "))
    if not isinstance(windows, tuple) or not windows:
        return words
    strides = [window.stride for window in windows]
    if len(set(strides)) == 1:
        del strides[1:]
    grouped = " in groups" if getattr(node.op, "groups", 1) > 1 else ""
    step = f" / {times(strides)}" if max(strides) > 1 else ""
    return f"{words}{grouped} {times(window.size for window in windows)}{step}"


def times(numbers: Iterable[int]) -> str:
    return " x ".join(map(str, numbers))


def sized(value: Value) -> str:
    """Without the batch axis."""
    return times(value.shape[1:]) or "1"


# from boxes to places


def with_lanes(boxes: list[Box]) -> list[list[Box]]:
    """The boxes by rows, with a lane in every row that an arrow crosses; arrows then go from row to row."""
    rows: list[list[Box]] = [[] for _ in range(1 + max(box.row for box in boxes))]
    for box in boxes:
        rows[box.row].append(box)
        far, box.after = [b for b in box.after if b.row > box.row + 1], [b for b in box.after if b.row == box.row + 1]
        last = box
        for row in range(box.row + 1, max((b.row for b in far), default=0)):
            lane = Box("", "", "", [last], row=row)
            last.after.append(lane)
            rows[row].append(lane)
            for other in (b for b in far if b.row == row + 1):
                lane.after.append(other)
                other.before[other.before.index(box)] = lane
            last = lane
    return rows


def arrange(rows: list[list[Box]]) -> None:
    """Order and place each row by the mean of what its boxes are joined to, downwards and upwards in turns."""
    for row in rows:
        spaced(row, [0.0] * len(row))
    for sweep in range(SWEEPS):
        down = sweep % 2 == 0
        for row in rows[1:] if down else rows[-2::-1]:
            wanted = {box: mean([b.x for b in (box.before if down else box.after)], box.x) for box in row}
            row.sort(key=wanted.__getitem__)
            spaced(row, [wanted[box] for box in row])


def spaced(row: list[Box], wanted: list[float]) -> None:
    """Put the boxes of a row at the places they want, in their order and without touching each other."""
    places: list[float] = []
    for box, place in zip(row, wanted):
        first = places[-1] + (row[len(places) - 1].width + box.width) / 2 + GAP if places else place
        places.append(max(place, first))
    shift = mean([place - new for place, new in zip(wanted, places)], 0.0)
    for box, place in zip(row, places):
        box.x = place + shift


def mean(values: list[float], otherwise: float) -> float:
    return sum(values) / len(values) if values else otherwise


# from places to the picture


def top(box: Box) -> float:
    return 46 + STEP * box.row


def written(drawing: Drawing, box: Box) -> None:
    drawing.box(box.x - box.width / 2, top(box), box.width, HEIGHT, fill=SAND if box.words == "input" else box.colour, stroke=INK,
                radius=5)
    drawing.text(box.x, top(box) + 15, box.words, size=11, anchor="middle")
    drawing.text(box.x, top(box) + 29, box.shape, size=10, fill=FAINT, anchor="middle")


def joined(drawing: Drawing, box: Box, other: Box) -> None:
    """A line from a box or lane to the next row; blue where it passes by others, with a head where it ends."""
    line = drawing.arrow if other.words else drawing.line
    line((box.x, top(box) + HEIGHT), (other.x, top(other)), stroke=INK if box.words and other.words else BLUE, thick=1.2)
