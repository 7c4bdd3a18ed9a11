"""What is computed with symbolic values: operators of Python, and the methods of an array by their names in PyTorch."""

from __future__ import annotations

from math import inf, log, prod
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from striate import ops
from striate.errors import ArgumentError

if TYPE_CHECKING:
    from striate.graph import Graph
    from striate.value import Value


class Extremes(NamedTuple):
    """The largest or smallest numbers along an axis, and where they stand."""

    values: Value
    indices: Value


class Arithmetic:
    """Half of Value: its numbers. The other half is its shape."""

    __slots__ = ()
    if TYPE_CHECKING:
        graph: Graph
        shape: tuple[int, ...]
        ndim: int
        float: Any
        numel: Any
        reshape: Any
        movedim: Any
        flatten: Any
        detach: Any

    # arithmetic
    def _with(self, op: ops.Op, other: Any, before: bool = False) -> Value:
        """The operator on both, the other one before or behind; whole numbers beside floats, such as a mask, become floats."""
        a: Any = self
        b = self.graph.lift(other)
        if a.dtype != b.dtype:
            a, b = a.float(), b.float()
        return self.graph.apply(op, b, a) if before else self.graph.apply(op, a, b)

    def __add__(self, other: Any) -> Value:
        return self._with(ops.Add(), other)

    def __radd__(self, other: Any) -> Value:
        return self._with(ops.Add(), other, before=True)

    def __sub__(self, other: Any) -> Value:
        return self._with(ops.Subtract(), other)

    def __rsub__(self, other: Any) -> Value:
        return self._with(ops.Subtract(), other, before=True)

    def __mul__(self, other: Any) -> Value:
        return self._with(ops.Multiply(), other)

    def __rmul__(self, other: Any) -> Value:
        return self._with(ops.Multiply(), other, before=True)

    def __truediv__(self, other: Any) -> Value:
        return self._with(ops.Divide(), other)

    def __rtruediv__(self, other: Any) -> Value:
        return self._with(ops.Divide(), other, before=True)

    def __neg__(self) -> Value:
        return self.graph.apply(ops.Negate(), self)

    def __pow__(self, exponent: Any) -> Value:
        """x^exponent for a number, e^(exponent * ln x) for an array: of a negative x it is NaN."""
        if isinstance(exponent, (int, float)):
            return self.graph.apply(ops.Power(float(exponent)), self)
        return (self.graph.lift(exponent) * self.log()).exp()

    def __rpow__(self, base: Any) -> Value:
        return (self * log(base)).exp() if isinstance(base, (int, float)) else self.graph.lift(base) ** self

    def __matmul__(self, other: Any) -> Value:
        return matmul(self, self.graph.lift(other))

    def __rmatmul__(self, other: Any) -> Value:
        return matmul(self.graph.lift(other), self)

    # comparisons, as masks of 1 and 0; == between two values is their identity, by which they are kept in sets and dicts
    def __eq__(self, other: Any) -> Any:
        return self.eq(other) if _is_number(other) else self is other

    def __ne__(self, other: Any) -> Any:
        return self.ne(other) if _is_number(other) else self is not other

    __hash__ = object.__hash__

    def __and__(self, other: Any) -> Value:
        return self * other

    def __or__(self, other: Any) -> Value:
        return self.maximum(other)

    def __invert__(self) -> Value:
        return 1 - self

    def _compare(self, verb: str, other: Any) -> Value:
        return self.graph.apply(ops.Compare(verb), self.float(), self.graph.lift(other).float())

    def __gt__(self, other: Any) -> Value:
        return self._compare("gt", other)

    def __ge__(self, other: Any) -> Value:
        return self._compare("ge", other)

    def __lt__(self, other: Any) -> Value:
        return self._compare("lt", other)

    def __le__(self, other: Any) -> Value:
        return self._compare("le", other)

    def eq(self, other: Any) -> Value:
        return self._compare("eq", other)

    def ne(self, other: Any) -> Value:
        return self._compare("ne", other)

    # the same by their names in PyTorch
    mul, neg, pow, matmul = __mul__, __neg__, __pow__, __matmul__
    gt, ge, lt, le = __gt__, __ge__, __lt__, __le__
    multiply, true_divide, bmm, mm = mul, __truediv__, matmul, matmul

    def add(self, other: Any, *, alpha: float = 1) -> Value:
        return self + (other if alpha == 1 else self.graph.lift(other) * alpha)

    def sub(self, other: Any, *, alpha: float = 1) -> Value:
        return self - (other if alpha == 1 else self.graph.lift(other) * alpha)

    def div(self, other: Any, *, rounding_mode: str | None = None) -> Value:
        """a / b; rounding_mode 'trunc' or 'floor' leaves whole numbers."""
        if rounding_mode not in (None, "trunc", "floor"):
            raise ArgumentError(f"rounding_mode must be None, 'trunc' or 'floor', got {rounding_mode!r}")
        y = self / other
        return y if rounding_mode is None else y.trunc() if rounding_mode == "trunc" else y.floor()

    subtract, divide = sub, div

    def maximum(self, other: Any) -> Value:
        return self.graph.apply(ops.Maximum(), self, self.graph.lift(other).float())

    def minimum(self, other: Any) -> Value:
        return self.graph.apply(ops.Minimum(), self, self.graph.lift(other).float())

    def clamp(self, min: Any = None, max: Any = None) -> Value:
        """min(max(x, low), high), without the limits that are None; limits are numbers or arrays."""
        if all(limit is None or isinstance(limit, (int, float)) for limit in (min, max)):
            low, high = (-inf if min is None else float(min)), (inf if max is None else float(max))
            return self.graph.apply(ops.Clamp(low, high), self)
        bounded = self if min is None else self.maximum(min)
        return bounded if max is None else bounded.minimum(max)  # type: ignore[return-value]

    clip = clamp

    def clamp_min(self, min: Any) -> Value:
        return self.clamp(min)

    def clamp_max(self, max: Any) -> Value:
        return self.clamp(None, max)

    def addcmul(self, tensor1: Any, tensor2: Any, *, value: float = 1) -> Value:
        """x + value * tensor1 * tensor2."""
        return self + value * self.graph.lift(tensor1) * tensor2

    def lerp(self, end: Any, weight: Any) -> Value:
        """x + weight * (end - x)."""
        return self + weight * (self.graph.lift(end) - self)

    def masked_fill(self, mask: Any, value: float) -> Value:
        """value where the mask is not 0, else what it was."""
        return self.graph.apply(ops.Where(), self.graph.lift(mask).float(), value, self)

    # functions of each element; dtype is PyTorch's, and all is computed in float32
    def exp(self) -> Value:
        return self.graph.apply(ops.Exp(), self)

    def log(self) -> Value:
        return self.graph.apply(ops.Log(), self)

    def sqrt(self) -> Value:
        return self.graph.apply(ops.Power(0.5), self)

    def rsqrt(self) -> Value:
        return self.graph.apply(ops.Power(-0.5), self)

    def square(self) -> Value:
        return self * self

    def reciprocal(self) -> Value:
        return 1 / self

    def abs(self) -> Value:
        return self.graph.apply(ops.Abs(), self)

    __abs__ = abs

    def floor(self) -> Value:
        nearest = self.round()
        return nearest - (nearest > self)

    def ceil(self) -> Value:
        nearest = self.round()
        return nearest + (nearest < self)

    def trunc(self) -> Value:
        return self.abs().floor() * self.sign()

    def log2(self) -> Value:
        return self.log() * (1 / log(2))

    def log10(self) -> Value:
        return self.log() * (1 / log(10))

    def isnan(self) -> Value:
        return self.ne(self)

    def sign(self) -> Value:
        return (self > 0) - (self < 0)

    def round(self, *, decimals: int = 0) -> Value:
        """The nearest whole number, half to even, or the nearest of 10^-decimals; no gradient, nor have floor, ceil and trunc."""
        if decimals:
            return (self * 10.0**decimals).round() / 10.0**decimals
        return self.graph.apply(ops.Round(), self)

    def erf(self) -> Value:
        return self.graph.apply(ops.Erf(), self)

    def sin(self) -> Value:
        return self.graph.apply(ops.Sin(), self)

    def cos(self) -> Value:
        return self.graph.apply(ops.Cos(), self)

    def relu(self) -> Value:
        return self.graph.apply(ops.ReLU(), self)

    def tanh(self) -> Value:
        return self.graph.apply(ops.Tanh(), self)

    def sigmoid(self) -> Value:
        return self.graph.apply(ops.Sigmoid(), self)

    def softmax(self, dim: int, dtype: Any = None) -> Value:
        return self.graph.apply(ops.Softmax(ops.axis(dim, self.ndim)), self)

    def log_softmax(self, dim: int, dtype: Any = None) -> Value:
        return self.graph.apply(ops.LogSoftmax(ops.axis(dim, self.ndim)), self)

    # reductions
    def sum(self, dim: Any = None, keepdim: bool = False) -> Value:
        return self.graph.apply(ops.Sum(ops.reduce_axes(dim, self.ndim), keepdim), self)

    def mean(self, dim: Any = None, keepdim: bool = False) -> Value:
        return self.graph.apply(ops.Mean(ops.reduce_axes(dim, self.ndim), keepdim), self)

    def amax(self, dim: Any = None, keepdim: bool = False) -> Value:
        return self.graph.apply(ops.Max(ops.reduce_axes(dim, self.ndim), keepdim), self)

    def logsumexp(self, dim: Any, keepdim: bool = False) -> Value:
        """ln sum e^x, without overflow; infinities stay."""
        peak = self.detach().amax(dim, keepdim=True)
        peak = self.graph.apply(ops.Where(), peak.abs().eq(inf), 0.0, peak)
        total = (self - peak).exp().sum(dim, keepdim).log()
        return total + (peak if keepdim else peak.sum(dim))

    def prod(self, dim: int | None = None, keepdim: bool = False) -> Value:
        """The product of all numbers, or of those along an axis."""
        rows = self.flatten() if dim is None else self.movedim(dim, -1)
        if not rows.shape[-1]:
            return self.graph.constant(np.ones(rows.shape[:-1], np.float32))
        while rows.shape[-1] > 1:
            half = rows.shape[-1] // 2
            rest = rows[..., 2 * half:]
            rows = rows[..., :half] * rows[..., half:2 * half]
            rows = self.graph.apply(ops.Concat(rows.ndim - 1), rows, rest) if rest.shape[-1] else rows
        return rows.movedim(-1, dim) if keepdim and dim is not None else rows.squeeze(-1)

    def cumsum(self, dim: int) -> Value:
        """y[i] = x[0] + ... + x[i] along an axis: a product with a triangle of ones."""
        n = self.shape[ops.axis(dim, self.ndim)]
        return (self.movedim(dim, -1) @ np.triu(np.ones((n, n), np.float32))).movedim(-1, dim)

    def amin(self, dim: Any = None, keepdim: bool = False) -> Value:
        return -(-self).amax(dim, keepdim)

    def max(self, dim: Any = None, keepdim: bool = False) -> Any:
        """The largest number; along an axis (values, indices); of two values the larger. Ties share the gradient."""
        if dim is None:
            return self.amax()
        return self.maximum(dim) if isinstance(dim, Arithmetic) else Extremes(self.amax(dim, keepdim), self.argmax(dim, keepdim))

    def min(self, dim: Any = None, keepdim: bool = False) -> Any:
        """The smallest number; along an axis (values, indices); of two values the smaller."""
        if dim is None:
            return self.amin()
        return self.minimum(dim) if isinstance(dim, Arithmetic) else Extremes(self.amin(dim, keepdim), self.argmin(dim, keepdim))

    def argmax(self, dim: int | None = None, keepdim: bool = False) -> Value:
        """Where the first largest number stands along an axis, or in the flattened array: int32."""
        rows = self.reshape(-1) if dim is None else self.movedim(dim, -1)
        found = self.graph.apply(ops.AdaptiveMaxPool2d((1, 1)), rows.reshape(-1, 1, 1, rows.shape[-1]))[1]
        kept = () if dim is None else tuple(1 if i == ops.axis(dim, self.ndim) else n for i, n in enumerate(self.shape))
        return found.reshape(kept if keepdim or dim is None else rows.shape[:-1])

    def argmin(self, dim: int | None = None, keepdim: bool = False) -> Value:
        return (-self).argmax(dim, keepdim)

    def var(self, dim: Any = None, unbiased: bool = True, keepdim: bool = False, *, correction: int | None = None) -> Value:
        """The mean square of the distance from the mean, n - 1 counted for n numbers unless unbiased=False."""
        if isinstance(dim, bool):  # x.var(False)
            dim, unbiased = None, dim
        kept = self.mean(dim, keepdim=True)
        n, lost = self.numel() // kept.numel(), int(unbiased) if correction is None else correction
        return (self - kept).square().sum(dim, keepdim) / (n - lost)

    def std(self, dim: Any = None, unbiased: bool = True, keepdim: bool = False, *, correction: int | None = None) -> Value:
        return _root(self.var(dim, unbiased, keepdim, correction=correction))

    def norm(self, p: float | str = 2, dim: Any = None, keepdim: bool = False) -> Value:
        """(sum of |x|^p)^(1/p); the largest or smallest |x| for p = inf or -inf, how many are not 0 for p = 0."""
        if p in (2, "fro"):
            return _root(self.square().sum(dim, keepdim))
        size = self.abs()
        if p in (inf, -inf):
            return size.amax(dim, keepdim) if p == inf else size.amin(dim, keepdim)
        if p == 0:
            return (size > 0).sum(dim, keepdim)
        return size.sum(dim, keepdim) if p == 1 else (size ** float(p)).sum(dim, keepdim) ** (1 / float(p))


def _is_number(item: Any) -> bool:
    """Whether something stands for numbers, and is no value itself."""
    return not isinstance(item, Arithmetic) and (isinstance(item, (int, float, np.number, np.ndarray)) or hasattr(item, "lift"))


def _root(total: Value) -> Value:
    """The square root, with the gradient 0 where it is 0: there its slope is infinite."""
    return total.clamp(min=1e-36).sqrt() * (total > 0)


def matmul(a: Any, b: Any) -> Value:
    """a @ b as in NumPy: an input of one axis is a row on the left and a column on the right, and that axis is gone after it."""
    left, right = (a if a.ndim > 1 else a.unsqueeze(0)), (b if b.ndim > 1 else b.unsqueeze(1))
    batch = ops.broadcast(left.shape[:-2], right.shape[:-2])
    left, right = (v if prod(v.shape[:-2]) in (1, prod(batch)) else v.expand(*batch, *v.shape[-2:]) for v in (left, right))
    y = a.graph.apply(ops.MatMul(), left, right)
    y = y if b.ndim > 1 else y.squeeze(-1)
    return y if a.ndim > 1 else y.squeeze(-1 if b.ndim == 1 else -2)
