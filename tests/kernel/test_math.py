"""Elementary functions: units in the last place against float64, and the values at the edges."""

import math as functions
from dataclasses import dataclass

import numpy as np
import pytest
from tests.kernels.harness import MACHINES, run

from striate.cpu.kernels.base import Kernel
from striate.kernel import math

FUNCTIONS = {  # reference, greatest error in units in the last place
    "exp": (np.exp, 1.5), "log": (np.log, 1.5), "tanh": (np.tanh, 5), "sigmoid": (lambda x: 1 / (1 + np.exp(-x)), 3),
    "expm1": (np.expm1, 2), "log1p": (np.log1p, 2), "softplus": (lambda x: np.logaddexp(0, x), 3),
    "erf": (np.vectorize(functions.erf), 2),
}  # fmt: skip
POSITIVE = ("log", "log1p")


@dataclass(frozen=True)
class Apply(Kernel):
    """One function over an array."""

    function: str
    arguments = ("size", "x", "y")

    def build(self, k):
        size = k.int("size")
        x, y = k.tensor("x", (size,)), k.tensor("y", (size,))
        for i in k.share((size + (k.lanes - 1)) // k.lanes):
            count = k.min(size - i * k.lanes, k.lanes)
            y.store(self.apply(k, x.vec(i * k.lanes, lanes=k.lanes, count=count)), i * k.lanes, count=count)

    def apply(self, k, x):
        return getattr(math, self.function)(k, x)


def apply(name: str, x: np.ndarray, meaning: str) -> np.ndarray:
    y = np.zeros_like(x)
    run(Apply(name), {"size": x.size, "x": x, "y": y}, meaning)
    return y


@pytest.mark.parametrize("meaning", MACHINES)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_accuracy(name, meaning):
    few = 997 if meaning == "interpreter" else 100_003
    x = np.logspace(-37, 38, few, dtype=np.float32) if name in POSITIVE else np.linspace(-87, 88, few, dtype=np.float32)
    x = np.concatenate([x, x if name in POSITIVE else np.linspace(-2, 2, few, dtype=np.float32)])
    function, most = FUNCTIONS[name]
    exact = function(x.astype(np.float64))
    units = np.abs(apply(name, x, meaning) - exact) / np.spacing(np.abs(exact).astype(np.float32))
    assert units.max() <= most


@dataclass(frozen=True)
class NormalTail(Apply):
    """The share of a standard normal distribution above x."""

    def apply(self, k, x):
        share, density = math.normal_tail(k, x)
        return share * density


@pytest.mark.parametrize("meaning", MACHINES)
def test_normal_tail(meaning):
    """To 5e-7 of the value; far out e^(-x^2/2) loses what rounding x^2 does, x^2/2 units."""
    x = np.linspace(0, 13, 997 if meaning == "interpreter" else 100_003, dtype=np.float32)
    exact = np.vectorize(lambda v: 0.5 * functions.erfc(v / functions.sqrt(2)))(x.astype(np.float64))
    y = np.zeros_like(x)
    run(NormalTail("normal_tail"), {"size": x.size, "x": x, "y": y}, meaning)
    assert (np.abs(y - exact) / exact / np.maximum(9, x * x)).max() <= 2**-24


@pytest.mark.parametrize("meaning", MACHINES)
@pytest.mark.parametrize("name, function", [("sin", np.sin), ("cos", np.cos)])
def test_waves(name, function, meaning):
    """Beside 1, their greatest value: near a zero of theirs x itself is rounded."""
    x = np.linspace(-8000, 8000, 997 if meaning == "interpreter" else 100_003, dtype=np.float32)
    assert np.abs(apply(name, x, meaning) - function(x.astype(np.float64))).max() <= 2e-7


@pytest.mark.parametrize("meaning", MACHINES)
def test_edges(meaning):
    x = np.array([0, -0.0, np.inf, -np.inf, np.nan, 200, -200], np.float32)
    for name, wanted in {
        "exp": [1, 1, np.inf, 0, np.nan, np.inf, 0],
        "log": [-np.inf, -np.inf, np.inf, np.nan, np.nan, np.log(200), np.nan],
        "tanh": [0, 0, 1, -1, np.nan, 1, -1],
        "sigmoid": [0.5, 0.5, 1, 0, np.nan, 1, 0],
        "expm1": [0, 0, np.inf, -1, np.nan, np.inf, -1],
        "erf": [0, 0, 1, -1, np.nan, 1, -1],
    }.items():
        np.testing.assert_allclose(apply(name, x, meaning), np.array(wanted, np.float32), rtol=3e-7, err_msg=name)
