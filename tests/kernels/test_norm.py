"""Batch normalisation: statistics in parts, the pass that normalises, and the gradient."""

import numpy as np
import pytest
from tests.kernels.harness import check, floats

from striate import ops
from striate.cpu.kernels import norm
from striate.cpu.kernels.pointwise import Chain

SIZES = [(1, 3), (3, 1), (9, 6), (50, 17), (8, 32), (19, 100)]
RELU = Chain(("full",), ((ops.Add(), (0, 1)), (ops.ReLU(), (2,))), (3,))


def moments(x, parts):
    """(parts, 3, C): count, mean, sum of squared deviations of each part."""
    cuts = [x[i * len(x) // parts: (i + 1) * len(x) // parts].astype(np.float64) for i in range(parts)]
    none = 0 * x[0]
    found = [[none + len(c), c.mean(0), ((c - c.mean(0)) ** 2).sum(0)] if len(c) else [none] * 3 for c in cuts]
    return np.array(found, np.float32)


@pytest.mark.parametrize(("rows", "C"), SIZES)
def test_statistics(rows, C):
    x = floats(rows, C) * 3 + 1
    part = moments(x, 4)
    check(norm.NormStatistics(C, 4), {"N": 1, "rows": rows, "x": x}, {"part": part})
    mean, variance = x.mean(0), x.var(0)
    wanted = {"mean": mean, "variance": variance, "rstd": 1 / np.sqrt(variance + np.float32(1e-3))}
    check(norm.NormFinish(C, 4, 1e-3), {"part": part}, wanted)


def test_statistics_far_from_zero():
    """A mean a thousand times the deviation, and a first row that is an outlier."""
    x = floats(200, 5) + 1000
    x[0] = -5000
    wanted = moments(x, 2)
    check(norm.NormStatistics(5, 2), {"N": 1, "rows": 200, "x": x}, {"part": wanted})
    exact = x.astype(np.float64)
    moments_of_all = {"mean": exact.mean(0), "variance": exact.var(0), "rstd": 1 / exact.std(0)}
    check(norm.NormFinish(5, 2, 0.0), {"part": wanted}, {name: v.astype(np.float32) for name, v in moments_of_all.items()})


def given(rows, C):
    """x and the numbers of each channel."""
    names = ("weight", "bias", "mean", "variance")
    arrays = {name: floats(C, seed=i) for i, name in enumerate(names)}
    arrays["variance"] = np.abs(arrays["variance"]) + np.float32(0.1)
    return floats(rows, C), arrays


@pytest.mark.parametrize(("rows", "C"), SIZES)
def test_normalise(rows, C):
    x, arrays = given(rows, C)
    y = ops.BatchNormInference(1e-3).reference(x, **arrays)
    rstd, e = 1 / np.sqrt(arrays.pop("variance") + np.float32(1e-3)), floats(rows, C, seed=1)
    check(norm.Normalise(C, RELU), {"rows": rows, "x": x, **arrays, "rstd": rstd, "e0": e}, {"y0": np.maximum(y + e, 0)})


@pytest.mark.parametrize(("rows", "C"), SIZES)
def test_gradient(rows, C):
    x, arrays = given(rows, C)
    dy = floats(rows, C, seed=2)
    eps = np.float32(1e-3)
    rstd = 1 / np.sqrt(arrays["variance"] + eps)
    xhat = (x - arrays["mean"]) * rstd
    cuts = [slice(i * rows // 4, (i + 1) * rows // 4) for i in range(4)]
    part = np.stack([[dy[c].sum(0), (dy * xhat)[c].sum(0)] for c in cuts])
    inputs = {"rows": rows, "x": x, "dy": dy, "mean": arrays["mean"], "rstd": rstd}
    check(norm.NormGradientParts(C, 4), {"N": 1, **inputs}, {"part": part})
    dx, dweight, dbias = ops.BatchNormGradient(1e-3).reference(dy, x, arrays["weight"], arrays["mean"], arrays["variance"])
    check(norm.NormGradientFinish(C), {"N": 4, "part": part}, {"dweight": dweight, "dbias": dbias})
    inputs |= {"weight": arrays["weight"], "dweight": dweight, "dbias": dbias}
    check(norm.NormGradient(C), inputs, {"y0": dx})
    check(norm.NormGradient(C, RELU), inputs | {"e0": x}, {"y0": np.maximum(dx + x, 0)}, meanings=("interpreter", "host"))
