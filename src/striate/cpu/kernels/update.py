"""Parameter updates in place, over flat ranges of many parameters or behind a gradient's kernel, and the norm that clips.

    sgd     g = scale * gradient + weight_decay * parameter      hyper = (lr, momentum, 1 - dampening, weight_decay)
            m = momentum * m + (1 - dampening) * g
            parameter -= lr * m            nesterov: lr * (g + momentum * m)            plain: lr * g
    adam    g as above, but without weight decay where it is decoupled: parameter *= 1 - lr * weight_decay
            mean = beta1 * mean + (1 - beta1) * g        hyper = (lr, beta1, beta2, eps, weight_decay,
            square = beta2 * square + (1 - beta2) * g*g           1 / (1 - beta1^t), 1 / sqrt(1 - beta2^t))
            parameter -= lr * mean / (1 - beta1^t) / (sqrt(square) / sqrt(1 - beta2^t) + eps)
    norm    part[i] = sum of squares of a fixed part;  norm = sqrt(sum of parts)
    scale   min(1, max_norm / (norm + 1e-6)); without clip, scale is 1

Layouts   parameter, gradient and state (rows), one after the other
Sources: Sutskever et al., ICML 2013; Kingma & Ba, arXiv:1412.6980; Loshchilov & Hutter, arXiv:1711.05101; Pascanu et al.,
arXiv:1211.5063, algorithm 1.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

from striate.cpu.kernels.base import Kernel
from striate.cpu.kernels.loops import elements
from striate.cpu.kernels.reduce import fold
from striate.kernel.language import Builder, IntLike, Num
from striate.kernel.sharing import part_of


class Update(Kernel):
    """What the updates share: state arrays, hyper-parameters in every lane, and the gradient's scale where it is clipped."""

    clip: bool
    hypers: ClassVar[int]
    """How many numbers `hyper` holds."""

    @property
    def states(self) -> tuple[str, ...]:
        raise NotImplementedError

    @property
    def places(self) -> tuple[str, ...]:
        """The arguments beside rows and gradient."""
        return ("parameter", *self.states, "hyper", *(("scale",) if self.clip else ()))

    @property
    def arguments(self) -> tuple[str, ...]:
        return ("rows", "gradient", *self.places)

    def build(self, k: Builder) -> None:
        rows = k.int("rows")
        gradient, finish = k.tensor("gradient", (rows,)), self.bind(k, (rows,), k.lanes)
        for i, count in elements(k, rows):
            finish(gradient.vec(i, lanes=k.lanes, count=count), i, count=count)

    def bind(self, k: Builder, shape: Sequence[IntLike], lanes: int) -> Callable[..., None]:
        """`finish(gradient, *index, count=None)` for parameters of this shape: updates a vector of them."""
        arrays = [k.tensor(name, shape) for name in ("parameter", *self.states)]
        numbers = k.tensor("hyper", (self.hypers,))
        hyper = [k.splat(numbers[i], lanes) for i in range(self.hypers)]
        scale = k.splat(k.tensor("scale", (1,))[0], lanes) if self.clip else None

        def finish(gradient: Num, *index: IntLike, count: IntLike | None = None) -> None:
            values = [array.vec(*index, lanes=lanes, count=count) for array in arrays]
            results = self.step(k, hyper, gradient if scale is None else gradient * scale, *values)
            for array, value in zip(arrays, results, strict=True):
                array.store(value, *index, count=count)

        return finish

    def step(self, k: Builder, hyper: Sequence[Num], gradient: Num, parameter: Num, *states: Num) -> tuple[Num, ...]:
        """The new parameter and states."""
        raise NotImplementedError


@dataclass(frozen=True)
class Sgd(Update):
    """plain: without momentum. Arguments: momentum_buffer unless plain; scale if clip."""

    nesterov: bool = False
    plain: bool = False
    clip: bool = False
    hypers = 4

    @property
    def states(self) -> tuple[str, ...]:
        return () if self.plain else ("momentum_buffer",)

    def step(self, k: Builder, hyper: Sequence[Num], gradient: Num, parameter: Num, *states: Num) -> tuple[Num, ...]:
        lr, momentum, fresh, weight_decay = hyper
        d = k.fma(weight_decay, parameter, gradient)
        if self.plain:
            return (parameter - lr * d,)
        buffer = k.fma(momentum, states[0], fresh * d)
        step = k.fma(momentum, buffer, d) if self.nesterov else buffer
        return parameter - lr * step, buffer


@dataclass(frozen=True)
class Adam(Update):
    """decoupled: AdamW."""

    decoupled: bool = False
    clip: bool = False
    hypers = 7

    @property
    def states(self) -> tuple[str, ...]:
        return ("mean", "square")

    def step(self, k: Builder, hyper: Sequence[Num], gradient: Num, parameter: Num, *states: Num) -> tuple[Num, ...]:
        lr, beta1, beta2, eps, weight_decay, unbias, unbias_root = hyper
        keep, rate = 1.0 - lr * weight_decay, lr * unbias
        mean, square = states
        if self.decoupled:
            parameter, d = parameter * keep, gradient
        else:
            d = k.fma(weight_decay, parameter, gradient)
        mean = k.fma(beta1, mean, (1.0 - beta1) * d)
        square = k.fma(beta2, square, (1.0 - beta2) * d * d)
        root = k.fma(k.unary("sqrt", square), unbias_root, eps)
        return parameter - rate * mean / root, mean, square


@dataclass(frozen=True)
class SquareParts(Kernel):
    """x (rows) -> part (parts): sums of squares of fixed parts."""

    parts: int

    @property
    def arguments(self) -> tuple[str, ...]:
        return ("rows", "x", "part")

    def build(self, k: Builder) -> None:
        rows = k.int("rows")
        x, part = k.tensor("x", (rows,)), k.tensor("part", (self.parts,))

        def square(i: IntLike, count: IntLike | None) -> Num:
            value = x.vec(i, lanes=k.lanes, count=count)
            return value * value

        for i in k.share(self.parts):
            part.store(fold(k, "sum", *part_of(i, self.parts, rows), square), i)


@dataclass(frozen=True)
class NormFromParts(Kernel):
    """part (parts), of one range or of several -> norm."""

    parts: int

    @property
    def arguments(self) -> tuple[str, ...]:
        return ("part", "norm")

    def build(self, k: Builder) -> None:
        part = k.tensor("part", (self.parts,))
        for _ in k.when(k.int_compare("eq", k.thread, 0)):
            total = fold(k, "sum", 0, self.parts, lambda i, count: part.vec(i, lanes=k.lanes, count=count))
            k.tensor("norm", (1,)).store(k.unary("sqrt", total), 0)


@dataclass(frozen=True)
class ClipScale(Kernel):
    """norm -> scale."""

    max_norm: float

    @property
    def arguments(self) -> tuple[str, ...]:
        return ("norm", "scale")

    def build(self, k: Builder) -> None:
        for _ in k.when(k.int_compare("eq", k.thread, 0)):
            ratio = self.max_norm / (k.tensor("norm", (1,))[0] + 1e-6)
            k.tensor("scale", (1,)).store(k.minimum(k.constant(1.0), ratio), 0)  # NaN stays NaN
