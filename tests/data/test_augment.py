import numpy as np
import pytest

from striate.data import (
    ColorJitter,
    Compose,
    Draws,
    Normalize,
    RandomCrop,
    RandomErasing,
    RandomHorizontalFlip,
    RandomRotation,
    Resize,
)
from striate.errors import ArgumentError, DataError

N = 200
IMAGES = np.random.default_rng(0).random((N, 3, 7, 10), np.float32)
RANDOM = [
    RandomCrop((6, 9), padding=2),
    RandomHorizontalFlip(),
    RandomRotation(30),
    RandomRotation(30, interpolation="bilinear"),
    RandomErasing(0.7),
    ColorJitter(0.4, 0.4, 0.4),
]


def draws(indices=range(N), epoch=0):
    return Draws(seed=5, epoch=epoch, indices=indices)


@pytest.mark.parametrize("transform", [*RANDOM, Compose(RANDOM)])
def test_what_an_item_becomes_depends_on_the_item_and_the_epoch_alone(transform):
    before = IMAGES.copy()
    whole = transform(IMAGES, draws())
    np.testing.assert_array_equal(transform(IMAGES[50:60], draws(range(50, 60))), whole[50:60])
    np.testing.assert_array_equal(transform(IMAGES[7], draws([7])), whole[7])
    assert (transform(IMAGES, draws(epoch=1)) != whole).any()
    assert whole.dtype == np.float32 and (IMAGES == before).all()


def test_without_draws_every_call_draws_anew():
    crop = RandomCrop(4)
    assert any((crop(IMAGES[0]) != crop(IMAGES[0])).any() for _ in range(5))


def test_draws_are_uniform_and_independent():
    numbers = np.stack([draws(range(20000)).random(2), draws(range(20000), epoch=1).random(2)], -1).reshape(20000, 4)
    assert 0 <= numbers.min() and numbers.max() < 1
    np.testing.assert_allclose(numbers.mean(0), 0.5, atol=0.01)
    np.testing.assert_allclose(np.corrcoef(numbers.T), np.eye(4), atol=0.03)
    counts = np.bincount(draws(range(20000)).integers(5))
    assert len(counts) == 5 and np.allclose(counts, 4000, atol=250)
    mine, batch = draws([3]), draws([3]).item(0)
    assert mine.random()[0] != mine.random()[0] != batch.random()[0]


def test_crops_are_windows_of_the_padded_image_and_reach_every_place():
    padded = np.pad(IMAGES, ((0, 0), (0, 0), (1, 1), (1, 1)))
    places = set()
    for k, crop in enumerate(RandomCrop((7, 10), padding=1)(IMAGES, draws())):
        found = [(p, q) for p in range(3) for q in range(3) if (padded[k, :, p : p + 7, q : q + 10] == crop).all()]
        assert len(found) == 1
        places.update(found)
    assert len(places) == 9


def test_flips_are_whole_images_in_the_given_share():
    flipped = RandomHorizontalFlip(0.3)(IMAGES, draws())
    changed = (flipped != IMAGES).any(axis=(1, 2, 3))
    np.testing.assert_array_equal(flipped[changed], IMAGES[changed][..., ::-1])
    assert 0.2 < changed.mean() < 0.4


@pytest.mark.parametrize("interpolation", ["nearest", "bilinear"])
def test_quarter_turns_are_counter_clockwise(interpolation):
    square = IMAGES[..., :7]
    turned = RandomRotation((90, 90), interpolation)(square, draws())
    np.testing.assert_allclose(turned, np.rot90(square, axes=(2, 3)), atol=1e-5)


def test_rotation_is_pillows():
    from PIL import Image

    image = IMAGES[0, 0]
    expected = Image.fromarray(image).rotate(20, Image.Resampling.NEAREST, fillcolor=0.5)
    np.testing.assert_array_equal(RandomRotation((20, 20), fill=0.5)(image[None])[0], expected)


def test_erased_rectangles_have_the_area_and_shape_asked_for():
    ones = np.ones((N, 1, 40, 40), np.float32)
    erased = RandomErasing(p=1.0, scale=(0.1, 0.2), ratio=(0.5, 2.0))(ones, draws()) == 0
    height, width = erased.any(3).sum(2)[:, 0], erased.any(2).sum(2)[:, 0]
    assert (erased.sum((1, 2, 3)) == height * width).all()  # full rectangles
    assert (height * width / 1600 > 0.08).all() and (height * width / 1600 < 0.22).all()
    assert (height / width > 0.45).all() and (height / width < 2.2).all()
    assert 0.35 < (RandomErasing(0.5)(ones, draws()) == 0).any((1, 2, 3)).mean() < 0.65


def test_jitter_multiplies_blends_and_stays_in_range():
    bright = ColorJitter(brightness=(0.5, 0.5))(IMAGES)
    np.testing.assert_allclose(bright, IMAGES * 0.5, rtol=1e-6)
    flat = ColorJitter(contrast=(0, 0))(IMAGES)
    np.testing.assert_allclose(flat.std(axis=(1, 2, 3)), 0, atol=1e-6)
    grey = ColorJitter(saturation=(0, 0))(IMAGES)
    np.testing.assert_allclose(grey[:, 0], np.einsum("c,nchw->nhw", [0.299, 0.587, 0.114], IMAGES), rtol=1e-5)
    np.testing.assert_array_equal(grey[:, 0], grey[:, 2])
    wild = ColorJitter(5, 5, 5)(IMAGES)
    assert wild.min() == 0 and wild.max() == 1
    one = IMAGES[:, :1]
    np.testing.assert_allclose(ColorJitter(saturation=0.5)(one), one, rtol=1e-6)


def test_normalize_works_by_channel():
    mean, std = [0.1, 0.2, 0.3], [0.5, 1.0, 2.0]
    expected = np.stack([(IMAGES[:, c] - mean[c]) / std[c] for c in range(3)], 1)
    np.testing.assert_allclose(Normalize(mean, std)(IMAGES), expected, rtol=1e-5, atol=1e-6)


def test_resize_is_antialiased_and_keeps_the_ratio_for_one_side():
    stripes = np.tile(np.float32([0, 1]), (1, 1, 8, 16))
    half = Resize((4, 16))(stripes)
    assert half.shape == (1, 1, 4, 16) and np.allclose(half[..., 2:-2], 0.5)
    assert Resize(14)(IMAGES).shape == (N, 3, 14, 20)
    assert Resize(14)(IMAGES.swapaxes(2, 3)).shape == (N, 3, 20, 14)


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: RandomCrop(0), "size must be at least one pixel each way, got 0"),
        (lambda: RandomCrop(4, padding=-1), "padding must be at least 0, got -1"),
        (lambda: RandomHorizontalFlip(1.5), "p must be a probability from 0 to 1, got 1.5"),
        (lambda: RandomRotation(-5), "degrees must be a number >= 0 or a pair (low, high), got -5"),
        (lambda: RandomRotation(5, "cubic"), "interpolation must be 'nearest' or 'bilinear', got 'cubic'"),
        (
            lambda: RandomErasing(scale=(0.5, 0.1)),
            "scale must be a pair of shares 0 <= low <= high <= 1, got (0.5, 0.1)",
        ),
        (lambda: RandomErasing(ratio=(0, 1)), "ratio must be a pair 0 < low <= high, got (0, 1)"),
        (lambda: ColorJitter(contrast=-1), "contrast must be a number >= 0 or a pair 0 <= low <= high, got -1"),
        (lambda: Normalize([0, 0], [1]), "mean and std must have one number for each channel, got [0, 0] and [1]"),
        (lambda: Normalize([0], [0]), "std must be above zero for every channel, got [0]"),
        (lambda: Resize((0, 5)), "size must be at least one pixel each way, got (0, 5)"),
    ],
)
def test_arguments_out_of_range(make, text, refuses):
    with refuses(ArgumentError, text):
        make()


@pytest.mark.parametrize(
    ("transform", "shape", "text"),
    [
        (
            RandomCrop(9, padding=1),
            (2, 1, 6, 8),
            "RandomCrop: a crop of (9, 9) does not fit in images of (8, 10) pixels, padding included; "
            "use a smaller size or more padding",
        ),
        (
            RandomHorizontalFlip(),
            (8, 8),
            "RandomHorizontalFlip wants images [N, C, H, W] or one [C, H, W], got shape (8, 8)",
        ),
        (ColorJitter(contrast=0.5), (2, 4, 8, 8), "ColorJitter wants images of 1 or 3 channels, got 4"),
        (
            Normalize([0, 0], [1, 1]),
            (2, 3, 8, 8),
            "Normalize has means for 2 channels but the images have 3; give one mean and std for each channel",
        ),
    ],
)
def test_images_that_do_not_fit(transform, shape, text, refuses):
    with refuses(DataError, text):
        transform(np.zeros(shape, np.float32))
