import numpy as np
import pytest
from PIL import Image

from striate.data import Compose, DataLoader, ImageFolder, RandomCrop, Resize, read_image
from striate.errors import ArgumentError, DataError

LEFT_RED = np.zeros((6, 8, 3), np.uint8)
LEFT_RED[:, :4, 0] = 255


@pytest.fixture
def root(tmp_path):
    """Two cats, one of them a folder down, and a dog."""
    for name in ("cat/1.png", "cat/old/2.png", "dog/1.jpg"):
        path = tmp_path / "pets" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(LEFT_RED).save(path)
    (tmp_path / "pets" / "cat" / "notes.txt").write_text("not an image")
    (tmp_path / "pets" / "README.md").write_text("not a class")
    return tmp_path / "pets"


def test_folders_are_classes_and_images_come_in_order(root):
    data = ImageFolder(root)
    assert data.classes == ["cat", "dog"] and len(data) == 3
    assert [path.relative_to(root).as_posix() for path, _ in data.samples] == [
        "cat/1.png",
        "cat/old/2.png",
        "dog/1.jpg",
    ]
    x, y = data.batch([0, 2])
    assert (x.shape, x.dtype, y.tolist()) == ((2, 3, 6, 8), np.float32, [0, 1])
    np.testing.assert_array_equal(x[0], LEFT_RED.transpose(2, 0, 1) / np.float32(255))
    assert data[1][1] == 0


def test_size_and_grey(root):
    x, _ = next(iter(DataLoader(ImageFolder(root, size=(3, 4), grey=True), batch_size=3, num_workers=2)))
    assert x.shape == (3, 1, 3, 4)
    np.testing.assert_allclose(x[0, 0, :, 0], 76 / 255)  # the luma of red


def test_the_orientation_that_a_camera_noted_is_applied(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90 degrees clockwise to view
    Image.fromarray(LEFT_RED).save(tmp_path / "turned.png", exif=exif)
    np.testing.assert_array_equal(read_image(tmp_path / "turned.png"), np.rot90(LEFT_RED, -1).transpose(2, 0, 1))


def test_any_kind_of_pixel_becomes_8_bit(tmp_path):
    Image.fromarray(np.full((2, 2), 0x8012, np.uint16)).save(tmp_path / "deep.png")
    Image.fromarray(LEFT_RED).quantize(4).save(tmp_path / "palette.gif")
    Image.fromarray(LEFT_RED).convert("RGBA").save(tmp_path / "alpha.png")
    assert (read_image(tmp_path / "deep.png") == 0x80).all()
    assert (read_image(tmp_path / "deep.png", grey=True) == np.full((1, 2, 2), 0x80)).all()
    for name in ("palette.gif", "alpha.png"):
        np.testing.assert_array_equal(read_image(tmp_path / name), LEFT_RED.transpose(2, 0, 1))


def test_transforms_of_each_image_are_reproducible_for_any_number_of_threads(root):
    Image.fromarray(LEFT_RED[:, :7]).save(root / "dog" / "2.png")  # of another size
    data = ImageFolder(root, transform=Compose([Resize(6), RandomCrop(4)]))
    runs = []
    for num_workers in (0, 3):
        loader = DataLoader(data, batch_size=2, num_workers=num_workers, seed=1)
        runs.append([[x for x, _ in loader] for _ in range(3)])
    np.testing.assert_equal(runs[0], runs[1])
    assert (np.concatenate(runs[0][0]) != np.concatenate(runs[0][1])).any()


def test_broken_files_are_skipped_by_name(root):
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    Image.fromarray(noise).save(root / "cat" / "1.png")
    (root / "cat" / "1.png").write_bytes((root / "cat" / "1.png").read_bytes()[:5000])
    (root / "dog" / "2.jpg").write_text("not an image")
    text = (
        f"2 of 4 images in {root} cannot be read and are left out: "
        "cat/1.png (image file is truncated), dog/2.jpg (no image format known to Pillow)"
    )
    with pytest.warns(UserWarning) as caught:
        data = ImageFolder(root)
    assert [str(warning.message) for warning in caught] == [text]
    assert caught[0].filename == __file__
    assert len(data) == 2 and [path.name for path, _ in data.broken] == ["1.png", "2.jpg"]
    assert data.batch([0, 1])[1].tolist() == [0, 1]


def test_broken_files_are_refused_by_name(root, refuses):
    (root / "dog" / "1.jpg").write_bytes(b"")
    with refuses(
        DataError,
        f"1 of 3 images in {root} cannot be read: dog/1.jpg (no image format known to Pillow); "
        "mend or remove them, or use broken='skip'",
    ):
        ImageFolder(root, broken="refuse")


def test_broken_files_are_met_later(root, refuses):
    (root / "dog" / "1.jpg").write_bytes(b"")
    data = ImageFolder(root, broken="later")
    assert len(data) == 3
    with refuses(
        DataError,
        f"item 2 of ImageFolder: {root / 'dog' / '1.jpg'} cannot be read as an image "
        "(no image format known to Pillow); mend or remove it",
    ):
        list(DataLoader(data, batch_size=3, num_workers=1))


def test_nothing_but_broken_files(tmp_path, refuses):
    (tmp_path / "cat").mkdir()
    for k in range(12):
        (tmp_path / "cat" / f"{k:02}.png").write_bytes(b"")
    names = ", ".join(f"cat/{k:02}.png (no image format known to Pillow)" for k in range(10))
    with refuses(DataError, f"12 of 12 images in {tmp_path} cannot be read: {names}, and 2 more; mend or remove them"):
        ImageFolder(tmp_path)


def test_folders_that_hold_no_dataset(root, tmp_path, refuses):
    with refuses(DataError, f"the folder {tmp_path / 'absent'} does not exist; check the path"):
        ImageFolder(tmp_path / "absent")
    empty = tmp_path / "empty"
    empty.mkdir()
    with refuses(
        DataError,
        f"{empty} has no folders, so no classes; put the images of each class into a folder of its own, "
        f"such as {empty / 'cat'}",
    ):
        ImageFolder(empty)
    (root / "emu").mkdir()
    with refuses(
        DataError,
        f"the class folder {root / 'emu'} has no images "
        "(.jpg .jpeg .png .bmp .gif .webp .tif .tiff .ppm .pgm); add some or remove it",
    ):
        ImageFolder(root)
    with refuses(ArgumentError, "broken must be 'skip', 'refuse' or 'later', got 'drop'"):
        ImageFolder(root, broken="drop")


def test_images_of_different_sizes_need_a_size(root, refuses):
    Image.fromarray(LEFT_RED[:, :7]).save(root / "cat" / "3.png")
    with refuses(
        DataError,
        "items 0 and 1 cannot be one batch: their x have shapes (3, 6, 8) and (3, 6, 7); "
        "make them equal, images by size=(height, width)",
    ):
        ImageFolder(root).batch([0, 1])
