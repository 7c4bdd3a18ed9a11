"""What the notes say about training: regions of a map, fixed seeds, threads."""

import numpy as np
import pytest

import striate as st
from striate import data, nn, optim


class Regions(nn.Module):
    """One map of features for all boxes of the images; each box becomes 3 x 3 numbers of each channel, and a class."""

    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(8, 16, 3, padding=1),
                                  nn.ReLU())  # fmt: skip
        self.crop = nn.RoIAlign(3, spatial_scale=0.5, sampling_ratio=2)
        self.head = nn.Linear(16 * 9, 2)

    def forward(self, images, boxes):
        return self.head(self.crop(self.body(images), boxes).flatten(1))


def regions(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Images of noise with two striped boxes each (image, x1, y1, x2, y2), and whether stripes lie (0) or stand (1)."""
    rng = np.random.default_rng(seed)
    images, boxes = rng.normal(0, 0.3, (16, 1, 32, 32)).astype(np.float32), []
    kinds = rng.integers(2, size=32)
    for k, kind in enumerate(kinds):
        top, left, stripes = rng.integers(6), rng.integers(6) + 16 * (k % 2), np.arange(10) % 4 < 2
        height, width = rng.integers(8, 11, 2)
        part = images[k // 2, 0, top : top + height, left : left + width]
        part += stripes[:width] if kind else stripes[:height, None]
        boxes.append((k // 2, left, top, left + width, top + height))
    return images, np.array(boxes, np.float32), kinds


def test_S220_a_head_on_regions_of_a_map_learns():
    """Detection's second half: given boxes are told apart, and the gradient reaches the map below them."""
    st.seed(0)
    net, optimizer = Regions(), optim.Adam(lr=1e-2)
    for step in range(40):
        images, boxes, kinds = regions(seed=step)
        scores, pullback = st.vjp(net, images, boxes)
        p = np.exp(scores - scores.max(axis=1, keepdims=True))
        _, gradients = pullback((p / p.sum(axis=1, keepdims=True) - np.eye(2)[kinds]) / len(kinds))
        assert np.abs(gradients["body.0.weight"]).max() > 0
        optimizer.apply(net, gradients)
    images, boxes, kinds = regions(seed=100)
    assert np.mean(net(images, boxes).argmax(axis=1) == kinds) > 0.9


def run(seed: int, threads: int) -> tuple[list[float], dict[str, np.ndarray]]:
    """Losses and weights of a short training with dropout and shuffling, everything drawn from one seed."""
    before = st.get_num_threads()
    st.set_num_threads(threads)
    try:
        st.seed(seed)
        net = nn.Sequential(nn.Conv2d(1, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(4), nn.Flatten(),
                            nn.Dropout(0.3), nn.Linear(8 * 49, 10))  # fmt: skip
        trainer = st.Trainer(net, nn.CrossEntropyLoss(), optim.SGD(lr=0.05, momentum=0.9), progress=False)
        history = trainer.fit(data.stripes(160), epochs=2, batch_size=32)
        return history["loss"], net.state_dict()
    finally:
        st.set_num_threads(before)


@pytest.mark.parametrize("threads", [1, 3])
def test_S230_fixed_seeds_reproduce_results(threads):
    """Bit for bit, with one thread and with several; another seed gives another training."""
    (losses, weights), (again, same) = run(7, threads=1), run(7, threads)
    assert losses == again and all(np.array_equal(weights[name], same[name]) for name in weights)
    assert run(8, threads)[0] != losses


def test_S226_threads_share_the_pixels_of_a_map():
    """One image, one map: each thread computes its own pixels of it, and the bits do not depend on how many there are."""
    conv, x = nn.Conv2d(3, 1, 5, padding=2), np.random.default_rng(0).standard_normal((1, 3, 64, 64)).astype(np.float32)
    before, found = st.get_num_threads(), []
    try:
        for threads in (1, 2, 4):
            st.set_num_threads(threads)
            found.append(conv(x))
    finally:
        st.set_num_threads(before)
    assert all(np.array_equal(found[0], each) for each in found[1:])
