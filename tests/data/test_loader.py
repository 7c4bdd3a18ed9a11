import threading
import time

import numpy as np
import pytest

from striate.data import ArrayDataset, Compose, DataLoader, Dataset, RandomCrop, RandomHorizontalFlip
from striate.errors import ArgumentError, DataError


def numbered(n):
    """n images of noise, each labelled by its place."""
    return ArrayDataset(np.random.default_rng(0).random((n, 3, 8, 8), np.float32), np.arange(n))


def labels(loader):
    return [y.tolist() for _, y in loader]


def test_batches_in_order_with_the_short_last_one():
    assert labels(DataLoader(numbered(5), batch_size=2)) == [[0, 1], [2, 3], [4]]
    assert labels(DataLoader(numbered(5), batch_size=2, drop_last=True)) == [[0, 1], [2, 3]]
    assert labels(DataLoader(numbered(3))) == [[0], [1], [2]]
    assert [len(DataLoader(numbered(5), 2, drop_last=drop)) for drop in (False, True)] == [3, 2]


def test_images_are_contiguous_float32_and_labels_int64():
    x, y = next(iter(DataLoader(numbered(5), batch_size=4, transform=RandomHorizontalFlip(1.0))))
    assert (x.shape, x.dtype, x.flags.c_contiguous) == ((4, 3, 8, 8), np.float32, True)
    assert y.dtype == np.int64


def test_each_epoch_has_an_order_of_its_own_that_the_seed_fixes():
    first, again, other = (DataLoader(numbered(20), 20, shuffle=True, seed=seed) for seed in (1, 1, 2))
    epochs = [labels(first)[0] for _ in range(3)]
    assert all(sorted(epoch) == list(range(20)) for epoch in epochs)
    assert epochs[0] != epochs[1] != epochs[2]
    assert [labels(again)[0] for _ in range(3)] == epochs
    assert labels(other)[0] != epochs[0]
    again.epoch = 1  # training that goes on from a checkpoint
    assert labels(again)[0] == epochs[1]


def test_batches_are_the_same_for_any_number_of_threads_and_augmentation_for_any_batch_size():
    crop = Compose([RandomCrop(8, padding=2), RandomHorizontalFlip()])

    def epochs(batch_size, num_workers, shuffle):
        loader = DataLoader(numbered(30), batch_size, shuffle, num_workers=num_workers, seed=3, transform=crop)
        return [[np.concatenate(arrays) for arrays in zip(*loader, strict=True)] for _ in range(2)]

    for num_workers in (1, 4):
        np.testing.assert_equal(epochs(7, num_workers, True), epochs(7, 0, True))
    np.testing.assert_equal(epochs(30, 0, False), epochs(4, 2, False))
    first, second = epochs(30, 0, False)
    assert (first[0] != second[0]).any()


class Slow(Dataset):
    """Counts what it reads."""

    reads = 0

    def __len__(self):
        return 1000

    def __getitem__(self, index):
        self.reads += 1
        time.sleep(0.001)
        return np.zeros(1), index


def data_threads():
    return [thread for thread in threading.enumerate() if thread.name.startswith("striate-data")]


def test_an_abandoned_iterator_stops_reading_and_leaves_no_threads():
    data = Slow()
    batches = iter(DataLoader(data, batch_size=10, num_workers=2))
    next(batches)
    assert len(data_threads()) == 2
    del batches
    deadline = time.monotonic() + 2
    while data_threads() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not data_threads() and data.reads < 100


class Broken(Slow):
    def __getitem__(self, index):
        if index == 13:
            raise KeyError("thirteen")
        return np.zeros(1), index


@pytest.mark.parametrize("num_workers", [0, 2])
def test_an_error_in_a_thread_reaches_the_reader_with_the_item_and_its_cause(num_workers, refuses):
    batches = iter(DataLoader(Broken(), batch_size=10, num_workers=num_workers))
    next(batches)
    with refuses(DataError, "item 13 of Broken: KeyError: 'thirteen'"):
        next(batches)
    with pytest.raises(DataError) as info:
        list(DataLoader(Broken(), batch_size=10, num_workers=num_workers))
    assert isinstance(info.value.__cause__, KeyError)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"batch_size": 0}, "batch_size must be at least 1, got 0"),
        ({"num_workers": -1}, "num_workers must be at least 0, got -1; 0 reads without threads"),
        (
            {"batch_size": 8, "drop_last": True},
            "drop_last=True with batch_size=8 leaves no batch of 5 items; "
            "use a batch_size of at most 5 or drop_last=False",
        ),
    ],
)
def test_arguments_out_of_range(arguments, text, refuses):
    with refuses(ArgumentError, text):
        DataLoader(numbered(5), **arguments)


def test_a_dataset_without_items(refuses):
    with refuses(DataError, "list is empty; give at least one item"):
        DataLoader([])
