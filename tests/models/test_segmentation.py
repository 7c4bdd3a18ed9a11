"""Networks that give every pixel a class, the images that they learn on, and how they are judged; super-resolution."""

import numpy as np
import pytest
import torch
from tests.cpu.helpers import check_network

import striate as st
from striate import data, models, nn, optim
from striate.errors import ArgumentError, ShapeError
from striate.train import MeanIoU

NAMES = ("segmenter_transposed", "segmenter_dilated")


def floats(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).standard_normal(shape, np.float32)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("shape", [(1, 3, 16, 24), (3, 3, 20, 12)], ids=str)
def test_segmenters_keep_the_size(name, shape):
    net = models.create(name, num_classes=5, width=3)
    assert st.trace(net, shape).outputs[0].shape == (shape[0], 5, *shape[2:])
    check_network(net.eval(), floats(*shape))


@pytest.mark.parametrize("name", NAMES)
def test_segmenters_say_which_sizes(name):
    with pytest.raises(ShapeError) as error:
        models.create(name)(floats(1, 3, 18, 20))
    text = str(error.value)
    assert text.endswith("an image of 18 x 20 pixels does not divide into 4 x 4: 18 % 4 = 2, 20 % 4 = 0; "
                         "pad or scale it to multiples of 4")


@pytest.mark.parametrize("name", NAMES)
def test_segmenters_train(name):
    """S065 and S073: with transposed convolutions, and with dilation and a bilinear resize."""
    st.seed(0)
    x, y = data.shapes(32, size=24, seed=0).batch(range(32))
    ground = (y > 0).astype(np.int64)
    net = models.create(name, num_classes=2, width=8)
    step = st.compile(net, nn.CrossEntropyLoss(), optim.Adam(lr=5e-3))
    losses = [step(x, ground) for _ in range(60)]
    metric = MeanIoU()
    metric.update(net.eval()(x), ground)
    assert losses[-1] < losses[0] / 3 and metric.value() > 0.75


@pytest.mark.parametrize("scale", [2, 3])
def test_espcn(scale):
    net = models.espcn(scale, in_channels=2)
    x = floats(2, 2, 5, 7)
    np.testing.assert_array_equal(net(x), x.repeat(scale, 2).repeat(scale, 3))  # a new network enlarges and nothing else
    net.features[4].weight.data = 0.1 * floats(2 * scale**2, 32, 3, 3)
    check_network(net, x)
    first = torch.nn.functional.pixel_shuffle(torch.tensor(net.features(x)), scale).numpy()
    np.testing.assert_allclose(net(x), first + x.repeat(scale, 2).repeat(scale, 3), atol=1e-5)


def test_shapes_are_drawn_alike_for_one_seed():
    x, y = data.shapes(20, size=(16, 30), seed=5).batch(range(20))
    again = data.shapes(3, size=(16, 30), seed=5).batch(range(3))
    np.testing.assert_array_equal(x[:3], again[0])
    np.testing.assert_array_equal(y[:3], again[1])
    assert x.shape == (20, 3, 16, 30) and y.dtype == np.int64
    assert set(np.unique(y)) == {0, 1, 2, 3} and all(0 < np.mean(labels > 0) < 0.9 for labels in y)
    with pytest.raises(ArgumentError) as error:
        data.shapes(1, size=(15, 20))
    assert str(error.value) == "shapes draws one image or more of 16 x 16 pixels or more, got 1 of 15 x 20"


def test_mean_iou():
    truth = np.array([[[0, 0], [1, 2]], [[1, 1], [1, -100]]])
    told = np.array([[[0, 1], [1, 0]], [[1, 1], [2, 2]]])
    metric = MeanIoU()
    assert np.isnan(metric.value())
    for t, p in zip(truth, told):
        metric.update(np.eye(4)[p].transpose(2, 0, 1)[None], t[None])
    assert metric.value() == pytest.approx((1 / 3 + 3 / 5 + 0 / 2) / 3)  # the fourth class never occurs
    metric.reset()
    metric.update(np.eye(4)[truth[:1]].transpose(0, 3, 1, 2), truth[:1])
    assert metric.value() == 1
