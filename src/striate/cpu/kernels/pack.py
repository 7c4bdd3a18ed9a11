"""Weights between their logical order and the order in which kernels read them.

    packed[g, b, r, s, c, l] = w[g*K/G + b*lanes + l, c, r, s]           pack, and unpack the other way round
    turned[g, b, r, s, k, l] = w[g*K/G + k, b*lanes + l, r, s]           turn: from packed, for the input gradient

Lanes past the last channel hold zero. These are copies: each number is moved once. Turning goes on in every training step, so it
moves squares of up to lanes x lanes numbers, transposed in registers.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from striate.cpu.kernels.base import Kernel
from striate.cpu.layout import Packed
from striate.kernel.language import Builder, IntLike, Tensor


def packed_tensor(k: Builder, name: str, form: Packed) -> Tensor:
    """Memory of a packed form."""
    inner = form.K if form.turned else form.C
    return k.tensor(name, (form.groups, form.blocks, form.R, form.S, inner, form.lanes))


def plain_tensor(k: Builder, name: str, form: Packed) -> Tensor:
    return k.tensor(name, (form.groups, form.K, form.C, form.R, form.S))


def place(k: Builder, form: Packed, task: IntLike) -> tuple[IntLike, IntLike, IntLike, IntLike, IntLike]:
    """(g, b, r, s, inner channel) of a task: one vector of the packed form."""
    inner = form.K if form.turned else form.C
    rest, c = task // inner, task % inner
    rest, s = rest // form.S, rest % form.S
    rest, r = rest // form.R, rest % form.R
    return rest // form.blocks, rest % form.blocks, r, s, c


@dataclass(frozen=True)
class PackWeights(Kernel):
    """Plain (K, C/G, R, S) to packed."""

    form: Packed

    @property
    def arguments(self) -> tuple[str, ...]:
        return ("plain", "packed")

    def build(self, k: Builder) -> None:
        form = self.form
        w, packed = plain_tensor(k, "plain", form), packed_tensor(k, "packed", form)
        for task in k.share(form.size // form.lanes):
            g, b, r, s, c = place(k, form, task)
            packed.store(k.splat(0.0, form.lanes), g, b, r, s, c, 0)
            first = b * form.lanes
            for lane in k.range(k.min(form.vectored - first, form.lanes)):
                logical = (g, c, first + lane, r, s) if form.turned else (g, first + lane, c, r, s)
                packed.store(w[logical], g, b, r, s, c, lane)


@dataclass(frozen=True)
class UnpackWeights(Kernel):
    """Packed to plain (K, C/G, R, S)."""

    form: Packed

    @property
    def arguments(self) -> tuple[str, ...]:
        return ("packed", "plain")

    def build(self, k: Builder) -> None:
        form = self.form
        w, packed = plain_tensor(k, "plain", form), packed_tensor(k, "packed", form)
        for task in k.share(form.size // form.lanes):
            g, b, r, s, c = place(k, form, task)
            first = b * form.lanes
            for lane in k.range(k.min(form.vectored - first, form.lanes)):
                logical = (g, c, first + lane, r, s) if form.turned else (g, first + lane, c, r, s)
                w.store(packed[g, b, r, s, c, lane], *logical)


@dataclass(frozen=True)
class TurnWeights(Kernel):
    """Packed for the forward pass to packed for the input gradient; `lanes` are those of the turned form."""

    form: Packed
    lanes: int

    @property
    def arguments(self) -> tuple[str, ...]:
        return ("packed", "turned")

    @property
    def turned(self) -> Packed:
        form = self.form
        return Packed(form.groups, form.K, form.C, form.R, form.S, self.lanes, turned=True, columns=form.columns)

    def build(self, k: Builder) -> None:
        form, turned = self.form, self.turned
        packed, target = packed_tensor(k, "packed", form), packed_tensor(k, "turned", turned)
        for task in k.share(form.groups * turned.blocks * form.R * form.S * form.blocks):
            rest, out = task // form.blocks, task % form.blocks
            rest, s = rest // form.S, rest % form.S
            rest, r = rest // form.R, rest % form.R
            place = rest // turned.blocks, rest % turned.blocks, out, r, s
            for rows in self.sizes(k, place[1], turned):
                for columns in self.sizes(k, out, form):
                    self.block(k, packed, target, place, rows, columns)

    def sizes(self, k: Builder, block: IntLike, form: Packed) -> Iterator[int]:
        """The channels of a block, under the condition that it has so many."""
        last = form.vectored - (form.blocks - 1) * form.lanes
        if last == form.lanes or form.blocks == 1:
            yield last
            return
        for _ in k.when(k.int_compare("lt", block, form.blocks - 1)):
            yield form.lanes
        for _ in k.when(k.int_compare("eq", block, form.blocks - 1)):
            yield last

    def block(self, k: Builder, packed: Tensor, target: Tensor, place: tuple[IntLike, ...], rows: int, columns: int) -> None:
        """`rows` input channels of a block, `columns` output channels of another, in squares."""
        g, b, out, r, s = place
        side = min(self.lanes, self.form.lanes)
        for c in range(0, self.lanes, side):
            for lane in range(0, columns, side):
                lines = [packed.vec(g, out, r, s, b * self.lanes + c + i, lane, lanes=side) if c + i < rows
                         else k.constant(0.0, side) for i in range(side)]
                for j, line in enumerate(k.transpose(lines)[:columns - lane]):
                    target.store(line, g, b, r, s, out * self.form.lanes + lane + j, c)


@dataclass(frozen=True)
class AddParts(Kernel):
    """y[i] = sum over the parts, in their order: partial weight gradients become one."""

    parts: int

    @property
    def arguments(self) -> tuple[str, ...]:
        return ("size", "part", "y")

    def build(self, k: Builder) -> None:
        size, lanes = k.int("size"), k.lanes
        part, y = k.tensor("part", (self.parts, size)), k.tensor("y", (size,))
        for i in k.share((size + (lanes - 1)) // lanes):
            count = k.min(size - i * lanes, lanes)
            total = part.vec(0, i * lanes, lanes=lanes, count=count)
            for p in range(1, self.parts):
                total = total + part.vec(p, i * lanes, lanes=lanes, count=count)
            y.store(total, i * lanes, count=count)
