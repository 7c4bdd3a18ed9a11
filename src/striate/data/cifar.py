"""CIFAR-10, in its binary version.

A file is records of 3,073 bytes: the label, then 1,024 bytes each of red, green and blue, row by row. There are five
files of 10,000 records for training and one for test.

Source: https://www.cs.toronto.edu/~kriz/cifar.html, section "Binary version".
"""

from __future__ import annotations

import shutil
import tarfile
import zlib
from pathlib import Path

import numpy as np

from striate.data.dataset import ArrayDataset
from striate.data.download import Published, obtain, replacing
from striate.errors import DataError
from striate.folders import cache_folder

ARCHIVE = Published(
    "cifar-10-binary.tar.gz",
    "c32a1d4ab5d03f1284b67883e8d87530",
    ("https://www.cs.toronto.edu/~kriz/",),
)
INNER = "cifar-10-batches-bin"  # the folder in the archive
TRAIN = tuple(f"data_batch_{k}.bin" for k in range(1, 6))
TEST = ("test_batch.bin",)
CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
RECORDS, SHAPE = 10_000, (3, 32, 32)


def cifar10(train: bool = True, root: str | Path | None = None) -> ArrayDataset:
    """Small photographs: 50,000 images for training or 10,000 for test, x [3, 32, 32], y 0 ... 9.

    The .bin files, or else the archive of them, are looked for in `root` (by default the cache folder); the archive is
    downloaded into it if neither is there.

    Raises DataError: an archive that cannot be downloaded (the message says how to get it), broken files.
    """
    folder = cache_folder() / "cifar-10" if root is None else Path(root)
    names = TRAIN if train else TEST
    home = next((place for place in (folder, folder / INNER) if (place / names[0]).is_file()), None)
    if home is None:
        home = unpack(obtain(ARCHIVE, [folder]))
    parts = [read_cifar10(home / name, RECORDS) for name in names]
    images, labels = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    return ArrayDataset(images, labels, classes=CLASSES)


def read_cifar10(path: str | Path, records: int | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Images uint8 [N, 3, 32, 32] and labels uint8 [N] of one file, with N = `records` if that is given.

    Raises DataError: a missing file, or one that is not so many whole records long.
    """
    try:
        data = np.fromfile(path, np.uint8)
    except FileNotFoundError:
        raise DataError(f"the file {path} does not exist; check the path") from None
    size = 1 + int(np.prod(SHAPE))
    wanted = max(1, -(-data.size // size)) if records is None else records
    if data.size != wanted * size:
        raise DataError(
            f"{path} is no whole CIFAR-10 file: expected {wanted * size:,} bytes = {wanted:,} records of {size:,}, "
            f"found {data.size:,}; delete it and unpack the archive again"
        )
    table = data.reshape(wanted, size)
    return table[:, 1:].reshape(wanted, *SHAPE), table[:, 0]


def unpack(archive: Path) -> Path:
    """Put the files of the archive into a folder beside it."""
    home = archive.parent / INNER
    try:
        with tarfile.open(archive) as tar:
            for name in TRAIN + TEST:
                if (source := tar.extractfile(f"{INNER}/{name}")) is None:
                    raise tarfile.TarError(f"{name} is not a file")
                with replacing(home / name) as temporary, temporary.open("wb") as target:
                    shutil.copyfileobj(source, target)
    except (tarfile.TarError, EOFError, zlib.error, KeyError) as error:
        raise DataError(f"{archive} is a broken archive ({error}); delete it and download it again") from error
    return home
