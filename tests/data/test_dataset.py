import numpy as np
import pytest

from striate.data import ArrayDataset, Dataset, Subset, random_split
from striate.data.dataset import read_batch
from striate.errors import ArgumentError, DataError

IMAGES = np.arange(4 * 3 * 2 * 2, dtype=np.uint8).reshape(4, 3, 2, 2)


def test_bytes_become_float32_as_they_are_read_and_stay_bytes_in_memory():
    data = ArrayDataset(IMAGES, [0, 1, 1, 0], classes=["cat", "dog"])
    x, y = data.batch([3, 1])
    assert data.x.dtype == np.uint8
    assert x.dtype == np.float32 and y.dtype == np.int64
    np.testing.assert_array_equal(x, IMAGES[[3, 1]].astype(np.float32) / 255)
    np.testing.assert_array_equal(data[3][0], x[0])
    assert data[1][1] == 1 and repr(data) == "ArrayDataset(4 items)"


def test_batches_are_contiguous_even_from_channels_last_memory():
    data = ArrayDataset(IMAGES.transpose(0, 2, 3, 1).copy().transpose(0, 3, 1, 2), np.zeros(4))
    assert data.batch([0, 2])[0].flags.c_contiguous
    assert data[0][0].flags.c_contiguous


@pytest.mark.parametrize(
    ("x", "y", "kinds"),
    [
        (np.zeros((2, 3)), np.zeros(2), ("float32", "float32")),
        (np.zeros((2, 3), np.int32), np.zeros(2, np.uint8), ("int64", "int64")),
        (np.zeros((2, 3), bool), np.zeros(2, bool), ("float32", "int64")),
    ],
)
def test_dtypes_that_a_network_and_a_loss_read(x, y, kinds):
    assert tuple(array.dtype.name for array in ArrayDataset(x, y).batch([0])) == kinds


def test_labels_written_as_fractions_become_labels_where_classes_are_known():
    assert ArrayDataset(IMAGES, [0.0, 1.0, -100.0, 1.0], classes=2).y.tolist() == [0, 1, -100, 1]


@pytest.mark.parametrize(
    ("x", "y", "classes", "text"),
    [
        (
            IMAGES,
            [0, 1],
            None,
            "x has 4 items but y has 2: shapes (4, 3, 2, 2) and (2,); give one y for every x",
        ),
        (
            IMAGES[:0],
            [],
            None,
            "the dataset is empty: x has shape (0, 3, 2, 2); give at least one item",
        ),
        (
            IMAGES,
            [0.0, 1.0, np.nan, 0.0],
            None,
            "the label of item 2 is nan; remove the item or mend its label",
        ),
        (
            IMAGES,
            [0, 1, 2, 0],
            2,
            "the label of item 2 is 2, but with 2 classes labels are whole numbers from 0 to 1; "
            "mend the label or give all classes",
        ),
        (
            IMAGES,
            [0, 0.5, 1, 0],
            2,
            "the label of item 1 is 0.5, but with 2 classes labels are whole numbers from 0 to 1; "
            "mend the label or give all classes",
        ),
        (
            IMAGES,
            [[0, 1], [1, 1], [1, 0], [-1, 0]],
            2,
            "the label of item 3 is -1, but with 2 classes labels are whole numbers from 0 to 1; "
            "mend the label or give all classes",
        ),
        (
            IMAGES,
            [0, -1, 0, 0],
            None,
            "the label of item 1 is -1, but labels count classes from 0; "
            "mend it, use -100 to ignore the item, or give float targets",
        ),
        (
            5.0,
            [0],
            None,
            "x must be an array of numbers with one entry per item, got shape () of float64",
        ),
        (
            IMAGES,
            ["cat", "dog", "dog", "cat"],
            None,
            "y must be an array of numbers with one entry per item, got shape (4,) of <U3",
        ),
    ],
)
def test_arrays_that_make_no_dataset(x, y, classes, text, refuses):
    with refuses(DataError, text):
        ArrayDataset(x, y, classes)


def test_ragged_lists(refuses):
    with pytest.raises(DataError, match=r"^x is no array: .*; give every item the same shape$"):
        ArrayDataset([[1.0, 2.0], [3.0]], [0, 1])


def test_split_by_lengths_and_by_fractions_shares_out_every_item_once():
    data = ArrayDataset(np.arange(10.0), np.arange(10))
    for lengths, sizes in (([7, 3], [7, 3]), ([0.75, 0.25], [8, 2]), ([1 / 3, 1 / 3, 1 / 3], [4, 3, 3])):
        parts = random_split(data, lengths, seed=1)
        assert [len(part) for part in parts] == sizes
        assert sorted(y for part in parts for _, y in part) == list(range(10))
    orders = [random_split(data, [7, 3], seed=seed)[0].indices.tolist() for seed in (1, 1, 2)]
    assert orders[0] == orders[1] != orders[2]


def test_subset_of_a_subset_reads_the_items_and_keeps_the_classes():
    data = ArrayDataset(IMAGES, [0, 1, 1, 0], classes=["cat", "dog"])
    part = Subset(Subset(data, [3, 2, 1]), [2, 0])
    np.testing.assert_array_equal(part.batch(np.array([1, 0]))[0], data.batch([3, 1])[0])
    assert part[0][1] == 1 and part.classes == ["cat", "dog"]


def test_splits_that_do_not_add_up(refuses):
    data = ArrayDataset(np.zeros(10), np.zeros(10))
    with refuses(
        ArgumentError,
        "lengths [7, 2] sum to 9, but the dataset has 10 items; "
        "give lengths that sum to 10, or fractions that sum to 1",
    ):
        random_split(data, [7, 2])
    with refuses(ArgumentError, "lengths [] must be one or more numbers, none below zero"):
        random_split(data, [])
    with refuses(ArgumentError, "index 10 is not in the dataset; indices go from 0 to 9"):
        Subset(data, [0, 10])


class Faulty(Dataset):
    """Item 2 has another shape, item 3 cannot be read."""

    def __len__(self):
        return 4

    def __getitem__(self, index):
        return np.zeros(2 + index // 2) / (3 - index or int("x")), 0


def test_items_that_make_no_batch(refuses):
    with refuses(
        DataError,
        "items 1 and 2 cannot be one batch: their x have shapes (2,) and (3,); "
        "make them equal, images by size=(height, width)",
    ):
        Faulty().batch([1, 2])
    with refuses(DataError, "item 3 of Faulty: ValueError: invalid literal for int() with base 10: 'x'"):
        Faulty().batch([0, 3])


def test_a_list_of_pairs_is_a_dataset_too():
    x, y = read_batch([(np.ones(2), 0), (np.zeros(2), 1)], [1, 0])
    assert x.tolist() == [[0, 0], [1, 1]] and y.tolist() == [1, 0]
