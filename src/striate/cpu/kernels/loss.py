"""Cross-entropy of class indices, as torch.nn.functional.cross_entropy, and its gradient.

    m = max_c x_c    s = sum_c e^(x_c - m)    z_c = x_c - m - ln s
    q_c    = weight_c * ((1 - smoothing) * [c = target] + smoothing / C)        0 in rows whose target is ignore_index
    part   = (- sum_c q_c * z_c, weight_target) for each row        moments = (m, 1 / s), which the gradient wants
    finish   mean: sum of losses / sum of weights        sum: sum of losses        none: each row's loss
    dx_c   = (e^(z_c) * sum_j q_j - q_c) * dloss         mean: dloss / sum of weights, which finish has found
    logits=False   the input holds log-probabilities: z_c = x_c, dx_c = - q_c * dloss

A target that is no class gives NaN and reads nothing outside of the row.

Layouts   x dx (rows, C)   target (rows) of type dtype   part moments (rows, 2)   weight (C)
Tasks     rows; the sums over rows are one thread's work, in order

Source: Bridle, Probabilistic interpretation of feedforward classification network outputs, 1990; Szegedy et al.,
arXiv:1512.00567, section 7 (smoothing).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from striate.cpu.kernels.base import Kernel
from striate.cpu.kernels.softmax import Rows
from striate.kernel import math as functions
from striate.kernel.language import Builder, IntLike, Num, Tensor


@dataclass(frozen=True)
class Target:
    """One row's class: `place` lies in 0 .. C - 1 whatever the label is, `weight` is 0 if ignored and NaN if it is no class."""

    place: IntLike
    ignored: Num
    weight: Num


def target_of(k: Builder, label: IntLike, C: int, ignore_index: int, weight: Tensor | None) -> Target:
    place = k.min(k.max(label, 0), C - 1)
    ignored, known = k.int_compare("eq", label, ignore_index), k.int_compare("eq", label, place)
    own = weight[place] if weight is not None else k.constant(1.0)
    counted = k.where(known, own, k.constant(math.nan))
    return Target(place, ignored, k.where(ignored, k.constant(0.0), counted))


@dataclass(frozen=True)
class CrossEntropy(Kernel):
    """x, target and weight if weighted -> part, and moments of logits."""

    C: int
    label_smoothing: float = 0.0
    ignore_index: int = -100
    weighted: bool = False
    logits: bool = True
    dtype: str = "i64"
    """That of the target."""

    @property
    def arguments(self) -> tuple[str, ...]:
        weight, moments = ("weight",) if self.weighted else (), ("moments",) if self.logits else ()
        return ("rows", "x", "target", *weight, "part", *moments)

    def build(self, k: Builder) -> None:
        count_rows, rows = k.int("rows"), Rows(k, self.C)
        x, part = k.tensor("x", (count_rows, self.C)), k.tensor("part", (count_rows, 2))
        labels, weight = k.tensor("target", (count_rows,), self.dtype), k.tensor("weight", (self.C,)) if self.weighted else None
        for row in k.share(count_rows):
            target = target_of(k, labels.int(row), self.C, self.ignore_index, weight)
            peak, total = rows.shifted_sum(x, row) if self.logits else (k.constant(0.0), k.constant(1.0))
            log = functions.log(k, total) if self.logits else peak
            loss = target.weight * (log - (x[row, target.place] - peak))
            if self.label_smoothing:
                others = self.others(k, rows, x, weight, row, peak, log)
                loss = loss * (1.0 - self.label_smoothing) + others * (self.label_smoothing / self.C)
            part.store(k.where(target.ignored, k.constant(0.0), loss), row, 0)
            part.store(target.weight, row, 1)
            if self.logits:
                moments = k.tensor("moments", (count_rows, 2))
                moments.store(peak, row, 0)
                moments.store(1.0 / total, row, 1)

    def others(self, k: Builder, rows: Rows, x: Tensor, weight: Tensor | None, row: IntLike, peak: Num, log: Num) -> Num:
        """- sum_c weight_c * z_c"""
        m, s = k.splat(peak, rows.lanes), k.splat(log, rows.lanes)

        def term(first: IntLike, count: int | None) -> Num:
            return (s - (rows.read(x, row, first, count) - m)) * column_weight(k, rows, weight, first, count)

        return rows.total("add", 0.0, term)


def column_weight(k: Builder, rows: Rows, weight: Tensor | None, first: IntLike, count: int | None) -> Num:
    """The weights of a vector of classes, zero past the last."""
    if weight is not None:
        return weight.vec(first, lanes=rows.lanes, count=count)
    one = k.constant(1.0, rows.lanes)
    return one if count is None else k.where(k.iota(rows.lanes) < count, one, k.constant(0.0, rows.lanes))


def sums(k: Builder, part: Tensor, rows: IntLike) -> tuple[Num, Num]:
    """The sums over rows of losses and of weights: even lanes hold the ones, odd lanes the others."""
    flat, lanes = part.view((rows * 2,)), k.lanes
    total = k.cell(0.0, lanes)
    whole = rows * 2 // lanes * lanes
    for i in k.range(0, whole, lanes):
        total.add(flat.vec(i, lanes=lanes))
    for _ in k.when(k.int_compare("lt", whole, rows * 2)):
        total.add(flat.vec(whole, lanes=lanes, count=rows * 2 - whole))
    even, zero = (k.iota(lanes) & 1).equals(0), k.constant(0.0, lanes)
    return k.reduce("add", k.where(even, total.value, zero)), k.reduce("add", k.where(even, zero, total.value))


@dataclass(frozen=True)
class CrossEntropyFinish(Kernel):
    """part -> the loss, and for a mean the sum of weights; with reduction none, the loss of each row."""

    reduction: str = "mean"

    @property
    def arguments(self) -> tuple[str, ...]:
        return ("rows", "part", "y", *(("whole",) if self.reduction == "mean" else ()))

    def build(self, k: Builder) -> None:
        rows = k.int("rows")
        part = k.tensor("part", (rows, 2))
        if self.reduction == "none":
            y = k.tensor("y", (rows,))
            for row in k.share(rows):
                y.store(part[row, 0], row)
            return
        for _ in k.when(k.int_compare("eq", k.thread, 0)):
            loss, weight = sums(k, part, rows)
            k.tensor("y", (1,)).store(loss / weight if self.reduction == "mean" else loss, 0)
            if self.reduction == "mean":
                k.tensor("whole", (1,)).store(weight, 0)


@dataclass(frozen=True)
class CrossEntropyGradient(Kernel):
    """dloss, x, target, weight if weighted, moments of logits, whole of a mean -> dx."""

    C: int
    label_smoothing: float = 0.0
    ignore_index: int = -100
    weighted: bool = False
    reduction: str = "mean"
    logits: bool = True
    dtype: str = "i64"

    @property
    def arguments(self) -> tuple[str, ...]:
        kept = (("weight", self.weighted), ("moments", self.logits), ("whole", self.reduction == "mean"))
        return ("rows", "dloss", "x", "target", *(name for name, there in kept if there), "dx")

    def build(self, k: Builder) -> None:
        count_rows, rows = k.int("rows"), Rows(k, self.C)
        x, dx = k.tensor("x", (count_rows, self.C)), k.tensor("dx", (count_rows, self.C))
        labels, weight = k.tensor("target", (count_rows,), self.dtype), k.tensor("weight", (self.C,)) if self.weighted else None
        smooth, each = self.label_smoothing / self.C, self.each(k, count_rows)
        everything = rows.total("add", 0.0, lambda i, n: column_weight(k, rows, weight, i, n)) if smooth else None
        for row in k.share(count_rows):
            target = target_of(k, labels.int(row), self.C, self.ignore_index, weight)
            peak, share = self.moments(k, count_rows, row)
            hit = target.weight * (1.0 - self.label_smoothing)
            whole = hit if everything is None else hit + everything * smooth
            m, scale, hit, factor = (k.splat(v, rows.lanes) for v in (peak, whole * share, hit, each(row)))
            for first, count in rows:
                chance = functions.exp(k, rows.read(x, row, first, count) - m) * scale if self.logits else m
                here = k.iota(rows.lanes).equals(k.splat(k.from_int(target.place - first), rows.lanes))
                wanted = k.where(here, hit, k.constant(0.0, rows.lanes))
                if smooth:
                    wanted = wanted + column_weight(k, rows, weight, first, count) * smooth
                gradient = k.where(target.ignored, k.constant(0.0, rows.lanes), (chance - wanted) * factor)
                dx.store(gradient, row, first, count=count)

    def each(self, k: Builder, rows: IntLike):
        """The derivative by a row's loss."""
        if self.reduction == "none":
            dloss = k.tensor("dloss", (rows,))
            return lambda row: dloss[row]
        dloss = k.tensor("dloss", (1,))[0]
        if self.reduction == "mean":
            dloss = dloss / k.tensor("whole", (1,))[0]
        return lambda row: dloss

    def moments(self, k: Builder, rows: IntLike, row: IntLike) -> tuple[Num, Num]:
        """m and 1 / s of a row."""
        if not self.logits:
            return k.constant(0.0), k.constant(1.0)
        found = k.tensor("moments", (rows, 2))
        return found[row, 0], found[row, 1]


@dataclass(frozen=True)
class OneHot(Kernel):
    """x (rows) of type dtype -> y (rows, C): 1 at the class, else 0."""

    C: int
    dtype: str = "i64"

    @property
    def arguments(self) -> tuple[str, ...]:
        return ("rows", "x", "y")

    def build(self, k: Builder) -> None:
        count_rows, rows = k.int("rows"), Rows(k, self.C)
        labels, y = k.tensor("x", (count_rows,), self.dtype), k.tensor("y", (count_rows, self.C))
        one, zero = k.constant(1.0, rows.lanes), k.constant(0.0, rows.lanes)
        for row in k.share(count_rows):
            for first, count in rows:
                here = k.iota(rows.lanes).equals(k.splat(k.from_int(labels.int(row) - first), rows.lanes))
                y.store(k.where(here, one, zero), row, first, count=count)
