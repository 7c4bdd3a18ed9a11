"""The notes' formulas of cost (their section on FLOPs and parameters), with their numbers; and what they get wrong."""

import numpy as np
import pytest

import striate as st
from striate import models, nn
from striate.nn import init


def notes(net, shape):
    return st.cost(net, shape, convention="notes").total


def only(net, shape, **more):
    row, = (r for r in st.summary(net, shape, show=False, **more).rows if r.parameters or r.flops)
    return row


def counted(name, **more):
    """A published network without initial weights, summed up."""
    with init.skipped():
        net = models.create(name, **more)
    return st.summary(net, (3, 224, 224), show=False)


class AlexNet(nn.Module):
    """The convolutions and linear layers of the two-GPU network, for its sums (Krizhevsky et al., 2012)."""

    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 96, 11, 4), nn.ReLU(), nn.MaxPool2d(3, 2), nn.Conv2d(96, 256, 5, padding=2, groups=2), nn.ReLU(),
            nn.MaxPool2d(3, 2), nn.Conv2d(256, 384, 3, padding=1), nn.ReLU(), nn.Conv2d(384, 384, 3, padding=1, groups=2),
            nn.ReLU(), nn.Conv2d(384, 256, 3, padding=1, groups=2), nn.ReLU(), nn.MaxPool2d(3, 2))
        self.classifier = nn.Sequential(nn.Linear(9216, 4096), nn.ReLU(), nn.Linear(4096, 4096), nn.ReLU(), nn.Linear(4096, 1000))

    def forward(self, x):
        return self.classifier(self.features(x).flatten(1))


def test_S046_shape_formulas_are_printed(capsys):
    net = nn.Sequential(nn.Conv2d(1, 1, (2, 2), stride=(3, 2), padding=1), nn.MaxPool2d(2, 2), nn.Flatten())
    found = st.explain(net, (1, 5, 6))
    assert "height: floor((5 + 1 + 1 - 2) / 3) + 1 = 2; width: (6 + 1 + 1 - 2) / 2 + 1 = 4" in capsys.readouterr().out
    assert [step.output for step in found.steps] == [(1, 2, 4), (1, 1, 2), (2,)]
    assert st.trace(net, (1, 1, 5, 6)).outputs[0].shape == (1, 2)


def test_S125_convolution_and_pooling_compared():
    conv, _, pool = st.summary(nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.MaxPool2d(2)), (3, 10, 10), show=False).rows
    assert conv.parameters == 8 * 27 + 8 and conv.macs == 64 * 8 * 27 and conv.output == (8, 8, 8)
    assert pool.parameters == 0 and pool.macs == 0 and pool.output == (8, 4, 4)  # as many channels as came in


def test_S188_macs_of_a_convolution():
    assert only(nn.Conv2d(5, 7, (2, 3), bias=False), (5, 9, 11)).macs == 2 * 3 * 8 * 9 * 5 * 7  # I J M N K L
    assert only(nn.Conv2d(6, 4, 3, groups=2, bias=False), (6, 9, 9)).macs == 9 * 49 * 3 * 4
    assert only(nn.Conv2d(6, 4, 3, stride=2, padding=1, bias=False), (6, 9, 9)).macs == 9 * 25 * 6 * 4
    assert st.cost(nn.Conv2d(6, 4, 3, bias=False), (6, 9, 9), batch=10).total == 10 * 9 * 49 * 6 * 4
    assert counted("vgg16").macs == 15_470_264_320


def test_S189_parameters_of_a_convolution():
    for side in (9, 40):  # whatever the size of the image
        assert only(nn.Conv2d(5, 7, (2, 3), bias=False), (5, side, side)).parameters == 2 * 3 * 5 * 7


def test_S190_a_convolution_uses_its_parameters_for_every_pixel():
    assert only(nn.Conv2d(3, 64, 7, stride=2, padding=3, bias=False), (3, 224, 224)).cpr == 112 * 112 == 12_544


def test_S191_a_batch_uses_them_that_many_times_more():
    assert only(nn.Conv2d(3, 64, 7, stride=2, padding=3, bias=False), (3, 224, 224), batch=32).cpr == 32 * 12_544


def test_S192_a_linear_layer_uses_its_parameters_once():
    row = only(nn.Linear(4096, 1000, bias=False), (4096,))
    assert row.parameters == row.macs == 4096 * 1000 and row.cpr == 1
    assert only(nn.Linear(4096, 1000, bias=False), (4096,), batch=16).cpr == 16


def test_S193_few_parameters_most_macs():
    shares = counted("vgg16").shares()
    assert shares["conv2d"] == pytest.approx((0.106, 0.992), abs=5e-4)
    assert shares["linear"] == pytest.approx((0.894, 0.008), abs=5e-4)
    with init.skipped():
        found = st.summary(AlexNet(), (3, 227, 227), show=False)
    assert (found.parameters, found.macs) == (60_965_224, 724_406_816)
    assert found.shares()["conv2d"] == pytest.approx((0.038, 0.919), abs=5e-4)
    assert "conv2d: 3.8% of the parameters, 91.9% of the MACs" in found.text()


def test_S194_speed_and_number_of_operations():
    found = st.roofline(nn.Conv2d(3, 16, 3, bias=False), (3, 34, 34), runs=3)
    flops = st.cost(nn.Conv2d(3, 16, 3, bias=False), (3, 34, 34), convention="flops").total  # FLOPs: a number of operations
    assert flops == 2 * 16 * 32 * 32 * 27
    assert found.rate == pytest.approx(flops / found.measured / 1e9)  # FLOPS: a speed, 10^9 a second


def test_S195_flops_of_a_convolution():
    one = nn.Conv2d(1, 1, 3, bias=False)
    assert (notes(one, (1, 3, 3)), notes(one, (1, 5, 5))) == (17, 153)  # one pixel, 3 x 3 pixels
    conv = nn.Conv2d(6, 4, 5)
    counts = {name: st.cost(conv, (6, 12, 12), convention=name).total for name in ("macs", "flops", "notes", "notes_bias")}
    assert counts == {"macs": 150 * 256, "flops": 300 * 256, "notes": 299 * 256, "notes_bias": 300 * 256}


def test_S196_flops_of_a_depthwise_separable_convolution():
    net = nn.Sequential(nn.Conv2d(16, 16, 3, padding=1, groups=16), nn.Conv2d(16, 32, 1))
    assert st.cost(net, (16, 10, 12), convention="notes_bias").total == 2 * 9 * 10 * 12 * 16 + 2 * 16 * 10 * 12 * 32


def test_S197_flops_of_a_linear_layer():
    assert notes(nn.Linear(400, 120), (400,)) == (2 * 400 - 1) * 120


def test_S198_flops_of_global_pooling():
    for net in (nn.AdaptiveAvgPool2d(1), nn.AdaptiveMaxPool2d(1)):
        assert notes(net, (64, 7, 9)) == 7 * 9 * 64


def test_S199_flops_of_pooling():
    for net in (nn.MaxPool2d(3, 2), nn.AvgPool2d(3, 2)):
        assert notes(net, (64, 13, 13)) == 9 * 6 * 6 * 64


def test_S200_flops_of_relu():
    assert notes(nn.ReLU(), (64, 13, 12)) == 13 * 12 * 64


def test_S201_flops_of_sigmoid():
    assert notes(nn.Sigmoid(), (64, 13, 12)) == 4 * 13 * 12 * 64


def test_S202_the_sample_script():
    conv = nn.Conv2d(3, 64, 3, stride=1, padding=1, bias=False)
    assert notes(conv, (3, 300, 300)) == 305_280_000 == 53 * 300 * 300 * 64
    assert notes(nn.Sequential(conv, nn.ReLU()), (3, 300, 300)) == 305_280_000 + 5_760_000 == 311_040_000


def test_S203_parameters_with_and_without_bias():
    assert only(nn.Conv2d(3, 64, 3), (3, 9, 9)).parameters == (9 * 3 + 1) * 64 == 1792
    assert only(nn.Conv2d(3, 64, 3, bias=False), (3, 9, 9)).parameters == 1728


def separable(channels, out, kernel):
    """Depthwise first, then 1x1; and the other way round."""
    first = nn.Sequential(nn.Conv2d(channels, channels, kernel, groups=channels, bias=False),
                          nn.Conv2d(channels, out, 1, bias=False))
    second = nn.Sequential(nn.Conv2d(channels, out, 1, bias=False), nn.Conv2d(out, out, kernel, groups=out, bias=False))
    return tuple(st.summary(net, (channels, 9, 9), show=False).parameters for net in (first, second))


def test_S204_parameters_of_a_depthwise_separable_convolution():
    assert separable(16, 32, 3)[0] == 9 * 16 + 16 * 32 == 656


def test_S205_pooling_has_no_parameters():
    for net in (nn.MaxPool2d(2), nn.AvgPool2d(2), nn.AdaptiveAvgPool2d(1)):
        assert st.summary(net, (4, 8, 8), show=False).parameters == 0


def test_S206_parameters_of_a_linear_layer():
    assert only(nn.Linear(4096, 1000), (4096,)).parameters == (4096 + 1) * 1000 == 4_097_000


def test_S229_faster_convolutions_and_fewer_linear_parameters():
    assert counted("vgg16").advice() == [
        "conv2d does 99.2% of the MACs, most of them in 'features.2': to be faster, spare channels, taps or pixels there",
        "linear holds 89.4% of the parameters, most of them in 'classifier.0': to be smaller, spare features there"]
    assert counted("resnet50").advice()[1].startswith("conv2d holds 91.8% of the parameters")
    assert st.summary(nn.ReLU(), (3, 4, 4), show=False).advice() == []


def test_E10_the_output_of_a_linear_layer_is_not_its_weight():
    net = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(8 * 16 * 14, 10))
    found = st.summary(net, (3, 32, 28), show=False)  # height before width
    assert [row.output for row in found.rows] == [(8, 32, 28), (8, 32, 28), (8, 16, 14), (1792,), (10,)]
    assert net[4].weight.shape == (10, 16 * 14 * 8)  # what the notes' table gives as the output is the weight's shape
    assert net(np.zeros((5, 3, 32, 28), np.float32)).shape == (5, 10)
    strided = nn.Sequential(nn.Conv2d(3, 8, 3, stride=2, padding=1))  # the image keeps its size at stride 1 alone
    assert st.summary(strided, (3, 32, 28), show=False).rows[0].output == (8, 16, 14)


def test_E11_every_output_of_a_linear_layer_has_a_bias():
    parameters = only(nn.Linear(400, 120), (400,)).parameters
    assert parameters == 400 * 120 + 120 == (400 + 1) * 120 != 400 * 120 + 1


def test_E12_height_and_width_are_those_of_the_kernel():
    assert separable(16, 32, 3) == (16 * (9 + 32), (16 + 9) * 32) == (656, 800)
    sizes = [st.summary(nn.Conv2d(16, 16, 3, groups=16, bias=False), (16, side, side), show=False).parameters for side in (9, 50)]
    assert sizes == [144, 144]


def test_E24_an_activation_has_the_size_of_its_input_not_of_the_image():
    conv = nn.Conv2d(3, 64, 3, stride=2, padding=1, bias=False)
    found = st.cost(nn.Sequential(conv, nn.ReLU()), (3, 299, 299), convention="notes")
    assert [found.count(row) for row in found.rows] == [53 * 150 * 150 * 64, 150 * 150 * 64]  # the script: 150.0, 299 * 299
    grey = nn.Conv2d(1, 64, 3, bias=False)
    assert notes(grey, (1, 5, 5)) == 17 * 9 * 64


def test_E46_the_ratio_becomes_b_times_as_large_and_a_bias_lowers_it():
    plain, biased = nn.Conv2d(3, 8, 3, bias=False), nn.Conv2d(3, 8, 3)
    one, eight = (only(plain, (3, 10, 10), batch=b).cpr for b in (1, 8))
    assert (one, eight) == (64, 8 * 64)
    assert only(biased, (3, 10, 10)).cpr == 64 * 27 / 28 < 64


def test_E47_linear_layers_hold_most_parameters_in_old_networks_only():
    with init.skipped():
        alexnet = st.summary(AlexNet(), (3, 227, 227), show=False).shares()["linear"][0]
    assert 0.94 < alexnet < 0.97
    assert counted("vgg16").shares()["linear"][0] == pytest.approx(0.894, abs=5e-4)
    assert counted("resnet50").shares()["linear"][0] == pytest.approx(0.080, abs=5e-4)


def test_E35_convolutions_of_one_row_or_column_are_used_and_learnt():
    with init.skipped():
        net = models.create("inception_v3")
    shapes = [module.weight.shape[2:] for module in net.modules() if isinstance(module, nn.Conv2d)]
    assert shapes.count((1, 7)) == shapes.count((7, 1)) == 13 and shapes.count((1, 3)) == shapes.count((3, 1)) == 4
    assert all(module.weight.requires_grad for module in net.modules() if isinstance(module, nn.Conv2d))


def test_E49_pooling_spares_parameters_of_linear_layers_only():
    def parameters(*end, side=16):
        net = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), *end)
        return {row.op: row.parameters for row in st.summary(net, (3, side, side), show=False).rows}

    whole, half = (parameters(*pool, nn.Flatten(), nn.Linear(8 * n * n, 10)) for pool, n in (((), 16), ((nn.MaxPool2d(2),), 8)))
    assert whole["conv2d"] == half["conv2d"] == parameters(nn.MaxPool2d(2), side=99)["conv2d"] == 8 * 27 + 8
    assert (whole["linear"], half["linear"]) == (8 * 256 * 10 + 10, 8 * 64 * 10 + 10)
    gone = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 10))
    assert st.summary(gone, (8, 16, 16), show=False).parameters == 90
    x = np.random.default_rng(0).standard_normal((1, 8, 16, 16)).astype(np.float32)
    assert gone(x) == pytest.approx(gone(np.roll(x, (3, 5), (2, 3))), abs=1e-5)  # where something stood is lost
