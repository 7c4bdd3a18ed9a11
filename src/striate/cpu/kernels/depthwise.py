"""Depthwise convolution, channels last: a window of its own for each channel, its input and its weight gradient.

    y[n, p, q, c]  = chain( sum_{i,j} x[n, p*step_h + row_i, q*step_w + col_j, c] * w[i, j, c] )
    dw[i, j, c]    = sum_{n,p,q} x[n, p*step_h + row_i, q*step_w + col_j, c] * dy[n, p, q, c]

Taps, phases of the input gradient and borders are those of conv_direct.py, with groups = C = K.

Layouts   x (N, D, H, W, C)   y dy (N, O, P, Q, C)   w (C/lanes, T, R, S, lanes)   dw (parts, C/lanes, T, R, S, lanes), zero
          past C; D, O and T are 1 but for convolution in space
Registers vectors run over channels. y: `pixels` sums, the weights of one window row, one pixel that serves all its taps.
          dw: two sums for each tap of a window row, one dy vector for each of `pixels` columns
Work      y: rows of outputs. dw: fixed parts of all rows of the batch; a part adds up row after row in its own dw, which stays
          in the first cache, so that x and dy are read in the order in which they lie in memory

Source: Zhang, Lo & Lu, High performance depthwise and pointwise convolutions on mobile devices, arXiv:2001.02504.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from striate.cpu.kernels.base import Kernel, Tallying
from striate.cpu.kernels.conv_direct import ConvDirect
from striate.cpu.kernels.loops import channel_vectors
from striate.cpu.kernels.pointwise import Chain, End, Spot
from striate.cpu.kernels.tally import Sums, Tally
from striate.kernel.language import Builder, IntLike, Num, Tensor
from striate.kernel.sharing import part_of

Place = tuple[IntLike, IntLike, IntLike]
"""(image, slice, row)"""


def weight_shape(conv: ConvDirect) -> tuple[int, ...]:
    """(C/lanes, T, R, S, lanes): the packed form of one input channel."""
    return -(-conv.C // conv.lanes), conv.depth.window, *conv.window, conv.lanes


@dataclass(frozen=True)
class Depthwise(ConvDirect):
    """A direct convolution with one channel a group, groups = C = K; `lanes` and `pixels` are the register tile.

    ahead: whether the rows that follow are asked for while others are worked on, as they come from memory.
    """

    ahead: bool = False

    def build(self, k: Builder) -> None:
        N, depth = k.int("N"), self.depth
        x, w = k.tensor("x", (N, depth.D, self.H, self.W, self.C)), k.tensor("w", weight_shape(self))
        end = self.chain.bind(k, (N, *self.written))
        for part, first, last in end.parts(N * depth.O * self.P, self.Q):
            for task in k.range(first, last):
                self.line(k, x, w, end, self.row_of(task), (part, (task - first) * self.Q))

    def tallies(self, kind: type[Tally], arguments: Mapping[str, Any]) -> bool:
        """Sums of what is read anyway; its few products leave no time for moments, which cost as much as another pass."""
        return issubclass(kind, Sums) and super().tallies(kind, arguments)

    def line(self, k: Builder, x: Tensor, w: Tensor, end: End, row: Place, spot: Spot) -> None:
        """One row of outputs."""
        part, seen = spot
        for q0, pixels, valid, repeat in self.column_tiles():
            for step in k.range(repeat):
                q = q0 + step * pixels
                for vector, count in channel_vectors(k, self.C, self.lanes):
                    self.sums(k, x, w, end, row, q, vector, pixels, valid, count, (part, seen + q))

    def ask_ahead(self, k: Builder, x: Tensor, row: Place, q: IntLike, pixels: int, c: IntLike) -> None:
        """Ask for what a tile of the next output row reads, and this row does not; behind the last row it may be anything."""
        (n, o, p), slices, rows, columns = row, self.depth.taps, self.rows, self.columns
        read = {i * rows.gap for i in range(rows.count)}
        for h in sorted({i + rows.step for i in read} - read):
            for w in sorted({t * columns.step + j * columns.gap for t in range(pixels) for j in range(columns.count)}):
                k.prefetch(x, (n, o * slices.step + slices.first, p * rows.step + rows.first + h,
                               q * columns.step + columns.first + w, c))

    def sums(self, k: Builder, x: Tensor, w: Tensor, end: End, row: Place, q: IntLike, vector: IntLike, pixels: int,
             valid: Sequence[Sequence[int]], count: int | None, spot: Spot) -> None:
        """One vector of channels in a tile of columns."""
        columns, lanes = self.columns, self.lanes
        if self.ahead:
            self.ask_ahead(k, x, row, q, pixels, vector * lanes)
            n, o, p, w_ = self.place(row, q)
            for t in range(pixels):
                end.fetch(n, o, p + self.out_step[0], w_ + t * self.out_step[1], vector * lanes)
        cells = [k.cell(0.0, lanes) for _ in range(pixels)]
        for image, h, tap in self.rows_read(k, row):
            read = Row(self, x, (*image, h), q, vector * lanes, count)
            for j, served in enumerate(valid):
                if served:
                    weight = w.vec(vector, *tap, j * columns.turn + columns.weight, 0, lanes=lanes)
                    for t in served:
                        cells[t].fma(read.pixel(t, j), weight)
        found = [end(cell.value, *self.place(row, q + t), vector * lanes, count=count) for t, cell in enumerate(cells)]
        end.note(found, spot, vector * lanes, count)


@dataclass(frozen=True)
class DepthwisePhases(Tallying):
    """All phases of the input gradient of a strided depthwise convolution, row after row: what lies side by side in memory is
    written together, and dy is read once."""

    phases: tuple[Depthwise, ...]

    @property
    def chain(self) -> Chain:
        return self.phases[0].chain

    def ending(self, chain: Chain) -> DepthwisePhases:
        return DepthwisePhases(tuple(phase.ending(chain) for phase in self.phases))

    @property
    def arguments(self) -> tuple[str, ...]:
        return self.phases[0].arguments

    def build(self, k: Builder) -> None:
        N, one = k.int("N"), self.phases[0]
        x, w = k.tensor("x", (N, one.depth.D, one.H, one.W, one.C)), k.tensor("w", weight_shape(one))
        end = one.chain.bind(k, (N, *one.written))
        O, P = max(phase.depth.O for phase in self.phases), max(phase.P for phase in self.phases)
        for part, first, last in end.parts(N * O * P, 0):
            for task in k.range(first, last):
                slices, p = task // P, task % P
                n, o = slices // O, slices % O
                for phase in self.phases:
                    inside = k.int_compare("lt", o, phase.depth.O) & k.int_compare("lt", p, phase.P)
                    for _ in (None,) if (phase.depth.O, phase.P) == (O, P) else k.when(inside):
                        phase.line(k, x, w, end, (n, o, p), (part, 0))

    def tallies(self, kind: type[Tally], arguments: Mapping[str, Any]) -> bool:
        """Rows of phases are of different lengths, so pixels are not counted."""
        return issubclass(kind, Sums)


@dataclass(frozen=True)
class DepthwiseWeights(Kernel):
    """The weight gradient of a depthwise convolution, in fixed parts."""

    conv: Depthwise
    parts: int = 1

    @property
    def arguments(self) -> tuple[str, ...]:
        return ("N", "x", "dy", "dw")

    def build(self, k: Builder) -> None:
        N, conv = k.int("N"), self.conv
        O, P = conv.depth.O, conv.P
        x = k.tensor("x", (N, conv.depth.D, conv.H, conv.W, conv.C))
        dy = k.tensor("dy", (N, O, P, conv.Q, conv.C))
        shape = weight_shape(conv)
        size = math.prod(shape)
        dw = k.tensor("dw", (self.parts, *shape))
        for part in k.share(self.parts):
            flat = dw.view((self.parts, size))
            for i in k.range(0, size, conv.lanes):
                flat.store(k.constant(0.0, conv.lanes), part, i)
            for task in k.range(*part_of(part, self.parts, N * O * P)):
                row = conv.row_of(task)
                for image, h, tap in conv.rows_read(k, row):
                    for vector, count in channel_vectors(k, conv.C, conv.lanes):
                        self.add_row(k, x, dy, dw.view(shape, offset=part * size), (row, (*image, h), tap), vector, count)

    def add_row(self, k: Builder, x: Tensor, dy: Tensor, dw: Tensor, places: tuple[Any, Any, Any], vector: IntLike,
                count: int | None) -> None:
        """One row of outputs and one window row: dw[i, j] += sum over q of x * dy for a vector of channels."""
        (row, read_from, tap), conv, lanes = places, self.conv, self.conv.lanes
        columns = conv.columns
        sums = [(k.cell(0.0, lanes), k.cell(0.0, lanes)) for _ in range(columns.count)]  # two, to hide the latency of the FMA
        for q0, pixels, valid, repeat in conv.column_tiles():
            for step in k.range(repeat):
                q = q0 + step * pixels
                read = Row(conv, x, read_from, q, vector * lanes, count)
                if conv.ahead:
                    conv.ask_ahead(k, x, row, q, pixels, vector * lanes)
                    for t in range(pixels):
                        k.prefetch(dy, (*row[:2], row[2] + 1, q + t, vector * lanes))
                gradients = [dy.vec(*row, q + t, vector * lanes, lanes=lanes, count=count) for t in range(pixels)]
                for j, served in enumerate(valid):
                    for t in served:
                        sums[j][t % 2].fma(read.pixel(t, j), gradients[t])
        for j, (even, odd) in enumerate(sums):
            spot = vector, *tap, j * columns.turn + columns.weight, 0
            dw.store(dw.vec(*spot, lanes=lanes) + (even.value + odd.value), *spot)


class Row:
    """Pixels of one row (image, slice, row) of x under a tile of columns: each is read once, when the first tap asks for it."""

    def __init__(self, conv: ConvDirect, x: Tensor, row: Sequence[IntLike], q: IntLike, c: IntLike, count: int | None):
        self.conv, self.x, self.row, self.q, self.c, self.count = conv, x, row, q, c, count
        self.known: dict[int, Num] = {}

    def pixel(self, t: int, j: int) -> Num:
        """The pixel that tap j of column q + t reads."""
        columns = self.conv.columns
        offset = t * columns.step + columns.first + j * columns.gap
        if offset not in self.known:
            self.known[offset] = self.x.vec(*self.row, self.q * columns.step + offset, self.c, lanes=self.conv.lanes,
                                            count=self.count)
        return self.known[offset]
