"""Matrix products with packed weights, and what packs, turns and adds them."""

import numpy as np
import pytest
from tests.kernels.harness import MACHINES, check, floats

from striate import ops
from striate.cpu.kernels.gemm import Gemm, GemmUpdate, GemmWeights
from striate.cpu.kernels.pack import AddParts, PackWeights, TurnWeights, UnpackWeights
from striate.cpu.kernels.pointwise import Chain
from striate.cpu.kernels.update import Adam, Sgd
from striate.cpu.layout import Packed
from striate.kernel.language import narrow

SIZES = [(1, 1, 1), (3, 5, 17), (13, 7, 33), (30, 40, 24), (20, 3, 64), (9, 6, 99), (10, 4, 62)]  # M, C, K
each = pytest.mark.parametrize(("M", "C", "K"), SIZES)
each_machine = pytest.mark.parametrize("meaning", MACHINES)
FORMS = [Packed(1, 5, 3, 1, 1, 4), Packed(2, 6, 5, 3, 2, 4), Packed(1, 17, 9, 2, 2, 8), Packed(3, 1, 4, 3, 3, 1)]


def form_of(C: int, K: int, meaning: str) -> Packed:
    return Packed(1, K, C, 1, 1, narrow(K, MACHINES[meaning].lanes))


@each_machine
@each
@pytest.mark.parametrize("block", [1, 2])
def test_product(M, C, K, meaning, block):
    x, w, form = floats(M, C), floats(K, C, seed=1), form_of(C, K, meaning)
    check(Gemm(C, K, form.lanes, 4, 2, block), {"M": M, "x": x, "w": form.pack(w)}, {"y0": x @ w.T}, meanings=(meaning,))


@each_machine
@pytest.mark.parametrize("M", range(1, 9))
def test_fewer_rows_than_a_tile(M, meaning):
    x, w, form = floats(M, 6), floats(20, 6, seed=1), form_of(6, 20, meaning)
    check(Gemm(6, 20, form.lanes, 8, 2), {"M": M, "x": x, "w": form.pack(w)}, {"y0": x @ w.T}, meanings=(meaning,))


@each_machine
@each
def test_sum_at_the_end(M, C, K, meaning):
    """What is added is asked for before the tile begins."""
    x, w, other, form = floats(M, C), floats(K, C, seed=1), floats(M, K, seed=2), form_of(C, K, meaning)
    kernel = Gemm(C, K, form.lanes, 4, 2, chain=Chain(("full",), ((ops.Add(), (0, 1)),), (2,)))
    check(kernel, {"M": M, "x": x, "w": form.pack(w), "e0": other}, {"y0": x @ w.T + other}, meanings=(meaning,))


@each_machine
@each
@pytest.mark.parametrize("parts", [1, 3])
def test_weights(M, C, K, meaning, parts):
    x, dy, form = floats(M, C), floats(M, K, seed=1), form_of(C, K, meaning)
    cuts = [slice(M * i // parts, M * (i + 1) // parts) for i in range(parts)]
    wanted = np.stack([form.pack(dy[c].T @ x[c]) for c in cuts])
    check(GemmWeights(C, K, form.lanes, 4, 2, 8, parts), {"M": M, "x": x, "dy": dy}, {"dw": wanted}, meanings=(meaning,))


@each_machine
@each
def test_weight_gradient_that_ends_in_the_update(M, C, K, meaning):
    x, dy, form = floats(M, C), floats(M, K, seed=1), form_of(C, K, meaning)
    parameter, first, second = (form.pack(floats(K, C, seed=i)) for i in (2, 3, 4))
    gradient, second = form.pack(dy.T @ x), np.abs(second)
    sgd, adam = np.array([0.1, 0.9, 0.8, 0.01], np.float32), np.array([0.1, 0.9, 0.99, 1e-4, 0.01, 2.0, 3.0], np.float32)
    both = {"mean": first, "square": second}
    for update, states, hyper, wanted in (
        (Sgd(plain=True), {}, sgd, [ops.SgdPlainUpdate().reference(parameter, gradient, sgd)]),
        (Sgd(True), {"momentum_buffer": first}, sgd, ops.SgdUpdate(True).reference(parameter, gradient, first, sgd)),
        (Adam(), both, adam, ops.AdamUpdate(False).reference(parameter, gradient, first, second, adam)),
    ):
        inputs = {"M": M, "x": x, "dy": dy, "parameter": parameter, "hyper": hyper, **states}
        kernel = GemmUpdate(C, K, form.lanes, 4, 2, update=update)
        check(kernel, inputs, dict(zip(("parameter", *states), wanted, strict=True)), meanings=(meaning,))


@pytest.mark.parametrize("form", FORMS, ids=str)
@pytest.mark.parametrize("turned", [False, True])
def test_packing(form, turned):
    form = Packed(form.groups, form.K, form.C, form.R, form.S, form.lanes, turned)
    w = floats(form.groups * form.K, form.C, form.R, form.S)
    check(PackWeights(form), {"plain": w}, {"packed": form.pack(w)})
    check(UnpackWeights(form), {"packed": form.pack(w)}, {"plain": w})


@pytest.mark.parametrize("form", FORMS, ids=str)
@pytest.mark.parametrize("lanes", [1, 4, 8])
def test_turning(form, lanes):
    kernel, w = TurnWeights(form, lanes), floats(form.groups * form.K, form.C, form.R, form.S)
    # lanes of the forward form past its channels hold zero, and the turned form has no channel there
    check(kernel, {"packed": form.pack(w)}, {"turned": kernel.turned.pack(w)})


@pytest.mark.parametrize("size", [1, 7, 16, 37])
def test_parts_are_added_in_their_order(size):
    part = floats(5, size)
    total = part[0]
    for i in range(1, 5):
        total = total + part[i]
    check(AddParts(5), {"size": size, "part": part}, {"y": total}, rtol=0)
