"""Parameter updates in place, and the norm that clips gradients."""

import numpy as np
import pytest
from tests.kernels.harness import check, floats

from striate import ops
from striate.cpu.kernels.update import Adam, ClipScale, NormFromParts, Sgd, SquareParts

SIZES = [1, 15, 16, 100]
SGD = np.array([0.1, 0.9, 0.8, 0.01], np.float32)
ADAM = np.array([0.1, 0.9, 0.99, 1e-4, 0.01, 2.0, 3.0], np.float32)


def arguments(rows, clip, *states):
    """Parameters, gradient, state, and the gradient after clipping."""
    names = ("parameter", "gradient", *states)
    arrays = {name: floats(rows, seed=i) for i, name in enumerate(names)}
    scale = {"scale": np.array([0.5], np.float32)} if clip else {}
    return arrays, scale, arrays["gradient"] * (0.5 if clip else 1)


@pytest.mark.parametrize("rows", SIZES)
@pytest.mark.parametrize("clip", [False, True])
def test_sgd(rows, clip):
    arrays, scale, gradient = arguments(rows, clip, "momentum_buffer")
    parameter, buffer = arrays["parameter"], arrays["momentum_buffer"]
    for nesterov in (False, True):
        moved, kept = ops.SgdUpdate(nesterov).reference(parameter, gradient, buffer, SGD)
        inputs = {"rows": rows, "hyper": SGD} | arrays | scale
        check(Sgd(nesterov, clip=clip), inputs, {"parameter": moved, "momentum_buffer": kept})
    del inputs["momentum_buffer"]
    check(Sgd(plain=True, clip=clip), inputs, {"parameter": ops.SgdPlainUpdate().reference(parameter, gradient, SGD)})


@pytest.mark.parametrize("rows", SIZES)
@pytest.mark.parametrize("decoupled", [False, True])
@pytest.mark.parametrize("clip", [False, True])
def test_adam(rows, decoupled, clip):
    arrays, scale, gradient = arguments(rows, clip, "mean", "square")
    arrays["square"] = np.abs(arrays["square"])
    wanted = ops.AdamUpdate(decoupled).reference(arrays["parameter"], gradient, arrays["mean"], arrays["square"], ADAM)
    inputs = {"rows": rows, "hyper": ADAM} | arrays | scale
    check(Adam(decoupled, clip), inputs, dict(zip(("parameter", "mean", "square"), wanted)))


@pytest.mark.parametrize("rows", [3, 1000])
def test_norm(rows):
    x = floats(rows)
    squares = np.array([(x[i * rows // 4: (i + 1) * rows // 4] ** 2).sum() for i in range(4)], np.float32)
    check(SquareParts(4), {"rows": rows, "x": x}, {"part": squares})
    both = np.concatenate([squares, squares[:3]])
    check(NormFromParts(7), {"part": both}, {"norm": np.sqrt(both.sum(keepdims=True))})


@pytest.mark.parametrize(("norm", "scale"), [(0.5, 1.0), (4.0, 0.5), (0.0, 1.0), (np.nan, np.nan), (np.inf, 0.0)])
def test_clip_scale(norm, scale):
    check(ClipScale(2.0), {"norm": np.array([norm], np.float32)}, {"scale": np.array([scale], np.float32)})
