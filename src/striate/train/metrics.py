"""Metrics: what a training reports besides its loss, each a mean over all items seen since `reset`.

    Accuracy        argmax over the classes equals the label, of all labels
    TopK(k)         fewer than k classes score higher than the label's
    WholeSequence   all L labels of an item are right, of all items
    MeanIoU         mean over the classes of the overlap of places told and true
    Loss            mean loss

Outputs are scores (N, C, ...) with labels (N, ...); labels equal to `ignore_index` do not count.
"""

from __future__ import annotations

import numpy as np


class Metric:
    """Base: a metric of one's own says `count(output, target) -> (right, of)`, how many of how many in this batch.

    >>> metric = Accuracy()
    >>> metric.update(np.array([[0.1, 0.9], [0.8, 0.2]]), np.array([1, 1]))
    >>> metric.value()
    0.5
    """

    name = ""
    higher_is_better = True

    def __init__(self, ignore_index: int = -100):
        self.ignore_index = ignore_index
        self.reset()

    def reset(self) -> None:
        self.right, self.of = 0.0, 0

    def update(self, output: np.ndarray, target: np.ndarray, loss: float = 0.0) -> None:
        """Count a batch: scores, labels, and the batch's mean loss."""
        right, of = self.count(output, target)
        self.right, self.of = self.right + right, self.of + of

    def count(self, output: np.ndarray, target: np.ndarray) -> tuple[float, int]:
        raise NotImplementedError(f"{type(self).__name__} needs a method count(output, target)")

    def value(self) -> float:
        """The mean so far; NaN before anything was counted."""
        return float(self.right / self.of) if self.of else float("nan")


class Accuracy(Metric):
    """Share of labels that have the highest score. output (N, C, ...), target (N, ...)."""

    name = "accuracy"

    def count(self, output: np.ndarray, target: np.ndarray) -> tuple[float, int]:
        counted = target != self.ignore_index
        return int(np.count_nonzero((output.argmax(axis=1) == target) & counted)), int(np.count_nonzero(counted))


class TopK(Metric):
    """Share of labels among the k highest scores. output (N, C), target (N,)."""

    def __init__(self, k: int = 5, ignore_index: int = -100):
        super().__init__(ignore_index)
        self.k, self.name = k, f"top{k}"

    def count(self, output: np.ndarray, target: np.ndarray) -> tuple[float, int]:
        counted = target != self.ignore_index
        own = np.take_along_axis(output[counted], target[counted][:, None], axis=1)
        higher = np.count_nonzero(~(output[counted] <= own), axis=1)  # a NaN counts as higher
        return int(np.count_nonzero(higher < self.k)), int(np.count_nonzero(counted))


class WholeSequence(Metric):
    """Share of items whose labels are all right. output (N, C, L), target (N, L)."""

    name = "whole_sequence"

    def count(self, output: np.ndarray, target: np.ndarray) -> tuple[float, int]:
        right = (output.argmax(axis=1) == target) | (target == self.ignore_index)
        return int(np.count_nonzero(right.reshape(len(target), -1).all(axis=1))), len(target)


class MeanIoU(Metric):
    """Mean over the classes of intersection / union of the places told and the places true: for segmentation.

        IoU of a class = right / (told + true - right)        pixels, over all images seen; classes that never occur are left out

    output (N, C, ...), target (N, ...). Source: Everingham et al., The Pascal visual object classes challenge: a retrospective,
    IJCV 111, 2015, section 3.3.

    >>> metric = MeanIoU()
    >>> metric.update(np.array([[[3.0, 3, 0, 0], [0, 0, 3, 3]]]), np.array([[0, 1, 1, 1]]))
    >>> round(metric.value(), 3)                                    # 1 / 2 and 2 / 3
    0.583
    """

    name = "mean_iou"

    def reset(self) -> None:
        self.met = self.union = np.zeros(0, np.int64)

    def update(self, output: np.ndarray, target: np.ndarray, loss: float = 0.0) -> None:
        counted, classes = target != self.ignore_index, output.shape[1]
        told, true = output.argmax(axis=1)[counted], target[counted]
        right = np.bincount(true[told == true], minlength=classes)
        union = np.bincount(told, minlength=classes) + np.bincount(true, minlength=classes) - right
        self.met, self.union = (right, union) if not self.union.size else (self.met + right, self.union + union)

    def value(self) -> float:
        occurs = self.union > 0
        return float(np.mean(self.met[occurs] / self.union[occurs])) if occurs.any() else float("nan")


class Loss(Metric):
    """Mean loss over the items."""

    name = "loss"
    higher_is_better = False

    def update(self, output: np.ndarray, target: np.ndarray, loss: float = 0.0) -> None:
        self.right, self.of = self.right + loss * len(target), self.of + len(target)


def default_metrics(output: tuple[int, ...], target: np.ndarray, ignore_index: int = -100) -> list[Metric]:
    """What suits labels of this shape: accuracy for class labels, whole sequences too for (N, L); nothing for numbers.

    >>> [m.name for m in default_metrics((8, 10, 5), np.zeros((8, 5), int))]
    ['whole_sequence', 'accuracy']
    """
    if not is_labels(output, target):
        return []
    whole = [WholeSequence(ignore_index)] if target.ndim == 2 else []
    return [*whole, Accuracy(ignore_index)]


def is_labels(output: tuple[int, ...], target: np.ndarray) -> bool:
    """Whether targets (N, ...) are class labels for outputs (N, C, ...)."""
    return target.dtype.kind in "iu" and len(output) == target.ndim + 1
