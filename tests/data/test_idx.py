import gzip
import hashlib
import struct
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from striate.data import fashion_mnist, idx, mnist, read_idx
from striate.errors import DataError

IMAGES = np.arange(3 * 28 * 28, dtype=np.uint32).astype(np.uint8).reshape(3, 28, 28)
LABELS = np.array([7, 0, 9], np.uint8)
DEBIAN = Path("/usr/share/datasets/fashion-mnist")


def idx_bytes(array, code=0x08):
    header = struct.pack(f">HBB{array.ndim}I", 0, code, array.ndim, *array.shape)
    return header + array.astype(array.dtype.newbyteorder(">")).tobytes()


def write_dataset(folder, prefix="train", suffix=""):
    folder.mkdir(parents=True, exist_ok=True)
    for name, array in (("images-idx3", IMAGES), ("labels-idx1", LABELS)):
        data = idx_bytes(array)
        (folder / f"{prefix}-{name}-ubyte{suffix}").write_bytes(gzip.compress(data, mtime=0) if suffix else data)


@pytest.mark.parametrize(
    ("dtype", "code"), [("u1", 0x08), ("i1", 0x09), ("i2", 0x0B), ("i4", 0x0C), ("f4", 0x0D), ("f8", 0x0E)]
)
def test_every_element_type(tmp_path, dtype, code):
    array = np.arange(-3, 21).reshape(2, 3, 4).astype(dtype)
    (tmp_path / "data").write_bytes(idx_bytes(array, code))
    found = read_idx(tmp_path / "data")
    np.testing.assert_array_equal(found, array)
    assert found.dtype == np.dtype(dtype)


@pytest.mark.parametrize("suffix", ["", ".gz"])
@pytest.mark.parametrize("train", [True, False])
def test_mnist_from_files_of_the_user(tmp_path, train, suffix):
    write_dataset(tmp_path, "train" if train else "t10k", suffix)
    data = mnist(train, root=tmp_path)
    assert data.x.dtype == np.uint8 and data.x.shape == (3, 1, 28, 28)
    np.testing.assert_array_equal(data.x[:, 0], IMAGES)
    assert data.y.tolist() == [7, 0, 9] and data.classes[9] == "9"


@pytest.mark.skipif(not DEBIAN.is_dir(), reason="Debian's package dataset-fashion-mnist is not installed")
def test_fashion_mnist_from_the_operating_system(cache):
    data = fashion_mnist(train=False)
    assert data.x.shape == (10_000, 1, 28, 28)
    assert np.bincount(data.y).tolist() == [1000] * 10
    assert data.classes[data.y[0]] == "Ankle boot"
    assert not cache.exists()


def test_mnist_downloaded_once_and_verified(tmp_path, cache, monkeypatch):
    server = tmp_path / "server"
    write_dataset(server, suffix=".gz")
    md5s = [
        hashlib.md5((server / f"train-{name}-ubyte.gz").read_bytes()).hexdigest()
        for name in ("images-idx3", "labels-idx1")
    ]
    monkeypatch.setattr(
        idx, "MNIST", replace(idx.MNIST, md5s=(*md5s, "", ""), mirrors=("file:///absent/", f"{server.as_uri()}/"))
    )
    assert mnist().y.tolist() == [7, 0, 9]
    assert sorted(path.name for path in (cache / "mnist").iterdir()) == [
        "train-images-idx3-ubyte.gz",
        "train-labels-idx1-ubyte.gz",
    ]
    monkeypatch.setattr(idx, "MNIST", replace(idx.MNIST, mirrors=()))
    assert len(mnist()) == 3


def test_without_a_network_the_message_says_what_to_do(tmp_path, monkeypatch, refuses):
    mirrors = (f"{tmp_path.as_uri()}/absent/",)
    monkeypatch.setattr(idx, "FASHION_MNIST", replace(idx.FASHION_MNIST, mirrors=mirrors))
    folder, name = tmp_path / "root", "train-images-idx3-ubyte.gz"
    with refuses(
        DataError,
        f"{name} is not in {folder} and cannot be downloaded "
        f"([Errno 2] No such file or directory: '{tmp_path}/absent/{name}'); get it from {mirrors[0]}{name} and put it "
        "into that folder, or on Debian and Ubuntu: apt install dataset-fashion-mnist",
    ):
        fashion_mnist(root=folder)


def test_a_download_with_another_md5_is_not_kept(tmp_path, monkeypatch, refuses):
    server, folder, name = tmp_path / "server", tmp_path / "root", "train-images-idx3-ubyte.gz"
    write_dataset(server, suffix=".gz")
    found = hashlib.md5((server / name).read_bytes()).hexdigest()
    monkeypatch.setattr(idx, "MNIST", replace(idx.MNIST, mirrors=(f"{server.as_uri()}/",)))
    with refuses(
        DataError,
        f"{name} is not in {folder} and cannot be downloaded (md5 of {server.as_uri()}/{name} is {found}, "
        f"want f68b3c2dcbeaaa9fbdd348bbdeb94873); get it from {server.as_uri()}/{name} and put it into that folder",
    ):
        mnist(root=folder)
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (
            idx_bytes(IMAGES)[:-100],
            "is truncated: expected 2,368 bytes for shape (3, 28, 28) of uint8, found 2,268; download it again",
        ),
        (
            idx_bytes(LABELS) + b"!",
            "is too long: expected 11 bytes for shape (3,) of uint8, found 12; download it again",
        ),
        (idx_bytes(IMAGES)[:9], "is truncated: expected 16 bytes of header, found 9; download it again"),
        (b"\x89PNG\r\n", "is no IDX file: it starts with 89 50 4e 47, want 00 00 08 03 for images; check the path"),
        (b"", "is no IDX file: it starts with nothing, want 00 00 08 03 for images; check the path"),
    ],
)
def test_broken_idx_files(tmp_path, data, text, refuses):
    path = tmp_path / "data-idx3-ubyte"
    path.write_bytes(data)
    with refuses(DataError, f"{path} {text}"):
        read_idx(path)


def test_broken_and_missing_packed_files(tmp_path, refuses):
    path = tmp_path / "data-idx3-ubyte.gz"
    with refuses(DataError, f"the file {path} does not exist; check the path"):
        read_idx(path)
    path.write_bytes(gzip.compress(idx_bytes(IMAGES), mtime=0)[:50])
    with refuses(
        DataError,
        f"{path} is a broken gzip file of 50 bytes "
        "(Compressed file ended before the end-of-stream marker was reached); download it again",
    ):
        read_idx(path)
    path.write_bytes(b"<html>")
    with refuses(DataError, f"{path} is a broken gzip file of 6 bytes (Not a gzipped file (b'<h')); download it again"):
        read_idx(path)
