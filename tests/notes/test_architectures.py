"""Architectures by their published numbers: parameters, and multiply-accumulates at the size that each was made for."""

import functools

import numpy as np
import pytest

import striate as st
from striate import models, nn
from striate.nn.init import skipped


@functools.cache
def counted(name: str, **arguments) -> tuple[int, int]:
    """(parameters, MACs) of a model."""
    with skipped():
        net = models.create(name, **arguments)
    found = st.summary(net, models.input_shape(net), show=False)
    return found.parameters, found.macs


def test_S008_four_classes():
    st.seed(0)
    net = models.demo().eval()
    kinds = [type(layer).__name__ for layer in net]
    assert kinds == ["Conv2d", "ReLU", "MaxPool2d"] * 2 + ["Flatten", "Linear", "ReLU", "Linear", "Softmax"]
    y = net(np.random.default_rng(0).random((3, 3, 64, 64), np.float32))
    assert y.shape == (3, 4)
    np.testing.assert_allclose(y.sum(1), 1, rtol=1e-6)


def test_S207_lenet_modern():
    assert counted("lenet") == (61_706, 416_520)


def test_S209_alexnet_in_one_tower():
    assert models.input_shape(models.create("alexnet_tiny")) == (3, 67, 67)
    assert counted("alexnet") == (62_378_344, 1_135_256_096)


def test_S210_alexnet_two_gpus():
    assert counted("alexnet_2gpu") == (60_965_224, 724_406_816)
    with skipped():
        net = models.alexnet_2gpu()
    convs = [layer for layer in net.features if isinstance(layer, nn.Conv2d)]
    assert [conv.groups for conv in convs] == [1, 2, 1, 2, 2]


def test_S211_zfnet():
    assert counted("zfnet") == (62_357_608, 1_168_032_896)


def test_S212_googlenet():
    assert counted("googlenet") == (6_998_552, 1_582_671_872)


def test_S213_vgg():
    assert counted("vgg16") == (138_357_544, 15_470_264_320)
    assert counted("vgg19") == (143_667_240, 19_632_062_464)


@pytest.mark.parametrize("name, parameters, billions", [
    ("resnet18", 11_689_512, 1.81), ("resnet34", 21_797_672, 3.66), ("resnet50", 25_557_032, 4.09),
    ("resnet101", 44_549_160, 7.80), ("resnet152", 60_192_808, 11.51),
])
def test_S214_resnet(name, parameters, billions):
    found, macs = counted(name)
    assert found == parameters and round(macs / 1e9, 2) == billions


def test_S214_where_the_stride_stands():
    """On the 1x1 as in the paper ("3.8 billion" in its table 1), or on the 3x3: other work, equal parameters."""
    paper, usual = counted("resnet50", stride_in_1x1=True), counted("resnet50")
    assert paper[0] == usual[0] and round(paper[1] / 1e9, 2) == 3.86 < usual[1] / 1e9


def test_S214_plain_and_residual_are_the_same_layers():
    plain, residual = models.resnet_cifar(plain=True), models.resnet_cifar()
    assert {n: a.shape for n, a in plain.state_dict().items()} == {n: a.shape for n, a in residual.state_dict().items()}
    assert counted("resnet_cifar", depth=56, plain=True) == counted("resnet_cifar", depth=56)
    nodes = [len([n for n in st.trace(net, (1, 3, 32, 32)).nodes if n.op.name == "add"]) for net in (plain, residual)]
    assert nodes[1] - nodes[0] == 9


def test_S215_inception_v3():
    assert counted("inception_v3")[0] == 27_161_264
    assert counted("inception_v3", aux_logits=False)[0] == 23_834_568


def test_S215_bottlenecks_save_work():
    """192 -> 32 channels through 5x5 windows on 28 x 28 pixels: directly, and behind a 1x1 convolution to 16."""
    direct = nn.Conv2d(192, 32, 5, padding=2, bias=False)
    behind = nn.Sequential(nn.Conv2d(192, 16, 1, bias=False), nn.Conv2d(16, 32, 5, padding=2, bias=False))
    macs = [st.summary(net, (192, 28, 28), show=False).macs for net in (direct, behind)]
    assert macs == [120_422_400, 12_443_648]


def test_S216_mobilenet():
    assert counted("mobilenet_v1") == (4_231_976, 568_740_352)
    assert counted("mobilenet_v2")[0] == 3_504_872


@pytest.mark.parametrize("width, parameters, millions", [(0.75, 2.6, 325), (0.5, 1.3, 149), (0.25, 0.5, 41)])
def test_S216_width_multiplier(width, parameters, millions):
    """The paper's table 6."""
    found, macs = counted("mobilenet_v1", width_mult=width)
    assert round(found / 1e6, 1) == parameters and round(macs / 1e6) == millions


def test_S217_xception():
    """Keras's 22,910,480 count running means and variances too."""
    with skipped():
        net = models.xception()
    running = sum(b.size for name, b in net.named_buffers() if not name.endswith("num_batches_tracked"))
    assert counted("xception")[0] == 22_855_952 and running == 54_528
    assert counted("xception")[0] + running == 22_910_480


def test_S218_sppnet_takes_any_size():
    st.seed(0)
    with skipped():
        assert models.sppnet().classifier[1].in_features == 256 * (1 + 4 + 16) == 5376
    net = models.sppnet_tiny(levels=(1, 2, 4)).eval()
    assert [net(np.ones((2, 3, n, n + 7), np.float32)).shape for n in (64, 90)] == [(2, 10), (2, 10)]


def test_S219_network_in_network_trains():
    st.seed(0)
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, 64)
    images = rng.normal(0, 0.3, (64, 3, 32, 32)).astype(np.float32)
    images[np.arange(64), labels] += 1  # the brightest colour is the class
    step = st.compile(models.nin_tiny(num_classes=3), nn.CrossEntropyLoss(), st.optim.Adam(lr=0.01))
    losses = [step(images, labels) for _ in range(60)]
    assert losses[-1] < 0.3 * losses[0]


def test_S221_alexnet_beside_googlenet():
    """ILSVRC's winners of 2012 and 2014, in millions of parameters."""
    assert [round(counted(name)[0] / 1e6, 2) for name in ("alexnet_2gpu", "googlenet")] == [60.97, 7.00]


def test_E25_googlenet_has_seven_million_parameters():
    with skipped():
        net = models.googlenet()
    convs = sum(p.size for m in net.modules() if isinstance(m, nn.Conv2d) for p in m.parameters())
    assert convs == 5_973_552 and sum(p.size for p in net.fc.parameters()) == 1_025_000
    assert counted("googlenet")[0] == convs + 1_025_000 == 6_998_552


def test_E28_groups_equal_to_channels_are_depthwise_only():
    """A depthwise separable convolution is the depthwise one and a 1x1 behind it; grouped weights are (N g, Cin / g, K, K)."""
    depthwise, separable = nn.Conv2d(16, 16, 3, groups=16), models.mobilenet_v1_tiny().blocks[0][0]
    assert depthwise.weight.shape == (16, 1, 3, 3)
    assert [separable.conv_dw.groups, separable.conv_pw.groups] == [8, 1]
    assert separable.conv_pw.weight.shape == (16, 8, 1, 1)
    assert nn.Conv2d(12, 4 * 3, 5, groups=3).weight.shape == (4 * 3, 12 // 3, 5, 5)


def test_E39_windows_of_alexnet_and_size_of_vgg():
    with skipped():
        net = models.alexnet()
    assert [m.kernel_size[0] for m in net.modules() if isinstance(m, nn.Conv2d)] == [11, 5, 3, 3, 3]
    vgg, alexnet = counted("vgg16"), counted("alexnet_2gpu")
    assert vgg[0] > 2 * alexnet[0] and vgg[1] > 20 * alexnet[1]


PARAMETERS = {"c1": 156, "s2": 12, "c3": 1516, "s4": 32, "c5": 48_120, "f6": 10_164}
CONNECTIONS = {"c1": 122_304, "s2": 5_880, "c3": 151_600, "s4": 2_000, "c5": 48_120, "f6": 10_164, "output": 840}


def test_S207_lenet5_as_published():
    net = models.create("lenet5")
    found = {name: sum(p.size for p in child.parameters()) for name, child in net.named_children()}
    assert found == PARAMETERS and sum(found.values()) == counted("lenet5")[0] == 60_000


def test_S207_connections_of_lenet5():
    """A weight or bias counts once for each pixel where it is used; a subsampled pixel has four inputs and a bias."""
    net = models.create("lenet5")
    pixels = {"c1": 28 * 28, "c3": 10 * 10, "c5": 1, "f6": 1}
    found = {name: n * sum(p.size for p in getattr(net, name).parameters()) for name, n in pixels.items()}
    found |= {name: (4 + 1) * getattr(net, name).weight.size * n for name, n in (("s2", 14 * 14), ("s4", 5 * 5))}
    found["output"] = net.codes.size
    assert found == CONNECTIONS and sum(found.values()) == 340_908


def test_S208_sparse_connection_table():
    table = models.create("lenet5").c3.connections
    assert [len(row) for row in table] == [3] * 6 + [4] * 9 + [6]
    assert [sum(c in row for row in table) for c in range(6)] == [10] * 6
    assert sum(map(len, table)) == 60 and 60 * 25 + 16 == 1516


def test_E45_pooling_can_have_parameters():
    net = models.create("lenet5")
    assert [sum(p.size for p in s.parameters()) for s in (net.s2, net.s4)] == [12, 32]
    assert not list(nn.AvgPool2d(2).parameters())


def test_S207_lenet5_trains():
    st.seed(0)
    net = models.create("lenet5")
    images, labels = np.random.default_rng(0).normal(0, 1, (10, 1, 32, 32)).astype(np.float32), np.arange(10)
    step = st.compile(net, nn.CrossEntropyLoss(), st.optim.Adam(lr=0.003))
    losses = [step(images, labels) for _ in range(40)]
    assert losses[-1] < 0.2 * losses[0] and (net.eval()(images).argmax(1) == labels).mean() > 0.8
