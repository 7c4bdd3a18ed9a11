"""Datasets: anything with a length and items (x, y); arrays, subsets and splits of them.

What a network is fed, whatever the dataset: images of bytes become float32 in [0, 1], other fractions float32, whole
numbers int64. Images are [N, C, H, W], N batch, C channels, H W height and width.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from striate.data.draws import Draws, default_seed
from striate.errors import ArgumentError, DataError

IGNORED = -100  # the label that a loss passes over: PyTorch's ignore_index


class Dataset:
    """Base of every dataset: write `__len__` and `__getitem__(index) -> (x, y)`.

    `batch` reads many items at once; override it where that is faster than one after the other.

    >>> class Squares(Dataset):
    ...     def __len__(self):
    ...         return 4
    ...     def __getitem__(self, index):
    ...         return np.full(2, index, np.float32), index**2
    >>> x, y = Squares().batch([1, 3])
    >>> x.shape, y
    ((2, 2), array([1, 9]))
    """

    def __len__(self) -> int:
        raise NotImplementedError(f"{type(self).__name__} has no __len__")

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        raise NotImplementedError(f"{type(self).__name__} has no __getitem__")

    def batch(self, indices: Sequence[int] | np.ndarray, draws: Draws | None = None) -> tuple[np.ndarray, np.ndarray]:
        """The items at `indices` as arrays x [N, ...] and y [N, ...]; `draws` are for datasets that draw at random."""
        return read_items(self, indices)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({len(self)} items)"


class ArrayDataset(Dataset):
    """Items held in arrays x [N, ...] and y [N, ...], for images x [N, C, H, W] and labels y [N].

    Bytes stay bytes in memory and become float32 in [0, 1] as they are read. Given `classes` (their names, or how
    many), labels must be whole numbers in 0 ... len(classes) - 1, or -100 for an item that the loss shall ignore.

    Raises DataError: no items, x and y of different lengths, labels out of range or not finite.

    >>> data = ArrayDataset(np.full((3, 1, 2, 2), 255, np.uint8), [0, 1, 0], classes=["cat", "dog"])
    >>> x, y = data[1]
    >>> x.dtype, float(x.max()), data.classes[y]
    (dtype('float32'), 1.0, 'dog')
    """

    def __init__(self, x: Any, y: Any, classes: Sequence[str] | int | None = None):
        self.x, self.y = as_array(x, "x"), as_array(y, "y")
        self.classes = [str(k) for k in range(classes)] if isinstance(classes, int) else classes
        if len(self.x) != len(self.y):
            raise DataError(
                f"x has {len(self.x)} items but y has {len(self.y)}: shapes {self.x.shape} and {self.y.shape}; "
                "give one y for every x"
            )
        if len(self.x) == 0:
            raise DataError(f"the dataset is empty: x has shape {self.x.shape}; give at least one item")
        check_labels(self.y, self.classes)
        if self.classes is not None:
            self.y = self.y.astype(np.int64)

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, index: int) -> tuple[np.ndarray, Any]:
        return as_input(self.x[index]), as_target(self.y[index])[()]

    def batch(self, indices: Sequence[int] | np.ndarray, draws: Draws | None = None) -> tuple[np.ndarray, np.ndarray]:
        return as_input(self.x[indices]), as_target(self.y[indices])


class Subset(Dataset):
    """The items of `dataset` at `indices`, in that order.

    >>> data = ArrayDataset(np.arange(5.0), np.arange(5))
    >>> Subset(data, [4, 0]).batch([0, 1])[1]
    array([4, 0])
    """

    def __init__(self, dataset: Any, indices: Iterable[int]):
        self.dataset, self.indices = dataset, np.array(list(indices), np.int64)
        outside = self.indices[(self.indices < 0) | (self.indices >= len(dataset))]
        if outside.size:
            raise ArgumentError(f"index {outside[0]} is not in the dataset; indices go from 0 to {len(dataset) - 1}")

    @property
    def classes(self) -> Sequence[str] | None:
        """The class names of the whole dataset."""
        return getattr(self.dataset, "classes", None)

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        return self.dataset[int(self.indices[index])]

    def batch(self, indices: Sequence[int] | np.ndarray, draws: Draws | None = None) -> tuple[np.ndarray, np.ndarray]:
        return read_batch(self.dataset, self.indices[indices], draws)


def random_split(dataset: Any, lengths: Sequence[int | float], seed: int | None = None) -> list[Subset]:
    """Cut a dataset at random into parts that share no item, of these lengths or of these fractions of the whole.

    Fractions that do not divide the items evenly leave a few over; the first parts get one each, as in PyTorch.

    >>> train, validation = random_split(ArrayDataset(np.zeros(11), np.zeros(11)), [0.8, 0.2], seed=1)
    >>> len(train), len(validation)
    (9, 2)
    """
    sizes = part_sizes(len(dataset), lengths)
    order = np.random.default_rng((default_seed() if seed is None else seed) % 2**64).permutation(len(dataset))
    return [Subset(dataset, part) for part in np.split(order, np.cumsum(sizes)[:-1])]


def part_sizes(total: int, lengths: Sequence[int | float]) -> list[int]:
    """How many of `total` items each part gets."""
    if not lengths or any(length < 0 for length in lengths):
        raise ArgumentError(f"lengths {list(lengths)} must be one or more numbers, none below zero")
    if math.isclose(sum(lengths), 1) and not total == sum(lengths):
        sizes = [math.floor(total * fraction) for fraction in lengths]
        for k in range(total - sum(sizes)):
            sizes[k % len(sizes)] += 1
        return sizes
    if sum(lengths) != total:
        raise ArgumentError(
            f"lengths {list(lengths)} sum to {sum(lengths)}, but the dataset has {total} items; "
            f"give lengths that sum to {total}, or fractions that sum to 1"
        )
    return [int(length) for length in lengths]


def read_batch(
    dataset: Any, indices: Sequence[int] | np.ndarray, draws: Draws | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """A batch of any dataset: one of ours, or whatever else has items (x, y), such as a list of pairs."""
    return dataset.batch(indices, draws) if isinstance(dataset, Dataset) else read_items(dataset, indices)


def read_items(dataset: Any, indices: Sequence[int] | np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Read items one after the other and stack them."""
    items = []
    for index in indices:
        with at_item(dataset, index):
            x, y = dataset[int(index)]
            items.append((x, y))
    return collate(items, indices)


@contextmanager
def at_item(dataset: Any, index: int) -> Iterator[None]:
    """An error in the block gains the index of the item that it reads."""
    try:
        yield
    except Exception as error:
        reason = str(error) if isinstance(error, DataError) else f"{type(error).__name__}: {error}"
        raise DataError(f"item {index} of {type(dataset).__name__}: {reason}") from error


def collate(items: Sequence[tuple[Any, Any]], indices: Sequence[int] | np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Stack items (x, y) of equal shapes into a batch."""
    xs, ys = ([np.asarray(value) for value in column] for column in zip(*items, strict=True))
    for name, arrays in (("x", xs), ("y", ys)):
        for k, array in enumerate(arrays):
            if array.shape != arrays[0].shape:
                raise DataError(
                    f"items {indices[0]} and {indices[k]} cannot be one batch: their {name} have shapes "
                    f"{arrays[0].shape} and {array.shape}; make them equal, images by size=(height, width)"
                )
    return as_input(np.stack(xs)), as_target(np.stack(ys))


def as_input(x: np.ndarray) -> np.ndarray:
    """What a network reads: bytes and fractions as float32, bytes in [0, 1]; whole numbers (tokens) as int64."""
    if x.dtype == np.uint8:
        return np.divide(x, np.float32(255), dtype=np.float32, order="C")
    whole = np.issubdtype(x.dtype, np.integer)
    return np.ascontiguousarray(x, np.int64 if whole else np.float32).reshape(x.shape)


def as_target(y: np.ndarray) -> np.ndarray:
    """What a loss reads: whole numbers (labels) as int64, fractions as float32."""
    y = np.asarray(y)
    return y.astype(np.float32 if np.issubdtype(y.dtype, np.floating) else np.int64)


def as_array(values: Any, name: str) -> np.ndarray:
    """An array of numbers with the items along its first axis."""
    try:
        array = np.asarray(values)
    except ValueError as error:
        raise DataError(f"{name} is no array: {error}; give every item the same shape") from error
    if array.ndim == 0 or array.dtype.kind not in "buif":
        raise DataError(
            f"{name} must be an array of numbers with one entry per item, got shape {array.shape} of {array.dtype}"
        )
    return array


def check_labels(y: np.ndarray, classes: Sequence[str] | None) -> None:
    """Refuse labels that are not finite and, where the classes are known, labels of no class."""
    broken = None if y.dtype.kind != "f" else first(~np.isfinite(y))
    if broken is not None:
        raise DataError(f"the label of item {broken[0]} is {y[broken]}; remove the item or mend its label")
    wrong = first((y != IGNORED) & ((y < 0) | (y >= len(classes)) | (y % 1 != 0))) if classes is not None else None
    if classes is not None and wrong is not None:
        raise DataError(
            f"the label of item {wrong[0]} is {y[wrong]}, but with {len(classes)} classes labels are whole numbers "
            f"from 0 to {len(classes) - 1}; mend the label or give all classes"
        )
    negative = first((y < 0) & (y != IGNORED)) if y.dtype.kind == "i" else None
    if negative is not None:
        raise DataError(
            f"the label of item {negative[0]} is {y[negative]}, but labels count classes from 0; "
            f"mend it, use {IGNORED} to ignore the item, or give float targets"
        )


def first(mask: np.ndarray) -> tuple[np.intp, ...] | None:
    """The index of the first true entry."""
    return tuple(np.argwhere(mask)[0]) if mask.any() else None
