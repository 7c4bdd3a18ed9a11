import secrets

import numpy as np
import pytest

from striate.data import CaptchaDataset, DataLoader
from striate.data import captcha as module
from striate.errors import ArgumentError, DataError

SMALL = {"size": (15, 40), "grey": True}


def test_pictures_and_labels_of_any_alphabet_length_and_size():
    for alphabet, length, width, height, grey in (("01", 3, 90, 40, True), ("ABCdef789é", 6, 200, 70, False)):
        data = CaptchaDataset(5, alphabet, length, width, height, grey=grey)
        x, y = data.batch(range(5))
        assert x.shape == (5, 1 if grey else 3, height, width) and x.dtype == np.float32
        assert y.shape == (5, length) and y.dtype == np.int64
        assert set(data.text(y.ravel())) <= set(alphabet) and data.classes == list(alphabet)
        assert x.min() >= 0 and x.max() <= 1 and x.std() > 0.02


def test_an_item_depends_on_the_seed_and_its_index_alone():
    few, many, other = (CaptchaDataset(n, seed=seed, **SMALL) for n, seed in ((5, 1), (50, 1), (5, 2)))
    order = [few[k] for k in (4, 0, 3)]
    for k, (x, y) in zip((4, 0, 3), order, strict=True):
        np.testing.assert_array_equal(many[k][0], x)
        np.testing.assert_array_equal(many[k][1], y)
    assert (few.batch(range(5))[0] != other.batch(range(5))[0]).any()
    assert (few.labels != other.labels).any()


def test_threads_draw_the_same_pictures():
    data = CaptchaDataset(40, **SMALL)
    runs = [[x for x, _ in DataLoader(data, 10, num_workers=num_workers)] for num_workers in (0, 4)]
    np.testing.assert_equal(runs[0], runs[1])


def test_the_librarys_own_captchas_stay_unpredictable():
    import captcha.image

    CaptchaDataset(1, **SMALL)[0]
    assert captcha.image.secrets is secrets


def test_arrays_from_this_process_and_from_several_hold_the_same_pictures(monkeypatch, cache):
    monkeypatch.setattr(module, "SMALL_JOB", 8)
    data = CaptchaDataset(20, **SMALL)
    for workers in (1, 3):
        arrays = data.materialise(workers, cache=False)
        assert arrays.x.dtype == np.uint8 and arrays.classes == list("0123456789")
        np.testing.assert_equal(arrays.batch(range(20)), data.batch(range(20)))
    assert not cache.exists()


def test_arrays_are_cached_and_broken_files_in_the_cache_are_made_again(cache, monkeypatch):
    data = CaptchaDataset(6, **SMALL)
    first = data.materialise().x
    [path] = (cache / "captcha").iterdir()
    path.write_bytes(path.read_bytes()[:-10])
    np.testing.assert_array_equal(data.materialise().x, first)
    monkeypatch.setattr(CaptchaDataset, "draw", None)
    np.testing.assert_array_equal(data.materialise().x, first)
    assert CaptchaDataset(6, seed=1, **SMALL).fingerprint() != data.fingerprint()


def test_a_worker_that_fails_is_reported(monkeypatch, refuses):
    monkeypatch.setattr(module, "SMALL_JOB", 1)
    monkeypatch.setattr(module, "WORKER", "raise SystemExit('no memory')")
    with refuses(DataError, "a process that draws captchas failed: no memory"):
        CaptchaDataset(2, **SMALL).materialise(workers=2, cache=False)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"count": 0}, "count must be at least 1, got 0"),
        ({"count": 1, "length": 0}, "length must be at least 1, got 0"),
        ({"count": 1, "width": 0}, "width must be at least 1, got 0"),
        ({"count": 1, "size": (0, 4)}, "size must be at least one pixel each way, got (0, 4)"),
        ({"count": 1, "alphabet": ""}, "alphabet must be one or more different characters, got ''"),
        ({"count": 1, "alphabet": "0120"}, "alphabet must be one or more different characters, got '0120'"),
        (
            {"count": 1, "alphabet": "ab中"},
            "the font Droid Sans Mono has no picture of '中' (U+4E2D); "
            "leave it out of the alphabet, or give fonts=[path of a font that has it]",
        ),
        (
            {"count": 1, "alphabet": "a b"},
            "the font Droid Sans Mono has no picture of ' ' (U+0020); "
            "leave it out of the alphabet, or give fonts=[path of a font that has it]",
        ),
    ],
)
def test_captchas_that_cannot_be_drawn(arguments, text, refuses):
    with refuses(ArgumentError, text):
        CaptchaDataset(**arguments)


def test_without_the_library(monkeypatch, refuses):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    module.library.cache_clear()
    with refuses(DataError, "captchas are drawn by the library captcha, which is not installed; pip install captcha"):
        CaptchaDataset(1)
