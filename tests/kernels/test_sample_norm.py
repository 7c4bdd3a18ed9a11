"""Layer, group and local response normalisation and embedding as kernels."""

import numpy as np
import pytest
from tests.kernels.harness import check, floats, last
from tests.kernels.test_norm import moments

from striate import ops
from striate.cpu.kernels import embedding, group_norm, layer_norm, norm
from striate.cpu.kernels.local_response import LocalResponse, LocalResponseGradient
from striate.cpu.kernels.pointwise import Chain

RELU = Chain(("full",), ((ops.Add(), (0, 1)), (ops.ReLU(), (2,))), (3,))
EPS = 1e-3
ROWS = [(1, 2), (3, 5), (7, 16), (5, 33), (20, 70), (2, 300)]


def cuts(rows, parts):
    return [slice(i * rows // parts, (i + 1) * rows // parts) for i in range(parts)]


@pytest.mark.parametrize("centred", [True, False])
@pytest.mark.parametrize("rows, D", [*ROWS, (1, 1)])
def test_layer_norm(rows, D, centred):
    x, weight, bias, e = 2 + floats(rows, D), floats(D), floats(D, seed=1), floats(rows, D, seed=2)
    y, mean, variance = ops.LayerNorm(EPS, centred).reference(x, weight, bias)
    inputs, wanted = {"rows": rows, "x": x, "weight": weight, "bias": bias}, {"mean": mean, "variance": variance}
    check(layer_norm.LayerNorm(D, EPS, centred), inputs, wanted | {"y0": y})
    check(layer_norm.LayerNorm(D, EPS, centred, RELU), inputs | {"e0": e}, wanted | {"y0": np.maximum(y + e, 0)})


@pytest.mark.parametrize("centred", [True, False])
@pytest.mark.parametrize("rows, D", ROWS)
def test_layer_norm_gradient(rows, D, centred):
    x, dy, weight = 2 + floats(rows, D), floats(rows, D, seed=1), floats(D)
    _, mean, variance = ops.LayerNorm(EPS, centred).reference(x, weight, weight)
    dx, _, _ = ops.LayerNormGradient(EPS, centred).reference(dy, x, weight, mean, variance)
    xhat = (x - mean[:, None]) / np.sqrt(variance[:, None] + np.float32(EPS))
    part = np.stack([[dy[c].sum(0), (dy * xhat)[c].sum(0)] for c in cuts(rows, 4)])
    inputs = {"rows": rows, "dy": dy, "x": x, "mean": mean, "variance": variance}
    check(layer_norm.LayerNormGradient(D, EPS, centred), inputs | {"weight": weight}, {"y0": dx})
    check(layer_norm.LayerNormGradient(D, EPS, centred, 4), inputs | {"weight": weight}, {"y0": dx, "part": part})
    check(layer_norm.LayerNormColumns(D, EPS, 4), inputs, {"part": part})


def test_columns_of_several_blocks():
    rows, D = 3, 2100
    x, dy, mean, variance = floats(rows, D), floats(rows, D, seed=1), floats(rows), floats(rows, seed=1) ** 2
    xhat = (x - mean[:, None]) / np.sqrt(variance[:, None] + np.float32(EPS))
    part = np.stack([[dy[c].sum(0), (dy * xhat)[c].sum(0)] for c in cuts(rows, 2)])
    inputs = {"rows": rows, "dy": dy, "x": x, "mean": mean, "variance": variance}
    check(layer_norm.LayerNormColumns(D, EPS, 2), inputs, {"part": part}, meanings=("host", "sse2"))


SAMPLES = [(1, 4, 1, 1), (2, 5, 6, 3), (3, 7, 17, 17), (1, 50, 32, 4), (2, 3, 70, 7), (2, 9, 40, 1)]


@pytest.mark.parametrize("N, rows, C, G", SAMPLES)
def test_group_norm(N, rows, C, G):
    parts = 3
    x, weight, bias, e = 3 + floats(N, rows, C), floats(C), floats(C, seed=1), floats(N, rows, C, seed=2)
    y, mean, variance = (a.astype(np.float32) for a in ops.GroupNorm(G, EPS).reference(x.transpose(0, 2, 1), weight, bias))
    part = np.stack([moments(sample, parts) for sample in x])
    check(norm.NormStatistics(C, parts), {"N": N, "rows": rows, "x": x}, {"part": part})
    whole = part.copy()
    whole[:, 0] = np.stack([moments(sample, 1)[0] for sample in x])
    wanted = {"part": whole, "mean": mean, "variance": variance}
    check(group_norm.GroupMoments(C, G, parts), {"N": N}, wanted, start={"part": part})
    means, rstds = (np.repeat(a, C // G, 1) for a in (mean, 1 / np.sqrt(variance + np.float32(EPS))))
    check(group_norm.GroupSpread(C, G, EPS), {"N": N, "mean": mean, "variance": variance}, {"means": means, "rstds": rstds})
    inputs = {"N": N, "rows": rows, "x": x, "weight": weight, "bias": bias, "means": means, "rstds": rstds}
    check(group_norm.GroupNormalise(C), inputs, {"y0": last(y)})
    wanted = {"y0": np.maximum(last(y) + e, 0)}
    check(group_norm.GroupNormalise(C, RELU), inputs | {"e0": e}, wanted, meanings=("interpreter", "host"))


@pytest.mark.parametrize("N, rows, C, G", SAMPLES)
def test_group_norm_gradient(N, rows, C, G):
    parts, width = 3, C // G
    x, dy, weight = 3 + floats(N, rows, C), floats(N, rows, C, seed=1), floats(C)
    mean, variance = floats(N, G), floats(N, G, seed=1) ** 2 + np.float32(0.1)
    turned = x.transpose(0, 2, 1), dy.transpose(0, 2, 1)
    dx, dweight, dbias = ops.GroupNormGradient(G, EPS).reference(turned[1], turned[0], weight, mean, variance)
    means, rstds = (np.repeat(a, width, 1) for a in (mean, 1 / np.sqrt(variance + np.float32(EPS))))
    xhat = (x - means[:, None]) * rstds[:, None]
    part = np.array([[[dy[n, c].sum(0), (dy * xhat)[n, c].sum(0)] for c in cuts(rows, parts)] for n in range(N)], np.float32)
    inputs = {"N": N, "rows": rows, "x": x, "dy": dy}
    check(norm.NormGradientParts(C, parts), inputs | {"mean": means, "rstd": rstds}, {"part": part})
    whole = part.copy()
    whole[:, 0] = part.sum(1)
    sums = [np.repeat((whole[:, 0, j] * weight).reshape(N, G, width).sum(2), width, 1) / -(rows * width) for j in range(2)]
    shifts, slopes = sums[0] * rstds, sums[1] * rstds * rstds
    check(group_norm.GroupSlopes(C, G, parts), {"N": N, "rows": rows, "weight": weight, "rstds": rstds},
          {"part": whole, "slopes": slopes, "shifts": shifts}, start={"part": part})  # fmt: skip
    check(norm.NormGradientFinish(C, parts), {"N": N, "part": whole}, {"dweight": dweight, "dbias": dbias})
    given = {"weight": weight, "means": means, "rstds": rstds, "slopes": slopes, "shifts": shifts}
    check(group_norm.GroupGradient(C), inputs | given, {"y0": last(dx)})


RESPONSES = [(5, 0.4, 0.75, 1.0), (2, 0.5, 0.5, 2.0), (1, 0.3, 1.3, 1.0), (13, 1.0, 0.75, 1.0), (40, 1.0, 1.0, 1.0)]


@pytest.mark.parametrize("settings", RESPONSES, ids=str)
@pytest.mark.parametrize("rows, C", [(1, 1), (3, 5), (2, 16), (3, 17), (2, 50)])
def test_local_response_norm(rows, C, settings):
    x, dy = 2 * floats(rows, C), floats(rows, C, seed=1)
    y = ops.LocalResponseNorm(*settings).reference(x)
    dx = ops.LocalResponseNormGradient(*settings).reference(dy, x)
    check(LocalResponse(C, *settings), {"rows": rows, "x": x}, {"y0": y})
    check(LocalResponseGradient(C, *settings), {"rows": rows, "x": x, "dy": dy}, {"y0": dx})
    wanted = {"y0": np.maximum(y + dy, 0)}
    check(LocalResponse(C, *settings, RELU), {"rows": rows, "x": x, "e0": dy}, wanted, meanings=("interpreter", "host"))


def test_response_of_nothing():
    """Where k is 0 and a window holds only zeros, its gradient does not spoil the neighbours'."""
    x = np.zeros((1, 9), np.float32)
    x[0, 8] = 2
    kernel = LocalResponseGradient(9, 3, 3.0, 0.5, 0.0)
    dy = np.ones_like(x)
    dy[0, :7] = 0
    wanted = ops.LocalResponseNormGradient(3, 3.0, 0.5, 1e-30).reference(dy.astype(np.float64), x.astype(np.float64))
    wanted[0, :7] = 0
    check(kernel, {"rows": 1, "x": x, "dy": dy}, {"y0": wanted.astype(np.float32)}, meanings=("interpreter", "host"))


@pytest.mark.parametrize("rows, V, D", [(1, 1, 1), (7, 3, 5), (20, 4, 16), (5, 9, 33), (9, 2, 70), (4, 5, 256)])
def test_embedding(rows, V, D):
    index, weight, dy = np.random.default_rng(0).integers(V, size=rows), floats(V, D), floats(rows, D, seed=1)
    wrong = index.copy()
    wrong[0] = V
    y = weight[index]
    check(embedding.Embedding(V, D), {"rows": rows, "index": index, "weight": weight}, {"y": y}, 0.0)
    y[0] = np.nan
    check(embedding.Embedding(V, D), {"rows": rows, "index": wrong, "weight": weight}, {"y": y}, 0.0)
    dweight = ops.EmbeddingGradient(V).reference(dy, index)
    check(embedding.EmbeddingGradient(V, D), {"rows": rows, "dy": dy, "index": index}, {"dweight": dweight})
    dweight = ops.EmbeddingGradient(V).reference(dy[1:], index[1:])
    dweight[V - 1] = 0
    check(embedding.EmbeddingGradient(V, D, V - 1), {"rows": rows, "dy": dy, "index": wrong}, {"dweight": dweight})
