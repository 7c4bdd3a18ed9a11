"""Every activation of striate.nn with its derivative, as the compiled network computes both."""

from __future__ import annotations

import numpy as np

from striate import nn
from striate.draw.plot import legend, plot
from striate.draw.svg import Drawing

NAMES = (
    "Sigmoid", "Tanh", "ReLU", "LeakyReLU", "PReLU", "ELU", "SELU", "CELU", "GELU", "SiLU", "Swish", "Mish", "Softplus",
    "Softsign", "ReLU6", "Hardtanh", "Hardsigmoid", "Hardswish", "LogSigmoid", "Softshrink", "Hardshrink", "Tanhshrink",
)  # fmt: skip
REACH, POINTS, COLUMNS = 4, 201, 4


def activations() -> Drawing:
    """f(x) and f'(x) of each activation that striate.nn has, from -4 to 4."""
    known = [name for name in NAMES if hasattr(nn, name)]
    columns = min(COLUMNS, len(known))
    drawing = Drawing(20 + 190 * columns, 66 + 178 * -(-len(known) // columns), "Activations and their derivatives")
    drawing.text(20, 28, drawing.title, size=15, weight="bold")
    legend(drawing, 20, 50, ("f(x)", "f'(x)"))
    for place, name in enumerate(known):
        left, top = 20 + 190 * (place % columns), 66 + 178 * (place // columns)
        x, y, slope = sampled(name)
        drawing.text(left + 20, top + 14, name, size=12, weight="bold")
        low, high = span(np.concatenate([y, slope]))
        plot(drawing, (left + 20, top + 22, 150, 126), x, {"f": y, "f'": slope}, low, high)
    return drawing


def sampled(name: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """x, f(x) and f'(x) of an activation by its name.

    >>> x, y, slope = sampled("Sigmoid")
    >>> float(slope.max()), float(x[slope.argmax()])
    (0.25, 0.0)
    """
    from striate.engine import vjp  # the engine reads modules, so it is looked up when it is asked for

    x = np.linspace(-REACH, REACH, POINTS, dtype=np.float32).reshape(-1, 1)
    y, pullback = vjp(getattr(nn, name)(), x)
    slope, _ = pullback(np.ones_like(y))
    return x[:, 0], y[:, 0], slope[:, 0]


def span(values: np.ndarray) -> tuple[float, float]:
    """Whole numbers, or halves, around some values, no further out than -2 and 2.

    >>> span(np.array([-0.1, 4.0]))
    (-0.5, 2.0)
    """
    low, high = np.floor(2 * values.min()) / 2, np.ceil(2 * values.max()) / 2
    return float(max(low, -2)), float(min(high, 2))
