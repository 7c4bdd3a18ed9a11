"""Weight gradient of a convolution, direct form, channels last.

    dw[k, r, s, c] = sum_{n,p,q} x[n, p*stride + r*dilation - low, q*stride + s*dilation - low, c] * dy[n, p, q, k]

Layouts   x (N, D, H, W, C)   dy (N, O, P, Q, K)   dw (parts, G, K/G/lanes, T, R, S, C/G, lanes), zero past K/G; D, O, T are 1
          but for convolution in space, whose slices count as images
Registers a tile is a list of (tap, channel) pairs x `vectors` of output channels; each pixel gives one dy vector a column
          and one broadcast a row
Work      parts > 1: a task is a fixed part of the batch with a dw of its own (small weights); the parts are added afterwards.
          parts = 1: a task is a window row and a group of output channels (heavy weights).
          Inside a task images go one by one, so that x and dy stay in cache while all tiles pass over them.

Source: Georganas et al., Anatomy of high-performance deep learning convolutions on SIMD architectures, arXiv:1808.05567, II-J.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from striate.cpu.kernels.base import Kernel
from striate.cpu.kernels.loops import widths
from striate.kernel.language import Builder, IntLike, Tensor
from striate.kernel.sharing import part_of
from striate.window import Window, Window2d

Pair = tuple[IntLike, IntLike]
Triple = tuple[IntLike, IntLike, IntLike]


@dataclass(frozen=True)
class ConvWeights(Kernel):
    """Sizes and choices of one weight gradient; `taps` (tap, channel) pairs by `vectors` make the register tile."""

    C: int
    H: int
    W: int
    K: int
    window: Window2d
    groups: int = 1
    lanes: int = 16
    taps: int = 12
    vectors: int = 2
    parts: int = 1
    D: int = 1
    slices: Window = Window(1)

    @property
    def arguments(self) -> tuple[str, ...]:
        return ("N", "x", "dy", "dw")

    @property
    def out(self) -> tuple[int, int]:
        return self.window[0].out(self.H), self.window[1].out(self.W)

    def build(self, k: Builder) -> None:
        N, G = k.int("N"), self.groups
        images, T = N * self.slices.out(self.D), self.slices.size
        Cg, Kg = self.C // G, self.K // G
        R, S = (w.size for w in self.window)
        blocks = -(-Kg // self.lanes)
        x, dy = k.tensor("x", (N, self.D, self.H, self.W, self.C)), k.tensor("dy", (images, *self.out, self.K))
        dw = k.tensor("dw", (self.parts, G, blocks, T, R, S, Cg, self.lanes))

        def one(image: IntLike, tap: Pair, into: Triple, vectors: int, ragged: int) -> None:
            for first, count, pairs in self.tiles(Cg, S):
                for i in k.range(count):
                    shifted = [(s, c + (i * self.taps + first)) for s, c in pairs]
                    self.tile(k, x, dy, dw, image, tap, into, vectors, ragged, shifted)

        def column(own: Pair, t: Pair, r: Pair, into: Triple, vectors: int, ragged: int) -> None:
            for plane in k.range(*t):
                for row in k.range(*r):
                    self.clear(k, dw, (plane, row), into, vectors, S, Cg)
            for image in k.range(*own):
                first, stop = self.slices.bounds(image % self.slices.out(self.D), self.D, k.min, k.max)
                for plane in k.range(k.max(first, t[0]), k.min(stop, t[1])):
                    for row in k.range(*r):
                        one(image, (plane, row), into, vectors, ragged)

        if self.parts > 1:
            for part in k.share(self.parts):
                own = part_of(part, self.parts, images)
                for g in k.range(G):
                    for b, count, vectors, ragged in self.column_kinds(blocks, Kg):
                        for i in k.range(count):
                            column(own, (0, T), (0, R), (part, g, i * self.vectors + b), vectors, ragged)
        else:
            for b, count, vectors, ragged in self.column_kinds(blocks, Kg):
                for task in k.share(G * count * T * R):
                    r, t, rest = task % R, task // R % T, task // (R * T)
                    into = 0, rest // count, (rest % count) * self.vectors + b
                    column((0, images), (t, t + 1), (r, r + 1), into, vectors, ragged)

    def column_kinds(self, blocks: int, Kg: int) -> list[tuple[int, int, int, int]]:
        """(first block, how many groups, vectors, lanes filled in the last vector or 0): whole groups, then the rest."""
        ragged = Kg % self.lanes
        whole, rest = divmod(blocks - bool(ragged), self.vectors)
        kinds = [(0, whole, self.vectors, 0)] if whole else []
        tail = rest + bool(ragged)
        return kinds + ([(whole * self.vectors, 1, tail, ragged)] if tail else [])

    def tiles(self, Cg: int, S: int) -> list[tuple[int, int, list[tuple[int, int]]]]:
        """(first channel, repeats, (tap, channel) pairs). Few channels: a tile spans several taps of a row."""
        if Cg < self.taps:
            every = [(s, c) for s in range(S) for c in range(Cg)]
            step = -(-len(every) // -(-len(every) // self.taps))
            return [(0, 1, every[i: i + step]) for i in range(0, len(every), step)]
        found = []
        whole, rest = divmod(Cg, self.taps)
        for s in range(S):
            found.append((0, whole, [(s, c) for c in range(self.taps)]))
            if rest:
                found.append((whole * self.taps, 1, [(s, c) for c in range(rest)]))
        return found

    def clear(self, k: Builder, dw: Tensor, tap: Pair, into: Triple, vectors: int, S: int, Cg: int) -> None:
        part, g, b = into
        for v in range(vectors):
            for s in k.range(S):
                for c in k.range(Cg):
                    dw.store(k.splat(0.0, self.lanes), part, g, b + v, *tap, s, c, 0)

    def segments(self, taps: Sequence[int]) -> list[tuple[int, int, tuple[int, ...]]]:
        """(first q, last q + 1, taps that read real pixels there), for taps of one row; static, as the width is."""
        width, Q = self.window[1], self.out[1]
        inside = [tuple(s for s in taps if 0 <= width.read(q, s) < self.W) for q in range(Q)]
        found: list[tuple[int, int, tuple[int, ...]]] = []
        for q, valid in enumerate(inside):
            if found and found[-1][2] == valid:
                found[-1] = (found[-1][0], q + 1, valid)
            else:
                found.append((q, q + 1, valid))
        return [segment for segment in found if segment[2]]

    def tile(self, k: Builder, x: Tensor, dy: Tensor, dw: Tensor, image: IntLike, tap: Pair, into: Triple, vectors: int,
             ragged: int, pairs: list[tuple[int, IntLike]]) -> None:
        (t, r), (part, g, b), slices = tap, into, self.slices
        height, width = self.window
        Cg, Kg, wide = self.C // self.groups, self.K // self.groups, widths(vectors, ragged, self.lanes)
        n, d = image // slices.out(self.D), slices.read(image % slices.out(self.D), t)
        cells = [[k.cell(dw.vec(part, g, b + v, t, r, s, c, 0, lanes=lanes)) for v, lanes in enumerate(wide)] for s, c in pairs]
        start = height.pads[0] - r * height.dilation  # the padded rows above tap r
        low = (k.max(start, 0) + (height.stride - 1)) // height.stride
        high = k.min((k.max(start + self.H, 0) + (height.stride - 1)) // height.stride, self.out[0])
        for p in k.range(low, high):
            h = p * height.stride - start
            for first, last, valid in self.segments(sorted({s for s, _ in pairs})):
                for q in k.range(first, last):
                    grads = [dy.vec(image, p, q, g * Kg + (b + v) * self.lanes, lanes=lanes,
                                    count=ragged if ragged and v == vectors - 1 else None) for v, lanes in enumerate(wide)]
                    for (s, c), row in zip(pairs, cells, strict=True):
                        if s in valid:
                            pixel = x[n, d, h, width.read(q, s), g * Cg + c]
                            for cell, grad in zip(row, grads, strict=True):
                                cell.fma(k.splat(pixel, grad.lanes), grad)
        for (s, c), row in zip(pairs, cells, strict=True):
            for v in range(vectors):
                dw.store(row[v].value, part, g, b + v, t, r, s, c, 0)
