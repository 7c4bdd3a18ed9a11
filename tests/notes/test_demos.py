"""What the notes claim about pooling, dropout and activations, as numbers."""

import itertools

import numpy as np
import pytest

import striate as st
from striate import nn, optim, vision
from striate.train import advice, gradient_norms, saturation


def stroke(column: int) -> np.ndarray:
    """A "1" on 16 x 16 pixels."""
    x = np.zeros((16, 16), np.float32)
    x[2:14, column] = 1
    return x


def ring() -> np.ndarray:
    """A "0" on 16 x 16 pixels."""
    row, column = np.mgrid[:16, :16] - 7.5
    return (np.abs(np.hypot(row, column) - 4.5) < 0.9).astype(np.float32)


def test_S116_mean_keeps_the_background_and_max_the_texture():
    """Means of 2 x 2 make noise small and leave the level as it is; maxima keep a bright line that means halve."""
    rng = np.random.default_rng(0)
    background = 0.5 + rng.normal(0, 0.1, (1, 1, 200, 200)).astype(np.float32)
    mean, largest = nn.AvgPool2d(2)(background), nn.MaxPool2d(2)(background)
    assert abs(mean.mean() - 0.5) < 0.002 and abs(mean.std() - 0.1 / 2) < 0.002  # variance / 4
    assert largest.mean() - 0.5 > 0.09 and largest.std() > 1.3 * mean.std()  # the level moves by about a deviation
    texture = np.zeros((1, 1, 8, 8), np.float32)
    texture[:, :, :, ::2] = 1
    assert (nn.MaxPool2d(2)(texture) == 1).all() and (nn.AvgPool2d(2)(texture) == 0.5).all()


def test_S117_a_stroke_may_move_within_a_window():
    """16 x 16 to 8 x 8: from column 6 to 7 nothing changes, from 7 to 8 it does. (Columns count from 0.)"""
    np.testing.assert_array_equal(vision.pooled(stroke(6)), vision.pooled(stroke(7)))
    assert vision.pooled(stroke(6)).shape == (8, 8)
    assert not np.array_equal(vision.pooled(stroke(7)), vision.pooled(stroke(8)))
    assert vision.shifts_kept(stroke(6), reach=1) == 1 and vision.shifts_kept(stroke(7), reach=1) == 0
    assert vision.shifts_kept(stroke(6), reach=4) == 0.25


def test_S118_rotation_is_a_curve():
    """The "1" turned: similar for small angles, ever less for larger ones; more pooling keeps more. Nothing is invariant."""
    angles = (0, 10, 20, 30, 45, 60, 90)
    fine, coarse = (vision.curve(stroke(7), vision.turned, angles, times) for times in (1, 3))
    assert [fine[0], coarse[0]] == pytest.approx([1, 1])
    assert fine[1] > 0.7 and fine[4] < 0.5 and fine[6] < 0.5
    assert all(b > a for a, b in zip(fine[1:], coarse[1:]))


def test_S119_scale_is_a_curve():
    """The "0" from half to twice its size, over 16 to 8 to 4 pixels."""
    factors = (0.5, 0.75, 0.9, 1, 1.1, 1.33, 2)
    once, twice = (vision.curve(ring(), vision.scaled, factors, times) for times in (1, 2))
    assert vision.pooled(ring(), 2).shape == (4, 4)
    assert [once[3], twice[3]] == pytest.approx([1, 1])
    assert min(once[2], once[4]) > 0.85 and max(once[0], once[6]) < 0.7
    assert twice[0] > once[0] and twice[6] > once[6]


def test_S120_pooling_forgets_the_place_and_dilation_does_not():
    """A dot at each of the four pixels of a window pools to one answer; a dilated convolution gives four."""
    dots = np.zeros((4, 1, 8, 8), np.float32)
    for i, (row, column) in enumerate(itertools.product((2, 3), (4, 5))):
        dots[i, 0, row, column] = 1
    answers = {"pool": nn.MaxPool2d(2)(dots), "dilated": nn.Conv2d(1, 1, 3, padding=2, dilation=2)(dots)}
    different = {name: len({y.tobytes() for y in each}) for name, each in answers.items()}
    assert different == {"pool": 1, "dilated": 4}


def test_S227_invariance_of_a_trained_network():
    """Pooling over the whole map makes a network's answer indifferent to where the sign stands; a linear layer learns places."""
    st.seed(0)
    rng = np.random.default_rng(0)

    def signs(count: int) -> tuple[np.ndarray, np.ndarray]:
        """Bars down (0) and across (1), all in the middle."""
        x, y = rng.normal(0, 0.1, (count, 1, 16, 16)).astype(np.float32), rng.integers(2, size=count)
        for image, label in zip(x, y):
            image[0][(slice(5, 11), 8) if label == 0 else (8, slice(5, 11))] += 1
        return x, y

    scores = {}
    for name, head in {"pooled": [nn.AdaptiveMaxPool2d(1), nn.Flatten(), nn.Linear(8, 2)],
                       "places": [nn.Flatten(), nn.Linear(8 * 256, 2)]}.items():  # fmt: skip
        net = nn.Sequential(nn.Conv2d(1, 8, 5, padding=2), nn.ReLU(), *head)
        st.Trainer(net, nn.CrossEntropyLoss(), optim.Adam(lr=5e-3), progress=False).fit(signs(512), epochs=8)
        scores[name] = vision.invariance_score(net, signs(64)[0], lambda x, d: vision.shifted(x, d, d), (0, 4))
    assert scores["pooled"][0] == scores["places"][0] == 1
    assert scores["pooled"][1] > 0.95 > 0.9 > scores["places"][1]


def test_S232_convolution_is_equivariant_to_shifts():
    """conv(shift(x)) = shift(conv(x)) away from the border; with a stride s for shifts by multiples of s only."""
    x = np.random.default_rng(0).standard_normal((1, 2, 20, 20)).astype(np.float32)
    conv = nn.Conv2d(2, 3, 3, padding=1)
    np.testing.assert_array_equal(conv(vision.shifted(x, 2, 3))[..., 4:-4, 4:-4], vision.shifted(conv(x), 2, 3)[..., 4:-4, 4:-4])
    strided = nn.Conv2d(2, 3, 3, stride=2, padding=1)
    inner = (..., slice(3, -3), slice(3, -3))
    np.testing.assert_array_equal(strided(vision.shifted(x, 0, 4))[inner], vision.shifted(strided(x), 0, 2)[inner])
    for d in (0, 1):
        assert not np.allclose(strided(vision.shifted(x, 0, 1))[inner], vision.shifted(strided(x), 0, d)[inner], atol=0.1)


def test_E48_equivariant_is_not_invariant():
    """A shift moves the output of a convolution; the maximum over the whole map stays as it is."""
    x = np.zeros((1, 1, 16, 16), np.float32)
    x[0, 0, 5:8, 5:8] = 1
    conv = nn.Conv2d(1, 4, 3)
    assert np.abs(conv(x) - conv(vision.shifted(x, 3, 2))).max() > 0.01
    pooled = nn.Sequential(conv, nn.AdaptiveMaxPool2d(1))
    np.testing.assert_array_equal(pooled(x), pooled(vision.shifted(x, 3, 2)))


def deep(activation: type[nn.Module], layers: int = 10, width: int = 32) -> nn.Sequential:
    st.seed(1)
    blocks = [(nn.Linear(width, width), activation()) for _ in range(layers)]
    return nn.Sequential(*(part for block in blocks for part in block), nn.Linear(width, 1))


def test_S140_vanishing_gradients():
    """Ten sigmoid layers shrink the gradient by more than 0.25^9, the FRONT layers get least; ReLU keeps far more of it."""
    assert 0.25**5 == pytest.approx(9.8e-4, rel=0.01) and 0.25**10 == pytest.approx(9.5e-7, rel=0.01)
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((64, 32)), rng.standard_normal((64, 1))
    norms = {kind: list(gradient_norms(deep(kind), nn.MSELoss(), x, y).values()) for kind in (nn.Sigmoid, nn.ReLU)}
    assert len(norms[nn.Sigmoid]) == 11
    assert norms[nn.Sigmoid] == sorted(norms[nn.Sigmoid])
    share = {kind: found[0] / found[-1] for kind, found in norms.items()}
    assert share[nn.Sigmoid] < 0.25**9 and share[nn.ReLU] > 1e-3


def test_S141_saturation():
    """Inputs ten times as large: nine in ten tanh units have a derivative under 0.001; standard ones nearly none."""
    x = np.random.default_rng(0).standard_normal((1000, 8)).astype(np.float32)
    net = nn.Sequential(nn.Identity(), nn.Tanh(), nn.Sigmoid())
    assert saturation(net, x)["1"] < 1e-3
    found = saturation(net, 100 * x)
    assert found["1"] == pytest.approx(np.mean(1 - np.tanh(100 * x.astype(float)) ** 2 < 1e-3), abs=1e-3) and found["1"] > 0.9
    assert found["2"] == 0  # tanh keeps what the sigmoid reads between -1 and 1
    assert saturation(nn.Sequential(nn.ReLU()), x)["0"] == pytest.approx(0.5, abs=0.02)
    with pytest.raises(st.errors.ArgumentError) as error:
        saturation(nn.Linear(8, 2), x)
    assert str(error.value) == "Linear has no sigmoid, tanh, relu layer; saturation is about those"


def test_S142_advice_on_activations():
    """ReLU first; where its units die, Leaky ReLU or Maxout; then tanh; a sigmoid at the end only."""
    x = np.random.default_rng(0).standard_normal((50, 8)).astype(np.float32)
    st.seed(0)
    net = nn.Sequential(nn.Linear(8, 10), nn.Sigmoid(), nn.Linear(10, 10), nn.ReLU(), nn.Linear(10, 2), nn.Sigmoid())
    quarter = ("sigmoid '1': it passes a quarter of the gradient at most; "
               "use nn.ReLU, else nn.LeakyReLU or nn.Maxout, else nn.Tanh")
    assert advice(net, x) == [quarter]
    net[2].bias.data = np.float32([-9] * 6 + [1] * 4)  # six units never fire
    dead = "relu '3': 60% of its units are 0 for all 50 inputs: dead; lower the learning rate, or use nn.LeakyReLU or nn.Maxout"
    assert advice(net, x) == [quarter, dead]
    flat = "tanh '0': 92% of its outputs are flat and pass no gradient; normalise what it reads, or use nn.ReLU"
    wide = np.concatenate([np.full((46, 8), 5.0), np.zeros((4, 8))])
    assert advice(nn.Sequential(nn.Tanh(), nn.BatchNorm1d(8), nn.Tanh()), wide) == [flat]
    assert advice(nn.Sequential(nn.Linear(8, 4), nn.ReLU(), nn.Linear(4, 4), nn.LeakyReLU()), x) == []
    assert hasattr(nn, "Maxout")


def test_S143_universal_approximation():
    """sin(x) on -pi ... pi: linear layers alone stay at the best straight line, one hidden layer of tanh does not."""
    x = np.linspace(-np.pi, np.pi, 256, dtype=np.float32).reshape(-1, 1)
    y = np.sin(x)
    slope = float((x * y).sum() / (x * x).sum())
    line = float(np.mean((y - slope * x) ** 2))
    losses = {}
    for name, between in (("linear", nn.Identity()), ("tanh", nn.Tanh())):
        st.seed(0)
        step = st.compile(nn.Sequential(nn.Linear(1, 32), between, nn.Linear(32, 1)), nn.MSELoss(), optim.Adam(lr=0.01))
        losses[name] = [step(x, y) for _ in range(800)][-1]
    assert losses["linear"] == pytest.approx(line, rel=0.02)
    assert losses["tanh"] < line / 20


def test_S163_dropout_without_scaling_shrinks_the_l1_norm():
    """E|y|_1 = (1 - p) |x|_1 over masks."""
    st.seed(0)
    x = np.random.default_rng(0).standard_normal((1, 4000)).astype(np.float32)
    for p in (0.2, 0.5):
        drop = nn.Dropout(p, mode="downscale_in_infer")
        mean = np.mean([np.abs(drop(x)).sum() for _ in range(20)])
        assert mean == pytest.approx((1 - p) * np.abs(x).sum(), rel=0.01)


def test_S164_dropout_is_an_average_of_thinned_networks():
    """For a linear network the mean over all masks is the evaluated network exactly; over drawn masks nearly."""
    x = np.array([[1.0, -2.0, 3.0]])
    weight = np.array([0.5, 1.5, -1.0])
    masks = np.array(list(itertools.product((0, 1), repeat=3)))
    np.testing.assert_allclose(np.mean((2 * masks * x) @ weight), (x @ weight)[0])
    st.seed(0)
    net = nn.Sequential(nn.Dropout(0.5), nn.Linear(64, 1))
    images = np.random.default_rng(0).standard_normal((1, 64)).astype(np.float32)
    drawn = np.array([net(images)[0, 0] for _ in range(400)])
    assert abs(drawn.mean() - net.eval()(images)[0, 0]) < 4 * drawn.std() / np.sqrt(len(drawn))


def test_E01_bias_brings_no_nonlinearity():
    """A layer with a bias is affine: f(a x + (1 - a) y) = a f(x) + (1 - a) f(y). With an activation it is not."""
    x, y = np.random.default_rng(0).standard_normal((2, 1, 1, 6, 6)).astype(np.float32)[:, None, 0]
    conv = nn.Conv2d(1, 3, 3)
    np.testing.assert_allclose(conv(0.3 * x + 0.7 * y), 0.3 * conv(x) + 0.7 * conv(y), atol=1e-5)
    bent = nn.Sequential(conv, nn.ReLU())
    assert np.abs(bent(0.3 * x + 0.7 * y) - 0.3 * bent(x) - 0.7 * bent(y)).max() > 0.01
