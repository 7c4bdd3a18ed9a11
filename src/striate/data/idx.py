"""MNIST and Fashion-MNIST, and the IDX files that hold them.

An IDX file is two zero bytes, a byte for the element type, a byte for the number of dimensions, each dimension as a
big-endian 32-bit integer, then the elements, big-endian, the last dimension running fastest.

Sources: http://yann.lecun.com/exdb/mnist/ (format and MNIST), https://github.com/zalandoresearch/fashion-mnist.
"""

from __future__ import annotations

import gzip
import math
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from striate.data.dataset import ArrayDataset
from striate.data.download import Published, obtain
from striate.errors import DataError
from striate.folders import cache_folder

DTYPES = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}


@dataclass(frozen=True)
class Source:
    """A dataset published as four IDX files: md5s of images and labels, for training then for test."""

    name: str
    md5s: tuple[str, str, str, str]
    mirrors: tuple[str, ...]
    classes: tuple[str, ...]
    system: Path | None = None  # where a package of the operating system puts the files
    hint: str = ""


MNIST = Source(
    "mnist",
    (
        "f68b3c2dcbeaaa9fbdd348bbdeb94873",
        "d53e105ee54ea40749a09fcbcd1e9432",
        "9fb629c4189551a2d022fa330f9573f3",
        "ec29112dd5afa0611ce80d1b7f02629c",
    ),
    (
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        "https://storage.googleapis.com/cvdf-datasets/mnist/",
    ),
    tuple("0123456789"),
)
FASHION_MNIST = Source(
    "fashion-mnist",
    (
        "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
        "25c81989df183df01b3e8a0aad5dffbe",
        "bef4ecab320f06d8554ea6380940ec79",
        "bb300cfdad3c16e7a12a480ee83cd310",
    ),
    (
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
        "https://github.com/zalandoresearch/fashion-mnist/raw/master/data/fashion/",
    ),
    ("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
    Path("/usr/share/datasets/fashion-mnist"),
    ", or on Debian and Ubuntu: apt install dataset-fashion-mnist",
)


def mnist(train: bool = True, root: str | Path | None = None) -> ArrayDataset:
    """Handwritten digits: 60,000 images for training or 10,000 for test, x [1, 28, 28], y 0 ... 9.

    The files are looked for in `root` (by default the cache folder) and downloaded into it if they are not there.

    Raises DataError: files that cannot be downloaded (the message says how to get them) or are broken.
    """
    return load(MNIST, train, root)


def fashion_mnist(train: bool = True, root: str | Path | None = None) -> ArrayDataset:
    """Articles of clothing: 60,000 images for training or 10,000 for test, x [1, 28, 28], y 0 ... 9.

    As `mnist`; without `root`, the files of Debian's package dataset-fashion-mnist are used where it is installed.
    """
    return load(FASHION_MNIST, train, root)


def load(source: Source, train: bool, root: str | Path | None) -> ArrayDataset:
    """Images and labels of a source, from files found or downloaded."""
    if root is not None:
        folders = [Path(root)]
    else:
        folders = [folder for folder in (source.system, cache_folder() / source.name) if folder]
    prefix, md5s = ("train", source.md5s[:2]) if train else ("t10k", source.md5s[2:])
    names = (f"{prefix}-images-idx3-ubyte.gz", f"{prefix}-labels-idx1-ubyte.gz")
    images, labels = (
        read_idx(obtain(Published(name, md5, source.mirrors, source.hint), folders))
        for name, md5 in zip(names, md5s, strict=True)
    )
    return ArrayDataset(images[:, None], labels, classes=source.classes)


def read_idx(path: str | Path) -> np.ndarray:
    """The array in an IDX file, packed by gzip (.gz) or not.

    Raises DataError: a missing file, another format, too few or too many bytes.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "labels-idx1-ubyte")
    ...     _ = path.write_bytes(bytes([0, 0, 8, 1, 0, 0, 0, 3, 7, 2, 1]))
    ...     read_idx(path)
    array([7, 2, 1], dtype=uint8)
    """
    data = read_bytes(Path(path))
    if len(data) < 4 or data[:2] != b"\0\0" or data[2] not in DTYPES:
        found = data[:4].hex(" ") or "nothing"
        raise DataError(f"{path} is no IDX file: it starts with {found}, want 00 00 08 03 for images; check the path")
    dtype, ndim = np.dtype(DTYPES[data[2]]), data[3]
    header = 4 + 4 * ndim
    if len(data) < header:
        raise DataError(
            f"{path} is truncated: expected {header:,} bytes of header, found {len(data):,}; download it again"
        )
    shape = tuple(int(n) for n in np.frombuffer(data, ">u4", ndim, offset=4))
    expected = header + math.prod(shape) * dtype.itemsize
    if len(data) != expected:
        problem = "truncated" if len(data) < expected else "too long"
        raise DataError(
            f"{path} is {problem}: expected {expected:,} bytes for shape {shape} of {dtype.name}, found {len(data):,}; "
            "download it again"
        )
    return np.frombuffer(data, dtype, offset=header).reshape(shape).astype(dtype.newbyteorder("="), copy=False)


def read_bytes(path: Path) -> bytes:
    """The bytes of a file, unpacked if its name ends in .gz."""
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            return file.read()
    except FileNotFoundError:
        raise DataError(f"the file {path} does not exist; check the path") from None
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise DataError(
            f"{path} is a broken gzip file of {path.stat().st_size:,} bytes ({error}); download it again"
        ) from error
