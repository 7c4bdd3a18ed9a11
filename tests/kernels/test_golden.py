"""A few small kernels as readable text: a change of what they do shows in the diff."""

import pytest

from striate import ops
from striate.cpu.kernels.conv_direct import ConvDirect, Taps
from striate.cpu.kernels.copy import StridedCopy
from striate.cpu.kernels.gemm import Gemm
from striate.cpu.kernels.norm import Normalise, NormStatistics
from striate.cpu.kernels.pointwise import Chain
from striate.cpu.kernels.pool import AvgPool, MaxPool, MaxPoolGradient
from striate.cpu.kernels.reduce import Reduce
from striate.cpu.kernels.softmax import SoftmaxGradient
from striate.cpu.kernels.update import Sgd
from striate.kernel.machine import named
from striate.kernel.show import show
from striate.window import windows

KERNELS = {
    "conv_direct": ConvDirect(2, 4, 3, 8, 4, 3, (3, 3), Taps(3, -1, 1, 1), Taps(3, -1, 1, 1), lanes=8, pixels=3, vectors=1),
    "gemm": Gemm(7, 8, 8, 2, 1),
    "avg_pool": AvgPool(8, (6, 6), windows(2, 2)),
    "max_pool": MaxPool(8, (4, 4), windows(2, 2), tap="u8"),
    "max_pool_gradient": MaxPoolGradient(8, (4, 4), windows(3, 2, 1)),
    "norm_statistics": NormStatistics(70, 4),
    "normalise_relu": Normalise(20, Chain((), ((ops.ReLU(), (0,)),), (1,))),
    "reduce_mean": Reduce("mean", 6),
    "sgd_clipped": Sgd(clip=True),
    "softmax_gradient": SoftmaxGradient(10),
    "to_channels_last": StridedCopy((36, 3), (108, 1, 36), (108, 3, 1)),
}


@pytest.mark.parametrize("name", KERNELS)
def test_text(name, golden):
    kernel = KERNELS[name]
    golden(name, show(kernel.build, named("avx2"), kernel.arguments))
