"""Images in folders, one folder for each class: root/cat/1.jpg, root/cat/old/2.png, root/dog/1.jpg.

Pillow decodes the files; the orientation that a camera notes in EXIF is applied.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from striate.data.augment import augment, pair
from striate.data.dataset import Dataset, as_input, at_item, collate
from striate.data.draws import Draws, default_seed
from striate.errors import ArgumentError, DataError

SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm")
SHOWN = 10  # names of broken files in one message


class ImageFolder(Dataset):
    """The images under `root`; a label is the index of the image's folder in `classes`, the sorted folder names.

    x is float32 [3, H, W] in [0, 1], [1, H, W] if `grey`; `size` (height, width) scales every image. `transform` is
    applied to each image: one of striate.data's, or a function of the array.

    Files that cannot be decoded are found when the dataset is made, by decoding each once. `broken` says what becomes
    of them: "skip" leaves them out, with a warning that names them, and keeps (path, reason) in `.broken`; "refuse"
    raises; "later" saves the time and raises when such a file is read.

    Raises DataError: no such folder, no classes, a class without images, broken files.

    >>> import os, tempfile
    >>> from PIL import Image
    >>> with tempfile.TemporaryDirectory() as root:
    ...     os.mkdir(f"{root}/cat")
    ...     Image.new("RGB", (80, 60)).save(f"{root}/cat/1.jpg")
    ...     ImageFolder(root, size=(30, 40))[0][0].shape
    (3, 30, 40)
    """

    def __init__(
        self,
        root: str | Path,
        size: tuple[int, int] | None = None,
        grey: bool = False,
        transform: Callable | None = None,
        broken: str = "skip",
    ):
        if broken not in ("skip", "refuse", "later"):
            raise ArgumentError(f"broken must be 'skip', 'refuse' or 'later', got {broken!r}")
        self.root, self.size = Path(root), None if size is None else pair(size, "size")
        self.grey, self.transform = grey, transform
        self.classes = class_names(self.root)
        self.samples = [(path, k) for k, name in enumerate(self.classes) for path in images_in(self.root / name)]
        self.broken: list[tuple[Path, str]] = []
        if broken != "later":
            self.broken = find_broken([path for path, _ in self.samples])
        if self.broken:
            self.leave_out(refuse=broken == "refuse")

    def leave_out(self, refuse: bool) -> None:
        """Take the broken files out of the samples, or raise where they are refused or nothing remains."""
        names = listing([f"{path.relative_to(self.root).as_posix()} ({reason})" for path, reason in self.broken])
        problem = f"{len(self.broken)} of {len(self.samples)} images in {self.root} cannot be read"
        if refuse or len(self.broken) == len(self.samples):
            mend = "mend or remove them" + (", or use broken='skip'" if refuse else "")
            raise DataError(f"{problem}: {names}; {mend}")
        warnings.warn(f"{problem} and are left out: {names}", stacklevel=3)
        lost = {path for path, _ in self.broken}
        self.samples = [(path, label) for path, label in self.samples if path not in lost]

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> tuple[np.ndarray, int]:
        return self.read(index, Draws(default_seed(), 0, [index]))

    def batch(self, indices: Sequence[int] | np.ndarray, draws: Draws | None = None) -> tuple[np.ndarray, np.ndarray]:
        draws = Draws(default_seed(), 0, indices) if draws is None else draws
        items = []
        for k, index in enumerate(indices):
            with at_item(self, index):
                items.append(self.read(index, draws.item(k)))
        return collate(items, indices)

    def read(self, index: int, draws: Draws) -> tuple[np.ndarray, int]:
        """One image and its label; the transform takes its random numbers from `draws`."""
        path, label = self.samples[index]
        x = as_input(read_image(path, self.size, self.grey))
        return (x if self.transform is None else augment(self.transform, x, draws)), label


def class_names(root: Path) -> list[str]:
    """The sorted names of the folders in `root`."""
    if not root.is_dir():
        raise DataError(f"the folder {root} does not exist; check the path")
    names = sorted(path.name for path in root.iterdir() if path.is_dir() and not path.name.startswith("."))
    if not names:
        raise DataError(
            f"{root} has no folders, so no classes; put the images of each class into a folder of its own, "
            f"such as {root / 'cat'}"
        )
    return names


def images_in(folder: Path) -> list[Path]:
    """The image files in a folder and below, sorted."""
    paths = sorted(path for path in folder.rglob("[!.]*") if path.suffix.lower() in SUFFIXES)
    if not paths:
        raise DataError(f"the class folder {folder} has no images ({' '.join(SUFFIXES)}); add some or remove it")
    return paths


def read_image(path: Path, size: tuple[int, int] | None = None, grey: bool = False) -> np.ndarray:
    """A file's image as uint8 [3, H, W], or [1, H, W] if `grey`."""
    from PIL import Image, ImageOps

    mode = "L" if grey else "RGB"
    try:
        with Image.open(path) as file:
            if size is not None:
                # JPEG decodes to 1/2, 1/4 or 1/8 in less time: to twice the size, which keeps the quality, or more
                file.draft(mode, (2 * max(size), 2 * max(size)))
            image = to_mode(ImageOps.exif_transpose(file), mode)
    except Exception as error:  # decoders raise whatever they meet in a broken file
        raise DataError(f"{path} cannot be read as an image ({reason(error)}); mend or remove it") from error
    if size is not None:
        image = image.resize((size[1], size[0]), Image.Resampling.BILINEAR)
    array = np.asarray(image)
    return array[None] if grey else array.transpose(2, 0, 1)


def to_mode(image: Any, mode: str) -> Any:
    """A Pillow image in 8 bits; Pillow itself would cut 16-bit greys at 255, which makes them white."""
    from PIL import Image

    if image.mode.startswith("I"):
        image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    return image.convert(mode)


def find_broken(paths: list[Path]) -> list[tuple[Path, str]]:
    """The files that do not decode, and why; JPEG at an eighth of the size, which finds the same errors sooner."""
    from concurrent.futures import ThreadPoolExecutor

    from PIL import Image

    def problem(path: Path) -> str | None:
        try:
            with Image.open(path) as image:
                image.draft("L", (1, 1))
                image.load()
        except Exception as error:  # as in read_image
            return reason(error)

    with ThreadPoolExecutor() as threads:
        return [(path, found) for path, found in zip(paths, threads.map(problem, paths), strict=True) if found]


def reason(error: Exception) -> str:
    """Why a file does not decode, without its name."""
    from PIL import UnidentifiedImageError

    return "no image format known to Pillow" if isinstance(error, UnidentifiedImageError) else str(error) or repr(error)


def listing(names: list[str]) -> str:
    """Names in a row, the first few of many."""
    more = [f"and {len(names) - SHOWN} more"] if len(names) > SHOWN else []
    return ", ".join(names[:SHOWN] + more)
