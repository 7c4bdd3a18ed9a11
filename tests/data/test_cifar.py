import tarfile
from dataclasses import replace

import numpy as np
import pytest

from striate.data import cifar, cifar10, read_cifar10
from striate.errors import DataError

RECORDS = 4


@pytest.fixture(autouse=True)
def small(monkeypatch):
    monkeypatch.setattr(cifar, "RECORDS", RECORDS)


def write_files(folder):
    """File k holds images full of k, with red + 100 and labels 0 ... 3."""
    folder.mkdir(parents=True)
    for k, name in enumerate(cifar.TRAIN + cifar.TEST):
        table = np.full((RECORDS, 3073), k, np.uint8)
        table[:, 0], table[:, 1:1025] = range(RECORDS), k + 100
        table.tofile(folder / name)


def write_archive(folder):
    write_files(folder / "made" / cifar.INNER)
    with tarfile.open(folder / cifar.ARCHIVE.name, "w:gz") as tar:
        tar.add(folder / "made" / cifar.INNER, cifar.INNER)


def test_training_and_test_images_from_their_files(tmp_path):
    write_files(tmp_path / "data")
    data = cifar10(root=tmp_path / "data")
    assert data.x.shape == (20, 3, 32, 32) and data.y.tolist() == [0, 1, 2, 3] * 5
    assert data.x[4, :, 0, 0].tolist() == [101, 1, 1] and data.classes[data.y[1]] == "automobile"
    test = cifar10(train=False, root=tmp_path / "data")
    assert test.x.shape == (4, 3, 32, 32) and test.x[0, 1, 31, 31] == 5


def test_an_archive_is_unpacked_once(tmp_path):
    write_archive(tmp_path)
    assert len(cifar10(root=tmp_path)) == 20
    (tmp_path / cifar.ARCHIVE.name).unlink()
    assert len(cifar10(train=False, root=tmp_path)) == 4


def test_without_a_network_the_message_says_what_to_do(cache, tmp_path, monkeypatch, refuses):
    mirror = f"{tmp_path.as_uri()}/absent/"
    monkeypatch.setattr(cifar, "ARCHIVE", replace(cifar.ARCHIVE, mirrors=(mirror,)))
    with refuses(
        DataError,
        f"cifar-10-binary.tar.gz is not in {cache / 'cifar-10'} and cannot be downloaded "
        f"([Errno 2] No such file or directory: '{tmp_path}/absent/cifar-10-binary.tar.gz'); "
        f"get it from {mirror}cifar-10-binary.tar.gz and put it into that folder",
    ):
        cifar10()


def test_broken_files(tmp_path, refuses):
    write_files(tmp_path / "data")
    path = tmp_path / "data" / "data_batch_3.bin"
    path.write_bytes(path.read_bytes()[:10_000])
    with refuses(
        DataError,
        f"{path} is no whole CIFAR-10 file: expected 12,292 bytes = 4 records of 3,073, found 10,000; "
        "delete it and unpack the archive again",
    ):
        cifar10(root=tmp_path / "data")
    path.write_bytes(b"")
    with refuses(
        DataError,
        f"{path} is no whole CIFAR-10 file: expected 3,073 bytes = 1 records of 3,073, found 0; "
        "delete it and unpack the archive again",
    ):
        read_cifar10(path)
    path.unlink()
    with refuses(DataError, f"the file {path} does not exist; check the path"):
        cifar10(root=tmp_path / "data")


def test_a_label_that_is_no_class(tmp_path, refuses):
    write_files(tmp_path / "data")
    path = tmp_path / "data" / cifar.TEST[0]
    path.write_bytes(b"\x0c" + path.read_bytes()[1:])
    with refuses(
        DataError,
        "the label of item 0 is 12, but with 10 classes labels are whole numbers from 0 to 9; "
        "mend the label or give all classes",
    ):
        cifar10(train=False, root=tmp_path / "data")


def test_a_broken_archive(tmp_path, refuses):
    write_archive(tmp_path)
    path = tmp_path / cifar.ARCHIVE.name
    path.write_bytes(path.read_bytes()[:200])
    with refuses(
        DataError,
        f"{path} is a broken archive (Compressed file ended before the end-of-stream marker was reached); "
        "delete it and download it again",
    ):
        cifar10(root=tmp_path)
