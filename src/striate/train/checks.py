"""What a batch must be before it is trained on, and what to say when the loss is no longer a number."""

from __future__ import annotations

import numpy as np

from striate.errors import DataError, StriateError
from striate.train.metrics import is_labels


class TrainingError(StriateError, ArithmeticError):
    """A training whose loss is NaN or infinite."""


def check_batch(x: np.ndarray, y: np.ndarray, place: str) -> None:
    """Refuse batches without items, and x and y of different lengths. `place` is such as 'batch 3'."""
    if len(x) != len(y):
        raise DataError(f"{place}: x has {len(x)} items but y has {len(y)}; give one y for every x")
    if len(x) == 0:
        raise DataError(f"{place} has no items, shape {x.shape}; leave empty batches out")


def check_labels(y: np.ndarray, output: tuple[int, ...], ignore_index: int, place: str) -> None:
    """Refuse targets that are NaN or infinite, and labels outside 0 ... C - 1 for outputs of shape (N, C, ...)."""
    if y.dtype.kind == "f":
        if not np.isfinite(y).all():
            index, value = _first(y, ~np.isfinite(y))
            raise DataError(f"{place}: y{index} is {value}; remove the item or mend its label")
    elif is_labels(output, y) and (y.min() < 0 or y.max() >= output[1]):
        wrong = ((y < 0) | (y >= output[1])) & (y != ignore_index)
        if wrong.any():
            index, value = _first(y, wrong)
            mend = f"{value + 1} outputs" if value >= 0 else f"labels from 0 up, or {ignore_index} for items that do not count"
            raise DataError(f"{place}: the label y{index} is {value}, but the network's output {output} has {output[1]} classes, "
                            f"0 ... {output[1] - 1}; mend the label or give the network {mend}")


def _first(y: np.ndarray, wrong: np.ndarray) -> tuple[str, float]:
    """The place of the first wrong entry as '[3]' or '[3, 1]', and its value."""
    index = tuple(int(i) for i in np.argwhere(wrong)[0])
    return str(list(index)), y[index].item()


def diverged(loss: float, x: np.ndarray, place: str, lr: float, clip_norm: float | None) -> TrainingError:
    """The error for a loss that is not finite, with what is worth trying first."""
    if x.dtype.kind == "f" and not np.isfinite(x).all():
        index, value = _first(x, ~np.isfinite(x))
        return TrainingError(f"the loss is {loss} at {place}: x{index} of this batch is {value}; mend or remove that item")
    clip = "" if clip_norm is not None else " or clip_norm=1.0"
    return TrainingError(f"the loss is {loss} at {place}, with lr={lr:g}; "
                         f"try lr={lr / 10:g}{clip}, and inputs scaled to about [-1, 1]")
