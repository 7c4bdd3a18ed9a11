"""Transforms of images, whole batches at once; names and arguments are those of torchvision.transforms.

A transform maps float32 images [N, C, H, W] (or one image [C, H, W]) with values in [0, 1] to the same, and never
changes its argument. What it draws at random for an item depends on the item alone (see draws.py), so it takes a fixed
number of draws per item, whatever they turn out to be.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from striate.data.dataset import as_input
from striate.data.draws import Draws
from striate.errors import ArgumentError, DataError

GREY = np.array([0.299, 0.587, 0.114], np.float32)  # luma of red, green, blue: ITU-R BT.601


def augment(transform: Callable, x: np.ndarray, draws: Draws) -> np.ndarray:
    """Apply one of the transforms below, or any function of the images alone."""
    return transform(x, draws) if isinstance(transform, Transform) else transform(x)


class Transform:
    """Base of the transforms: write `apply(x, draws)` for x float32 [N, C, H, W].

    Called without draws, as in `RandomHorizontalFlip()(image)`, it draws anew at every call.
    """

    def __call__(self, x: Any, draws: Draws | None = None) -> np.ndarray:
        x = as_input(np.asarray(x))
        if x.ndim == 3:
            return self(x[None], draws)[0]
        if x.ndim != 4:
            raise DataError(f"{type(self).__name__} wants images [N, C, H, W] or one [C, H, W], got shape {x.shape}")
        return self.apply(x, Draws.fresh(len(x)) if draws is None else draws)

    def apply(self, x: np.ndarray, draws: Draws) -> np.ndarray:
        raise NotImplementedError(f"{type(self).__name__} has no apply")

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={value}' for name, value in vars(self).items())})"


class Compose(Transform):
    """One transform after the other; plain functions of the images are welcome between them.

    >>> Compose([RandomCrop(32, padding=4), RandomHorizontalFlip(), lambda x: x - 0.5])(np.zeros((8, 3, 32, 32))).shape
    (8, 3, 32, 32)
    """

    def __init__(self, transforms: Sequence[Callable]):
        self.transforms = list(transforms)

    def apply(self, x: np.ndarray, draws: Draws) -> np.ndarray:
        for transform in self.transforms:
            x = augment(transform, x, draws)
        return x


class RandomCrop(Transform):
    """Cut a window of `size` out of each image, after `padding` pixels of `fill` on every side.

    >>> RandomCrop((24, 20), padding=2)(np.zeros((8, 3, 28, 28))).shape
    (8, 3, 24, 20)
    """

    def __init__(self, size: int | tuple[int, int], padding: int = 0, fill: float = 0.0):
        self.size, self.padding, self.fill = pair(size, "size"), padding, fill
        if padding < 0:
            raise ArgumentError(f"padding must be at least 0, got {padding}")

    def apply(self, x: np.ndarray, draws: Draws) -> np.ndarray:
        border = (self.padding, self.padding)
        x = np.pad(x, ((0, 0), (0, 0), border, border), constant_values=self.fill)
        room = [n - size + 1 for n, size in zip(x.shape[2:], self.size, strict=True)]
        if min(room) < 1:
            raise DataError(
                f"RandomCrop: a crop of {self.size} does not fit in images of {x.shape[2:]} pixels, padding included; "
                "use a smaller size or more padding"
            )
        windows = np.lib.stride_tricks.sliding_window_view(x, self.size, axis=(2, 3))
        return windows[np.arange(len(x)), :, draws.integers(room[0]), draws.integers(room[1])]


class RandomHorizontalFlip(Transform):
    """Swap left and right with probability `p`.

    >>> RandomHorizontalFlip(p=1.0)(np.array([[[1.0, 2.0, 3.0]]]))
    array([[[3., 2., 1.]]], dtype=float32)
    """

    def __init__(self, p: float = 0.5):
        self.p = probability(p)

    def apply(self, x: np.ndarray, draws: Draws) -> np.ndarray:
        return np.where(column(draws.random() < self.p), x[..., ::-1], x)


class RandomRotation(Transform):
    """Turn each image about its centre by an angle from [-degrees, degrees], or from the pair `degrees`.

    Angles are counter-clockwise; pixels from outside the image are `fill`. `interpolation`: "nearest" or "bilinear".
    """

    def __init__(self, degrees: float | tuple[float, float], interpolation: str = "nearest", fill: float = 0.0):
        self.degrees = (-degrees, degrees) if isinstance(degrees, (int, float)) else tuple(degrees)
        self.interpolation, self.fill = interpolation, fill
        if len(self.degrees) != 2 or self.degrees[0] > self.degrees[1]:
            raise ArgumentError(f"degrees must be a number >= 0 or a pair (low, high), got {degrees}")
        if interpolation not in ("nearest", "bilinear"):
            raise ArgumentError(f"interpolation must be 'nearest' or 'bilinear', got {interpolation!r}")

    def apply(self, x: np.ndarray, draws: Draws) -> np.ndarray:
        x = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)), constant_values=self.fill)  # this border stands for the outside
        rows, columns = turned_grid(x.shape[2:], np.deg2rad(draws.uniform(*self.degrees)))
        if self.interpolation == "nearest":
            return pixels(x, np.rint(rows), np.rint(columns))
        top, left = np.floor(rows), np.floor(columns)
        down, right = ((rows - top)[:, None], (columns - left)[:, None])  # weights of the pixels below and to the right
        above = pixels(x, top, left) * (1 - right) + pixels(x, top, left + 1) * right
        below = pixels(x, top + 1, left) * (1 - right) + pixels(x, top + 1, left + 1) * right
        return above * (1 - down) + below * down


class RandomErasing(Transform):
    """With probability `p`, fill a rectangle of each image with `value`.

    Its area is a share of the image from `scale`, its height / width from `ratio` (on a logarithmic scale); a side
    that would leave the image is cut to fit.
    """

    def __init__(
        self,
        p: float = 0.5,
        scale: tuple[float, float] = (0.02, 0.33),
        ratio: tuple[float, float] = (0.3, 3.3),
        value: float = 0.0,
    ):
        self.p, self.scale, self.ratio, self.value = probability(p), scale, ratio, value
        if not 0 <= scale[0] <= scale[1] <= 1:
            raise ArgumentError(f"scale must be a pair of shares 0 <= low <= high <= 1, got {scale}")
        if not 0 < ratio[0] <= ratio[1]:
            raise ArgumentError(f"ratio must be a pair 0 < low <= high, got {ratio}")

    def apply(self, x: np.ndarray, draws: Draws) -> np.ndarray:
        H, W = x.shape[2:]
        erased = draws.random() < self.p
        area = draws.uniform(*self.scale) * H * W
        ratio = np.exp(draws.uniform(*np.log(self.ratio)))
        height = np.minimum(np.rint(np.sqrt(area * ratio)), H).astype(np.int64)
        width = np.minimum(np.rint(np.sqrt(area / ratio)), W).astype(np.int64)
        rows = inside(H, draws.integers(H - height + 1), height)
        columns = inside(W, draws.integers(W - width + 1), width)
        mask = erased[:, None, None] & rows[:, :, None] & columns[:, None, :]
        return np.where(mask[:, None], np.float32(self.value), x)


class ColorJitter(Transform):
    """Change brightness, contrast and saturation, in this order, each by a factor from [1 - a, 1 + a].

    A pair (low, high) gives the factor's range itself. Values stay in [0, 1]. Saturation leaves grey images alone.
    """

    def __init__(
        self,
        brightness: float | tuple[float, float] = 0.0,
        contrast: float | tuple[float, float] = 0.0,
        saturation: float | tuple[float, float] = 0.0,
    ):
        self.brightness = factors(brightness, "brightness")
        self.contrast = factors(contrast, "contrast")
        self.saturation = factors(saturation, "saturation")

    def apply(self, x: np.ndarray, draws: Draws) -> np.ndarray:
        for base, span in ((black, self.brightness), (mean_grey, self.contrast), (grey, self.saturation)):
            factor = draws.uniform(*span)
            if span != (1, 1):
                x = blend(base(x), x, factor)
        return x


class Normalize(Transform):
    """Subtract `mean` and divide by `std`, a number for each channel.

    >>> Normalize([0.5], [0.25])(np.ones((1, 2, 2))).max()
    np.float32(2.0)
    """

    def __init__(self, mean: Sequence[float] | float, std: Sequence[float] | float):
        self.mean, self.std = (np.atleast_1d(np.asarray(values, np.float32)) for values in (mean, std))
        if self.mean.shape != self.std.shape or self.mean.ndim != 1:
            raise ArgumentError(f"mean and std must have one number for each channel, got {mean} and {std}")
        if not (self.std > 0).all():
            raise ArgumentError(f"std must be above zero for every channel, got {std}")

    @classmethod
    def of(cls, dataset: Any, batch: int = 256) -> Normalize:
        """What gives a dataset of images mean 0 and variance 1 in every channel. Of the training data: nothing else is known.

        >>> from striate.data import ArrayDataset
        >>> x = np.random.default_rng(0).random((5, 3, 8, 8), np.float32)
        >>> y = Normalize.of(ArrayDataset(x, np.zeros(5)))(x)
        >>> bool(abs(y.mean(axis=(0, 2, 3))).max() < 1e-6), bool(abs(y.var(axis=(0, 2, 3)) - 1).max() < 1e-6)
        (True, True)
        """
        count, total, squares = 0, 0.0, 0.0
        for start in range(0, len(dataset), batch):
            x = dataset.batch(range(start, min(start + batch, len(dataset))))[0].astype(np.float64)
            values = np.moveaxis(x, 1, 0).reshape(x.shape[1], -1)
            count, total, squares = count + values.shape[1], total + values.sum(axis=1), squares + (values**2).sum(axis=1)
        mean = total / count
        return cls(mean, np.sqrt(np.maximum(squares / count - mean**2, 0)))  # type: ignore[arg-type]

    def apply(self, x: np.ndarray, draws: Draws) -> np.ndarray:
        if len(self.mean) not in (1, x.shape[1]):
            raise DataError(
                f"Normalize has means for {len(self.mean)} channels but the images have {x.shape[1]}; "
                "give one mean and std for each channel"
            )
        return (x - self.mean[:, None, None]) / self.std[:, None, None]


class Resize(Transform):
    """Scale images to `size` (height, width), or their shorter side to an int `size`: bilinear, antialiased.

    >>> Resize(16)(np.zeros((3, 32, 64))).shape
    (3, 16, 32)
    """

    def __init__(self, size: int | tuple[int, int]):
        self.size = size if isinstance(size, int) else pair(size, "size")
        pair(size, "size")

    def apply(self, x: np.ndarray, draws: Draws) -> np.ndarray:
        from PIL import Image

        H, W = self.target(*x.shape[2:])
        planes = [
            Image.fromarray(plane).resize((W, H), Image.Resampling.BILINEAR) for plane in x.reshape(-1, *x.shape[2:])
        ]
        return np.stack([np.asarray(plane) for plane in planes]).reshape(*x.shape[:2], H, W)

    def target(self, H: int, W: int) -> tuple[int, int]:
        """Height and width after the transform."""
        if isinstance(self.size, tuple):
            return self.size
        return (self.size, int(self.size * W / H)) if H <= W else (int(self.size * H / W), self.size)


def column(values: np.ndarray) -> np.ndarray:
    """One value per item, shaped [N, 1, 1, 1] to go with images."""
    return values[:, None, None, None]


def inside(n: int, start: np.ndarray, length: np.ndarray) -> np.ndarray:
    """True from start to start + length of each row: [N, n]."""
    position = np.arange(n)
    return (position >= start[:, None]) & (position < (start + length)[:, None])


def turned_grid(size: tuple[int, ...], angle: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where the inner pixels of images turned by `angle` (radians, [N]) come from: rows and columns [N, H-2, W-2]."""
    H, W = size
    middle_y, middle_x = (H - 1) / 2, (W - 1) / 2
    y = np.arange(1 - middle_y, middle_y, dtype=np.float32)[:, None]
    x = np.arange(1 - middle_x, middle_x, dtype=np.float32)
    cos, sin = (f(angle).astype(np.float32)[:, None, None] for f in (np.cos, np.sin))
    return (cos * y + middle_y) + sin * x, (middle_x - sin * y) + cos * x


def pixels(x: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """x[n, c, rows[n, p, q], columns[n, p, q]], from the nearest pixel of the border where that is outside."""
    N, C, H, W = x.shape
    inner = np.clip(rows, 0, H - 1).astype(np.intp) * W + np.clip(columns, 0, W - 1).astype(np.intp)
    place = inner + H * W * np.arange(N)[:, None, None]
    return x.swapaxes(0, 1).reshape(C, -1).take(place, axis=1).swapaxes(0, 1)


def black(x: np.ndarray) -> np.ndarray:
    return np.zeros(1, np.float32)


def mean_grey(x: np.ndarray) -> np.ndarray:
    """The mean luma of each image: [N, 1, 1, 1]."""
    return grey(x).mean(axis=(2, 3), keepdims=True)


def grey(x: np.ndarray) -> np.ndarray:
    """The luma of images: [N, 1, H, W]."""
    if x.shape[1] == 1:
        return x
    if x.shape[1] != 3:
        raise DataError(f"ColorJitter wants images of 1 or 3 channels, got {x.shape[1]}")
    return np.tensordot(GREY, x, axes=(0, 1))[:, None]


def blend(base: np.ndarray, x: np.ndarray, factor: np.ndarray) -> np.ndarray:
    """base at factor 0, x at factor 1, and beyond; cut to [0, 1]."""
    return np.clip(base + (x - base) * column(factor.astype(np.float32)), 0, 1)


def pair(size: int | tuple[int, int], name: str) -> tuple[int, int]:
    """(height, width) of at least one pixel each."""
    height, width = (size, size) if isinstance(size, int) else size
    if height < 1 or width < 1:
        raise ArgumentError(f"{name} must be at least one pixel each way, got {size}")
    return height, width


def probability(p: float) -> float:
    if not 0 <= p <= 1:
        raise ArgumentError(f"p must be a probability from 0 to 1, got {p}")
    return p


def factors(amount: float | tuple[float, float], name: str) -> tuple[float, float]:
    """The range of a jitter's factor."""
    low, high = (max(0.0, 1 - amount), 1 + amount) if isinstance(amount, (int, float)) else amount
    if not 0 <= low <= high:
        raise ArgumentError(f"{name} must be a number >= 0 or a pair 0 <= low <= high, got {amount}")
    return low, high
