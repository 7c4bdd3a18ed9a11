"""Weight gradient by Winograd's algorithm down the lines of an image, nine points, channels last.

    dw[k, t*j + f, s, c] = sum_e G[e, j] ( sum over n, tiles and q of v[f, e, q*step + s, c] * d[e, q, k] )   v = B' x,  d = A dy

Nine lines of x, every t-th for a stride t, and the lines of dy that they meet come to nine points: 9 products where there were 25
for five taps, 18 for 42 for seven taps with stride 2, which fall into two phases f.

Layouts   x (N, H, W, C)   dy (N, P, Q, K)   dw (parts, K/lanes, R, S, C, lanes), zero past K
Work      a task is a fixed part of the batch; a few tiles after the other go to the points and into the part's sums
Scratch   v and d of some tiles and the sums: a thread's own
Registers those of the direct gradient, whose tiles these are

The points, the transforms and their source stand in winograd_lines_form.py.
"""

from __future__ import annotations

from dataclasses import dataclass

from striate.cpu.kernels.base import Kernel
from striate.cpu.kernels.conv_direct import Taps
from striate.cpu.kernels.conv_weights import ConvWeights
from striate.cpu.kernels.scratch import Shape, floats, packed_shape, private
from striate.cpu.kernels.winograd_lines import Lines, Scratch, chosen, into, lines_shape, to_points
from striate.cpu.kernels.winograd_lines_form import NINE
from striate.kernel.language import Builder, IntLike, Tensor
from striate.kernel.sharing import part_of

SIDE = NINE.side
TOGETHER = 2**16
"""Floats of v and d that stay in a core's second-level cache beside the sums."""


@dataclass(frozen=True)
class WinogradLinesWeights(Kernel):
    """The weight gradient `direct` by way of the points."""

    direct: ConvWeights

    @property
    def arguments(self) -> tuple[str, ...]:
        return ("N", "x", "dy", "dw", "scratch")

    @property
    def parts(self) -> int:
        return self.direct.parts

    @property
    def lines(self) -> Lines:
        height = self.direct.window[0]
        return Lines(self.direct.H, self.direct.out[0], Taps(height.size, -height.pads[0], 1, height.stride))

    @property
    def blocks(self) -> int:
        return -(-self.direct.K // self.direct.lanes)

    @property
    def together(self) -> int:
        """Tiles at the points before their products: those of an image, as the sums are fetched and put back each time, or as
        many as stay in a near cache.

        One where the sums are a register tile: its points then stay in the first-level cache.
        """
        direct, lines = self.direct, self.lines
        if direct.window[1].size * direct.C <= direct.taps and self.blocks <= direct.vectors:
            return 1
        most = TOGETHER // (lines.lines * direct.W * direct.C + SIDE * direct.out[1] * direct.K)
        return max((n for n in range(1, most + 1) if lines.count % n == 0), default=1)

    def scratch(self) -> dict[str, Shape]:
        """The pixels and the gradients of some tiles at the points, and the sums."""
        direct, tiles = self.direct, self.together
        inner = direct.window[1].size * direct.C
        return {
            "v": lines_shape(tiles * self.lines.lines, direct.W * direct.C),
            "d": lines_shape(tiles * SIDE, direct.out[1] * direct.K),
            "sums": packed_shape(self.lines.lines, self.blocks, inner, direct.lanes),
        }

    def scratch_floats(self) -> int:
        """Floats of scratch that each thread needs."""
        return floats(self.scratch())

    def build(self, k: Builder) -> None:
        N, direct, lines, own = k.int("N"), self.direct, self.lines, private(k, self.scratch())
        (P, Q), S, C = direct.out, direct.window[1].size, direct.C
        x, dy = k.tensor("x", (N, direct.H, direct.W * C)), k.tensor("dy", (N, P, Q * direct.K))
        dw = k.tensor("dw", (self.parts, self.blocks, direct.window[0].size, S * C, direct.lanes))
        for part in k.share(self.parts):
            for i in k.range(lines.lines * self.blocks * S * C):
                own["sums"].view((lines.lines * self.blocks * S * C, direct.lanes)).store(k.constant(0.0, direct.lanes), i, 0)
            for image in k.range(*part_of(part, self.parts, N)):
                for first in k.range(0, lines.count, self.together):
                    for i in k.range(self.together):
                        t = first + i
                        into(k, NINE, lines, x, (image, t), direct.W * C, own["v"], i * lines.lines)
                        for inside in chosen(k, t, lines.outputs):
                            read = [t * lines.tile + j if j in inside else None for j in range(lines.tile)]
                            to_points(k, NINE.evaluate, dy, image, read, Q * direct.K, own["d"], i * SIDE)
                    for begin, count, vectors, ragged in direct.column_kinds(self.blocks, direct.K):
                        for i in k.range(count):
                            self.products(k, own, i * direct.vectors + begin, vectors, ragged)
            self.back(k, own["sums"], dw, part)

    def products(self, k: Builder, own: Scratch, kb: IntLike, vectors: int, ragged: int) -> None:
        """Add the products of an image to the sums of a few vectors of output channels."""
        direct = self.direct
        for point in k.range(self.lines.lines):
            for first, count, pairs in direct.tiles(direct.C, direct.window[1].size):
                for i in k.range(count):
                    self.tile(k, own, point, kb, vectors, ragged, [(s, c + (i * direct.taps + first)) for s, c in pairs])

    def tile(self, k: Builder, own: Scratch, point: IntLike, kb: IntLike, vectors: int, ragged: int,
             pairs: list[tuple[int, IntLike]]) -> None:
        direct, lanes, width = self.direct, self.direct.lanes, self.direct.window[1]
        places = [[(point, kb + v, s * direct.C + c, 0) for v in range(vectors)] for s, c in pairs]
        cells = [[k.cell(own["sums"].vec(*place, lanes=lanes)) for place in row] for row in places]
        for t in k.range(self.together):
            for first, last, valid in direct.segments(sorted({s for s, _ in pairs})):
                for q in k.range(first, last):
                    grads = [own["d"].vec(t * SIDE + point % SIDE, q * direct.K + (kb + v) * lanes, lanes=lanes,
                                          count=ragged if ragged and v == vectors - 1 else None) for v in range(vectors)]
                    for (s, c), row in zip(pairs, cells, strict=True):
                        if s in valid:
                            pixel = k.splat(own["v"][t * self.lines.lines + point, width.read(q, s) * direct.C + c], lanes)
                            for cell, grad in zip(row, grads, strict=True):
                                cell.fma(pixel, grad)
        for row, at in zip(cells, places, strict=True):
            for cell, place in zip(row, at, strict=True):
                own["sums"].store(cell.value, *place)

    def back(self, k: Builder, sums: Tensor, dw: Tensor, part: IntLike) -> None:
        """dw = G' sums."""
        step = self.direct.window[0].stride
        for b in k.range(self.blocks):
            for at in k.range(self.direct.window[1].size * self.direct.C):
                for phase, taps in enumerate(self.lines.taps):
                    read = [sums.vec(phase * SIDE + e, b, at, 0, lanes=self.direct.lanes) for e in range(SIDE)]
                    scaled = [value * factor for value, factor in zip(read, NINE.scale, strict=True)]
                    for j, value in enumerate(NINE.collect(k, scaled, taps)):
                        dw.store(value, part, b, phase + j * step, at, 0)


def lines_weights_pay(direct: ConvWeights, batch: int) -> bool:
    """Whether the way by the points beats the direct one by an eighth at least.

    In cycles, as measured: a product takes one, a vector of v or of d 60 on its way, and the sums of a part 100 a tap.
    A direct tile of few sums waits for its products: it takes four vectors of 16 lanes, or eight narrower ones, to keep busy.
    """
    height, width = direct.window
    taps = -(-height.size // height.stride)
    if (height.dilation, direct.groups, direct.D) != (1, 1, 1) or taps == 1 or NINE.tile(taps) <= 1:
        return False
    kernel, (P, Q), blocks = WinogradLinesWeights(direct), direct.out, -(-direct.K // direct.lanes)
    lines, phases = kernel.lines, len(kernel.lines.taps)
    products = direct.C * blocks * sum(len(width.taps_inside(q, direct.W)) for q in range(Q))
    busy = len(direct.tiles(direct.C, width.size)[0][2]) * min(direct.vectors, blocks) / (4 if direct.lanes > 8 else 8)
    whole = products * sum(len(height.taps_inside(p, direct.H)) for p in range(P)) / min(1, busy)
    ways = lines.count * 60 * (phases * direct.W * direct.C + Q * direct.K) / direct.lanes
    sums = direct.parts * blocks * width.size * direct.C * 100 * phases
    return batch * whole > 1.125 * (batch * (lines.count * lines.lines * products + ways) + sums)
