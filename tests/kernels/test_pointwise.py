"""Elementwise chains over whole arrays: every operator, NumPy's broadcasting, several outputs, random masks."""

import numpy as np
import pytest
from tests.kernels.harness import MACHINES, check, floats, run

from striate import ops
from striate.cpu.kernels.activation import SLOPES
from striate.cpu.kernels.pointwise import EMIT, Chain, Pointwise, PointwiseTotal

LINE = (True,)
CURVES = [ops.LeakyReLU(0.1), ops.ELU(0.7, 1.2, 0.5), ops.SiLU(1.5), ops.GELU(), ops.GELU("tanh"), ops.Mish(),
          ops.Softplus(2.0, 3.0), ops.LogSigmoid(), ops.Softsign(), ops.Tanhshrink(), ops.Hardtanh(-0.5, 2.0), ops.Hardsigmoid(),
          ops.Hardswish(), ops.Shrink(0.5, 0.5), ops.Shrink(0.5), ops.Threshold(0.1, -2.0), ops.Clamp(-1.0), ops.Erf(), ops.Sin(),
          ops.Cos(), ops.Huber(0.7)]
UNARY = [ops.Negate(), ops.Abs(), ops.Round(), ops.Exp(), ops.ReLU(), ops.Tanh(), ops.Sigmoid(), ops.Power(2.0), ops.Power(-3.0),
         *CURVES]
POSITIVE = [ops.Log(), ops.Power(0.5), ops.Power(-0.5), ops.Power(1.7), ops.Power(0.0)]
BINARY = [ops.Add(), ops.Subtract(), ops.Multiply(), ops.Divide(), ops.AbsGradient(), ops.ReLUGradient(), ops.TanhGradient(),
          ops.SigmoidGradient(), ops.Maximum(), ops.Minimum(), *map(ops.Compare, ("gt", "ge", "lt", "le", "eq", "ne")),
          ops.PReLU(), *map(ops.CurveGradient, CURVES)]
TERNARY = [ops.Where(), ops.PReLUGradient()]
OWN = {ops.Dropout, ops.RReLU, ops.RReLUGradient, ops.BinaryCrossEntropy, ops.BinaryCrossEntropyGradient}
"""Operators with tests of their own."""


def close_to(op, *arrays):
    """The operator in float64, rounded."""
    with np.errstate(all="ignore"):
        return np.asarray(op.reference(*(a.astype(np.float64) for a in arrays))).astype(np.float32)


def test_every_elementwise_operator_is_here():
    assert {type(op) for op in (*UNARY, *POSITIVE, *BINARY, *TERNARY)} | OWN == set(EMIT)
    assert {type(f) for f in CURVES} == set(SLOPES)


@pytest.mark.parametrize("op", [*UNARY, *POSITIVE], ids=repr)
def test_unary(op):
    x = 3 * floats(53)
    x = np.abs(x) + np.float32(0.01) if op in POSITIVE else x
    check(Pointwise(Chain(("full",), ((op, (1,)),), (2,)), (), (LINE,)), {"rows": 53, "e0": x}, {"y0": close_to(op, x)}, 1e-6)


@pytest.mark.parametrize("op", BINARY, ids=repr)
def test_binary(op):
    a, b = floats(37), 2 * floats(37, seed=1)
    b[::7] = a[::7]
    kernel = Pointwise(Chain(("full", "full"), ((op, (1, 2)),), (3,)), (), (LINE, LINE))
    check(kernel, {"rows": 37, "e0": a, "e1": b}, {"y0": close_to(op, a, b)}, 1e-6)


def apply(op, inputs):
    """What a kernel of this operator alone must make of its inputs."""
    kinds = tuple("random" if x.dtype == np.int64 else "full" for x in inputs)
    varies = tuple(LINE if kind == "full" else (False,) for kind in kinds)
    chain = Chain(kinds, ((op, tuple(range(1, len(inputs) + 1))),), (len(inputs) + 1,))
    return Pointwise(chain, (), varies), {"rows": inputs[0].size} | {f"e{i}": x for i, x in enumerate(inputs)}


@pytest.mark.parametrize("op", TERNARY, ids=repr)
def test_ternary(op):
    arrays = np.round(floats(37)), floats(37, seed=1), floats(37, seed=2)
    check(*apply(op, arrays), {"y0": close_to(op, *arrays)}, 1e-6)


@pytest.mark.parametrize("op", [ops.RReLU(0.1, 0.4, 3), ops.RReLUGradient(0.1, 0.4, 3)], ids=repr)
def test_random_slopes(op):
    arrays = *(floats(37, seed=i) for i in range(len(op.inputs) - 1)), np.array([2**33 + 7, 12], np.int64)
    wanted = op.reference(*(a.astype(np.float64) if a.dtype == np.float32 else a for a in arrays))
    check(*apply(op, arrays), {"y0": wanted.astype(np.float32)}, 1e-6)


def test_binary_cross_entropy():
    x, t = (0.5 + 0.49 * np.tanh(floats(37, seed=i)) for i in range(2))
    x[:4], t[:4] = [0, 1, 0, 1], [0, 1, 1, 0]
    check(*apply(ops.BinaryCrossEntropy(), (x, t)), {"y0": close_to(ops.BinaryCrossEntropy(), x, t)}, 1e-6)
    gradient, dy = ops.BinaryCrossEntropyGradient(), floats(37)
    check(*apply(gradient, (dy[4:], x[4:], t[4:])), {"y0": close_to(gradient, dy[4:], x[4:], t[4:])}, 1e-5)


EDGES = [*CURVES, ops.Exp(), ops.Log(), ops.Tanh(), ops.Sigmoid(), ops.ReLU(), ops.Abs(), ops.Power(0.5)]


@pytest.mark.parametrize("op", EDGES, ids=repr)
def test_the_edges_of_float32(op):
    tiny = np.finfo(np.float32).tiny
    if isinstance(op, (ops.Sin, ops.Cos)):
        pytest.skip("their range ends at 8000")
    x = np.array([0, -0.0, 1, -1, np.inf, -np.inf, np.nan, 1e30, -1e30, 88.7, -87.3, 100, -100, tiny, 1e-30], np.float32)
    wanted = close_to(op, np.clip(x, -1e30, 1e30) if isinstance(op, ops.Tanh) else x)
    if op == ops.GELU():
        wanted[x == -np.inf] = 0  # the limit, where x * Phi(x) is infinity * 0
    for meaning in MACHINES:
        y = np.empty_like(x)
        run(Pointwise(Chain(("full",), ((op, (1,)),), (2,)), (), (LINE,)), {"rows": x.size, "e0": x, "y0": y}, meaning)
        np.testing.assert_allclose(y, wanted, 1e-6, np.finfo(np.float32).tiny, err_msg=meaning)


def test_a_chain_keeps_what_it_is_told():
    """One read of each operand, two results; scalars and constants."""
    a, b, s = floats(40), floats(40, seed=1), floats(1)
    steps = (ops.Add(), (1, 2)), (ops.Multiply(), (5, 3)), (ops.Subtract(), (6, 4))
    chain = Chain(("full", "full", "scalar", 2.0), steps, (5, 7))
    kernel = Pointwise(chain, (), (LINE, LINE, (False,), (False,)))
    check(kernel, {"rows": 40, "e0": a, "e1": b, "e2": s}, {"y0": a + b, "y1": (a + b) * s - 2}, 1e-6)


@pytest.mark.parametrize("last", [1, 3, 16, 21])
@pytest.mark.parametrize("varies", [(True, True, False), (False, False, True), (True, False, True), (False, True, False)])
def test_broadcasting(last, varies):
    shape = (2, 3, last)
    a = floats(*shape)
    b = floats(*(n if v else 1 for n, v in zip(shape, varies)), seed=1)
    chain = Chain(("full", "full"), ((ops.Subtract(), (1, 2)),), (3,))
    kernel = Pointwise(chain, shape[1:], ((True,) * 3, varies))
    check(kernel, {"rows": 2, "e0": a, "e1": b}, {"y0": a - b}, 0.0)


@pytest.mark.parametrize("p", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("rows", [5, 100])
def test_dropout_draws_the_reference_mask(rows, p):
    op, x, random = ops.Dropout(p, 3), floats(rows), np.array([2**33 + 7, 12], np.int64)
    kernel = Pointwise(Chain(("full", "random"), ((op, (1, 2)),), (3,)), (), (LINE, (False,)))
    check(kernel, {"rows": rows, "e0": x, "e1": random}, {"y0": op.reference(x, random)}, 1e-6)


@pytest.mark.parametrize("meaning", MACHINES)
@pytest.mark.parametrize("size", [1, 5, 16, 53, 200])
@pytest.mark.parametrize("stored", [(), (3,)])
def test_total(size, stored, meaning):
    """Parts are whole vectors, so where they end depends on the machine; what is left over has a sum of its own."""
    a, b, parts, lanes = floats(size), floats(size, seed=1), 3, MACHINES[meaning].lanes
    chain = Chain(("full", "full"), ((ops.Subtract(), (1, 2)), (ops.Multiply(), (3, 3))), stored)
    whole = size // lanes
    cuts = [whole * i // parts * lanes for i in range(parts + 1)]
    square = (a - b) ** 2
    part = np.array([square[i:j].sum() for i, j in zip(cuts, [*cuts[1:], size], strict=True)], np.float32)
    check(PointwiseTotal(chain, (), (LINE, LINE), 4, parts), {"rows": size, "e0": a, "e1": b},
          {"part": part} | ({"y0": a - b} if stored else {}), meanings=(meaning,))
