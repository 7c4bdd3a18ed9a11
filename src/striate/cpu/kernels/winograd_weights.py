"""Weight gradient of a 3x3 convolution at stride 1 by Winograd's F(3x3, 4x4), channels last.

    dw[k, r, s, c] = ( G' [ sum_tiles v[e, tile, c] * d[e, tile, k] ] G )[r, s]       v = B' x B,  d = A dy A',  e: 36 points

A tile is 6x6 pixels of x and the 4x4 outputs that they meet in dy: 36 products a pair of channels where there were 144.

Layouts   x (N, H, W, C)   dy (N, P, Q, K)   dw (parts, K/lanes, 3, 3, C, lanes), zero past K
Work      a task is a part of the tiles, a group of input and a group of output channels. Block after block of tiles goes to the
          points and into the sums; what is brought to the points again for each group of the other side is little beside the
          products. `parts` is fixed, whatever the threads, and the parts are added afterwards.
Scratch   the strip, v, d and the sums of a group: a thread's own
Registers `rows` input channels x `vectors` output vectors of sums

The transforms and their source stand in winograd.py, how tiles lie in winograd_tiles.py.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from striate.cpu.kernels.base import Kernel
from striate.cpu.kernels.conv_winograd import Pads, Scratch, out_size
from striate.cpu.kernels.scratch import Shape, floats, packed_shape, private
from striate.cpu.kernels.winograd import FOUR, TAPS, points_shape
from striate.cpu.kernels.winograd_cost import BLOCK, direct_cost, run_of, units_of
from striate.cpu.kernels.winograd_tiles import Block, Tiles, Transform
from striate.kernel.language import Builder, IntLike, Tensor, narrow
from striate.kernel.machine import Machine
from striate.kernel.sharing import part_of

SIDE, POINTS = FOUR.side, FOUR.points


@dataclass(frozen=True)
class WinogradWeights(Kernel):
    """Sizes and choices of one weight gradient; see the head of this file and `winograd_weights_for`.

    pads, run, units, lanes, in_lanes: as of ConvWinograd; rows, vectors: the register tile; c_group, k_group: vectors of a group.

    >>> WinogradWeights(64, 28, 28, 64, ((1, 1), (1, 1))).scratch_floats() * 4 // 1024
    1135
    """

    C: int
    H: int
    W: int
    K: int
    pads: Pads
    parts: int = 1
    lanes: int = 16
    in_lanes: int = 16
    run: int = 7
    units: int = 4
    rows: int = 8
    vectors: int = 2
    c_group: int = 4
    k_group: int = 4

    @property
    def arguments(self) -> tuple[str, ...]:
        return ("N", "x", "dy", "dw", "scratch")

    @property
    def tiles(self) -> Tiles:
        return Tiles(*out_size(self.H, self.W, self.pads), self.run)

    @property
    def pixels(self) -> Transform:
        low = self.pads[0][0], self.pads[1][0]
        return Transform(self.H, self.W, self.C, low, FOUR.separate, SIDE, self.tiles, self.in_lanes)

    @property
    def gradients(self) -> Transform:
        return Transform(self.tiles.P, self.tiles.Q, self.K, (0, 0), FOUR.evaluate, FOUR.tile, self.tiles, self.lanes)

    def scratch(self) -> dict[str, Shape]:
        """What lies in a thread's scratch: the strip of x or dy, v, d, the sums, and a filter half-way back."""
        slots, C, K = self.run * self.units, self.c_group * self.in_lanes, self.k_group * self.lanes
        return {
            "strip": max(self.pixels.strip(C), self.gradients.strip(K), key=lambda shape: shape[0][0] * shape[1][0]),
            "v": points_shape(FOUR, slots, C),
            "d": points_shape(FOUR, slots, K),
            "sums": packed_shape(SIDE, SIDE, self.k_group, C, self.lanes),
            "half": packed_shape(TAPS, SIDE, self.lanes),
        }

    def scratch_floats(self) -> int:
        """Floats of scratch that each thread needs."""
        return floats(self.scratch())

    def build(self, k: Builder) -> None:
        N, (P, Q) = k.int("N"), (self.tiles.P, self.tiles.Q)
        x, dy = k.tensor("x", (N, self.H, self.W, self.C)), k.tensor("dy", (N, P, Q, self.K))
        c_all, k_all = -(-self.C // self.in_lanes), -(-self.K // self.lanes)
        dw = k.tensor("dw", (self.parts, k_all, TAPS, TAPS, self.C, self.lanes))
        own = private(k, self.scratch())
        pixels = own["strip"].view(*self.pixels.strip(self.c_group * self.in_lanes))
        gradients = own["strip"].view(*self.gradients.strip(self.k_group * self.lanes))
        c_groups, k_groups = -(-c_all // self.c_group), -(-k_all // self.k_group)
        total = self.tiles.units(N)
        for task in k.share(self.parts * c_groups * k_groups):
            part, group = task // (c_groups * k_groups), task % (c_groups * k_groups)
            c0, k0 = group % c_groups * self.c_group, group // c_groups * self.k_group
            c1, k1 = k.min(c0 + self.c_group, c_all), k.min(k0 + self.k_group, k_all)
            begin, end = part_of(part, self.parts, total)
            self.clear(k, own)
            for first in k.range(begin, end, self.units):
                last = k.min(first + self.units, end)
                tiles = Block(k, self.tiles, first, last - first)
                for unit in k.range(first, last):
                    self.pixels.build(k, x, pixels, own["v"], tiles, unit, c0, c1)
                    self.gradients.build(k, dy, gradients, own["d"], tiles, unit, k0, k1)
                self.products(k, own, tiles, (c1 - c0) * self.in_lanes, k1 - k0)
            for kb in k.range(k1 - k0):
                for c in k.range(k.min(c0 * -self.in_lanes + self.C, self.c_group * self.in_lanes)):
                    self.write(k, own, dw, (part, k0 + kb), c0 * self.in_lanes, kb, c)

    def clear(self, k: Builder, own: Scratch) -> None:
        sums = own["sums"]
        flat = sums.view((POINTS * self.k_group * self.c_group * self.in_lanes, self.lanes))
        for i in k.range(flat.shape[0]):
            flat.store(k.constant(0.0, self.lanes), i, 0)

    def products(self, k: Builder, own: Scratch, tiles: Block, channels: IntLike, blocks: IntLike) -> None:
        """sums += v d at each point, for so many channels of x and vectors of dy."""
        for a in k.range(SIDE):
            for b in k.range(SIDE):
                slots = tiles.range(a, b)
                whole = blocks // self.vectors * self.vectors
                for kb in k.range(0, whole, self.vectors):
                    for c in k.range(0, channels, self.rows):
                        self.product(k, own, slots, a, b, kb, c, self.vectors)
                if self.k_group % self.vectors or -(-self.K // self.lanes) % self.vectors:
                    for kb in k.range(whole, blocks):
                        for c in k.range(0, channels, self.rows):
                            self.product(k, own, slots, a, b, kb, c, 1)

    def product(self, k: Builder, own: Scratch, slots: tuple[IntLike, IntLike], a: IntLike, b: IntLike, kb: IntLike, c: IntLike,
                vectors: int) -> None:
        v, d, sums, e = own["v"], own["d"], own["sums"], a * SIDE + b
        cells = [[k.cell(0.0, self.lanes) for _ in range(vectors)] for _ in range(self.rows)]
        for slot in k.range(*slots):
            gradients = [d.vec(e, slot, (kb + q) * self.lanes, lanes=self.lanes) for q in range(vectors)]
            for i in range(self.rows):
                pixel = k.splat(v[e, slot, c + i], self.lanes)
                for q in range(vectors):
                    cells[i][q].fma(pixel, gradients[q])
        for i in range(self.rows):
            for q in range(vectors):
                place = a, b, kb + q, c + i, 0
                sums.store(sums.vec(*place, lanes=self.lanes) + cells[i][q].value, *place)

    def write(self, k: Builder, own: Scratch, dw: Tensor, place: tuple[IntLike, IntLike], first: IntLike, kb: IntLike,
              c: IntLike) -> None:
        """dw = G' sums G for one input channel and one vector of output channels."""
        sums, half, lanes = own["sums"], own["half"], self.lanes
        for a in k.range(SIDE):
            row = FOUR.scaled([sums.vec(a, b, kb, c, 0, lanes=lanes) for b in range(SIDE)])
            for s, value in enumerate(FOUR.collect(k, row, TAPS)):
                half.store(value, s, a, 0)
        for s in k.range(TAPS):
            column = FOUR.scaled([half.vec(s, a, 0, lanes=lanes) for a in range(SIDE)])
            for r, value in enumerate(FOUR.collect(k, column, TAPS)):
                dw.store(value, *place, r, s, first + c, 0)


def winograd_weights_for(machine: Machine, C: int, H: int, W: int, K: int, pads: Pads,
                         batch: int | None = None) -> WinogradWeights:
    """The choices for a machine, as measured; for a batch, or for batches that are not small.

    Groups of 128 channels on both sides: with smaller ones the transforms are repeated more often, with larger ones the sums
    leave the caches.
    """
    tiles = run_of(*out_size(H, W, pads))
    lanes, in_lanes = narrow(K, machine.lanes), narrow(C, machine.lanes)
    return WinogradWeights(
        C, H, W, K, pads,
        parts=parts_for(C, K, tiles, batch),
        lanes=lanes,
        in_lanes=in_lanes,
        run=tiles.run,
        units=units_of(tiles, BLOCK),
        rows=min(in_lanes, 8 if machine.registers >= 32 else 4),
        vectors=2 if K > lanes else 1,
        c_group=min(-(-C // in_lanes), 128 // in_lanes),
        k_group=min(-(-K // lanes), 128 // lanes),
    )


def parts_for(C: int, K: int, tiles: Tiles, batch: int | None = None) -> int:
    """Parts of the batch: enough for a few threads where there are few groups of channels; 1, 2, 4 or 8, which threads can share.

    Each part costs a set of sums, which is the time of a dozen tiles, so that it should have a hundred.
    """
    worth = batch * tiles.height.count * tiles.width.count // 100 if batch else 8
    return 2 ** round(math.log2(max(1, min(8, 2**16 // (C * K), worth))))


def winograd_weights_pays(C: int, K: int, P: int, Q: int, batch: int) -> bool:
    """Whether it beats the direct weight gradient by an eighth at least, for a batch.

    In the cycles of `winograd_cost`: the products run at 0.88 of the peak, both transforms are repeated for each group of 128
    channels of the other side, and each vector of the sums costs 14 cycles for each part, however small the batch.

    >>> winograd_weights_pays(64, 64, 28, 28, batch=64), winograd_weights_pays(512, 512, 7, 7, batch=1)
    (True, False)
    """
    c, k, tiles = -(-C // 16), -(-K // 16), run_of(P, Q)
    transforms = tiles.height.count * tiles.width.count * 230 * (c * -(-k // 8) + k * -(-c // 8))
    products = tiles.height.points * tiles.width.points * C * k / 0.88
    sums = 14 * parts_for(C, K, tiles, batch) * POINTS * C * k
    return batch * direct_cost(C, K, P, Q) > 1.125 * (batch * (products + transforms) + sums)
