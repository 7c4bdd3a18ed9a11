"""What the study notes derive for fully connected layers and for back-propagation, and where they err: S166 to S187, E08 ..."""

import itertools

import numpy as np
import pytest
from tests.nn.helpers import graph_of

import striate as st
from striate import nn, optim
from striate.gradient import differentiate


def draw(*shape, seed=0):
    return np.random.default_rng([seed, *shape]).standard_normal(shape)


def floats(*shape, seed=0):
    return draw(*shape, seed=seed).astype(np.float32)


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def correlate(x, w):
    return np.einsum("pqrs,rs->pq", np.lib.stride_tricks.sliding_window_view(x, w.shape), w)


def turn(w):
    return np.rot90(w, 2)


# fully connected layers


def test_S166_one_sample_is_a_matrix_times_a_vector():
    layer, x = nn.Linear(5, 3), floats(5)
    assert layer(x) == pytest.approx(layer.weight.data @ x + layer.bias.data, abs=1e-6)


def test_S167_a_batch_is_a_product_of_matrices():
    layer, x = nn.Linear(5, 3), floats(8, 5)
    assert layer(x) == pytest.approx(np.stack([layer(row) for row in x]), abs=1e-6)


def test_S168_flatten_runs_over_channels_rows_columns():
    x = np.arange(24, dtype=np.float32).reshape(1, 2, 3, 4)
    assert np.array_equal(nn.Flatten()(x), np.arange(24, dtype=np.float32)[None])


def test_E11_a_linear_layer_has_one_bias_for_each_output():
    """(I + 1) * O parameters, not I * O + 1."""
    count = sum(p.size for p in nn.Linear(4096, 1000).parameters())
    assert count == 4_097_000 == (4096 + 1) * 1000


def test_S170_the_last_layer_of_classes_and_of_numbers():
    x = floats(6, 4)
    labels, numbers = np.arange(6) % 3, floats(6, 1, seed=1)
    for outputs, loss, target in ((3, nn.CrossEntropyLoss(), labels), (1, nn.MSELoss(), numbers)):
        step = st.compile(nn.Linear(4, outputs), loss, optim.SGD(lr=0.1))
        losses = [step(x, target) for _ in range(50)]
        assert losses[-1] < 0.8 * losses[0] and step.output.shape == (6, outputs)


def test_S171_half_squared_error():
    a, y = floats(4), floats(4, seed=1)
    loss, pullback = st.vjp(nn.HalfSquaredError(), a, y)
    assert loss == pytest.approx(0.5 * ((a - y) ** 2).sum(), rel=1e-6)
    assert pullback(1.0)[0][0] == pytest.approx(a - y, rel=1e-6)


# the multilayer perceptron


class Perceptron:
    """z^l = W^l a^(l-1) + b^l, a^l = sigmoid(z^l) in NumPy, and the same weights in striate."""

    def __init__(self, *sizes, seed=0):
        st.seed(seed)
        layers = [layer for m, n in itertools.pairwise(sizes) for layer in (nn.Linear(m, n), nn.Sigmoid())]
        self.net = nn.Sequential(*layers)
        self.weights = [layer.weight.data.astype(float) for layer in layers[::2]]
        self.biases = [layer.bias.data.astype(float) for layer in layers[::2]]

    def forward(self, x):
        zs, activations = [], [x]
        for W, b in zip(self.weights, self.biases):
            zs.append(W @ activations[-1] + b)
            activations.append(sigmoid(zs[-1]))
        return zs, activations

    def cost(self, x, y):
        return 0.5 * ((self.forward(x)[1][-1] - y) ** 2).sum()

    def deltas(self, x, y):
        zs, activations = self.forward(x)
        slopes = [sigmoid(z) * (1 - sigmoid(z)) for z in zs]
        found = [(activations[-1] - y) * slopes[-1]]
        for W, slope in zip(self.weights[:0:-1], slopes[-2::-1]):
            found.insert(0, W.T @ found[0] * slope)
        return found, activations


@pytest.fixture
def perceptron():
    return Perceptron(4, 5, 3, 2)


X, Y = draw(4), draw(2, seed=1)


def test_S173_forward(perceptron):
    assert perceptron.net(X) == pytest.approx(perceptron.forward(X)[1][-1], abs=1e-6)
    assert [W.shape for W in perceptron.weights] == [(5, 4), (3, 5), (2, 3)]  # n x m


def explained(perceptron):
    return st.explain_backward(perceptron.net, nn.HalfSquaredError(), X, Y, show=False)


def test_S174_the_delta_of_every_layer(perceptron):
    """dC/dz, by finite differences of the bias, which moves z."""
    found = explained(perceptron)
    assert found.cost == pytest.approx(perceptron.cost(X, Y), rel=1e-12)
    for i, b in enumerate(perceptron.biases):
        for j in range(len(b)):
            ends = []
            for move in (1e-6, -2e-6):
                b[j] += move
                ends.append(perceptron.cost(X, Y))
            b[j] += 1e-6
            assert found.of(str(2 * i)).delta[j] == pytest.approx((ends[0] - ends[1]) / 2e-6, abs=1e-8)


def test_S174_the_report_prints_every_delta(perceptron, capsys):
    st.explain_backward(perceptron.net, nn.HalfSquaredError(), X, Y)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("cost ") and [line.split()[0] for line in lines if " linear " in line] == ["4", "2", "0"]
    assert "|d 0.weight|" in lines[-1]


def test_S175_E08_the_last_delta_has_the_slope_of_sigmoid(perceptron):
    """(a - y) * sigmoid'(z); the note writes delta' there."""
    zs, activations = perceptron.forward(X)
    wanted = (activations[-1] - Y) * sigmoid(zs[-1]) * (1 - sigmoid(zs[-1]))
    assert explained(perceptron).of("4").delta == pytest.approx(wanted, abs=1e-9)


def test_S176_gradients_of_weights_and_biases(perceptron):
    deltas, activations = perceptron.deltas(X, Y)
    _, gradients = st.value_and_grad(perceptron.net, nn.HalfSquaredError())(X, Y)
    for i, delta in enumerate(deltas):
        assert gradients[f"{2 * i}.weight"] == pytest.approx(np.outer(delta, activations[i]), abs=1e-6)
        assert gradients[f"{2 * i}.bias"] == pytest.approx(delta, abs=1e-6)


def test_S177_the_recursion(perceptron):
    deltas, _ = perceptron.deltas(X, Y)
    found = explained(perceptron)
    for i, delta in enumerate(deltas):
        assert found.of(str(2 * i)).delta == pytest.approx(delta, abs=1e-9)


def test_S178_gradient_descent(perceptron):
    before = {name: p.data.copy() for name, p in perceptron.net.named_parameters()}
    _, gradients = st.value_and_grad(perceptron.net, nn.HalfSquaredError())(X, Y)
    st.compile(perceptron.net, nn.HalfSquaredError(), optim.SGD(lr=0.5))(X, Y)
    for name, parameter in perceptron.net.named_parameters():
        assert parameter.data == pytest.approx(before[name] - 0.5 * gradients[name], abs=1e-6)


def test_S179_a_batch_has_the_mean_of_the_gradients_of_its_samples(perceptron):
    x, y = draw(6, 4), draw(6, 2)
    _, whole = st.value_and_grad(perceptron.net, nn.HalfSquaredError("batchmean"))(x, y)
    each = [st.value_and_grad(perceptron.net, nn.HalfSquaredError())(a, b)[1] for a, b in zip(x, y)]
    for name in whole:
        assert whole[name] == pytest.approx(np.mean([g[name] for g in each], 0), abs=1e-6)


def test_S172_S180_the_exclusive_or_is_learned():
    """The 11 steps by hand and the compiled step go the same way, and end at the truth table."""
    twin, rate = Perceptron(2, 4, 1, seed=3), 8.0
    samples, answers = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], float), np.array([[0], [1], [1], [0]], float)
    step = st.compile(twin.net, nn.HalfSquaredError("batchmean"), optim.SGD(lr=rate))
    for epoch in range(1500):
        sums = [[np.zeros_like(p) for p in group] for group in (twin.weights, twin.biases)]
        for x, y in zip(samples, answers):
            deltas, activations = twin.deltas(x, y)
            for i, delta in enumerate(deltas):
                sums[0][i] += np.outer(delta, activations[i])
                sums[1][i] += delta
        if epoch < 50:
            cost = np.mean([twin.cost(x, y) for x, y in zip(samples, answers)])
        loss = step(samples, answers)
        if epoch < 50:
            assert loss == pytest.approx(cost, rel=1e-4)
        for group, total in zip((twin.weights, twin.biases), sums):
            for parameter, gradient in zip(group, total):
                parameter -= rate / 4 * gradient
    outputs = np.array([twin.forward(x)[1][-1] for x in samples])
    assert np.array_equal(outputs > 0.5, answers == 1) and np.array_equal(twin.net(samples) > 0.5, answers == 1)


def test_S181_E09_delta_goes_back_over_the_same_weight():
    """A weight w from node a to node b: delta_a gets w * delta_b; the note writes w * delta_a."""
    layer = nn.Linear(3, 2, bias=False)
    _, pullback = st.vjp(layer, floats(1, 3))
    for b in range(2):
        delta = np.eye(2)[b:b + 1]
        assert np.array_equal(pullback(delta)[0][0], layer.weight.data[b])


# convolution


@pytest.fixture
def convolution():
    """x, w, dy, and dx, dw, db of striate's convolution (a correlation) of 6x6 with 3x3."""
    x, w, dy = draw(6, 6), draw(3, 3), draw(4, 4)
    return x, w, dy, *conv_gradients(x, w, dy)


def conv_gradients(x, w, dy):
    layer = nn.Conv2d(1, 1, 3)
    layer.weight.data = w[None, None].astype(np.float32)
    dx, found = st.vjp(layer, x[None, None])[1](dy[None, None])
    return dx[0, 0], found["weight"][0, 0], found["bias"]


def test_S182_dx_is_dy_padded_and_correlated_with_the_turned_filter(convolution):
    _, w, dy, dx, _, _ = convolution
    assert dx == pytest.approx(correlate(np.pad(dy, 2), turn(w)), abs=1e-5)
    assert np.abs(dx - correlate(np.pad(dy, 2), w)).max() > 1  # without the turn it is another number


def test_S183_of_a_true_convolution_dx_needs_no_turn(convolution):
    """Forward: the filter is turned; backward: a correlation with it as it is. The same operator in both ways needs the turn."""
    x, w, dy, *_ = convolution
    dx, dw, _ = conv_gradients(x, turn(w), dy)
    assert dx == pytest.approx(correlate(np.pad(dy, 2), w), abs=1e-5)
    assert turn(dw) == pytest.approx(turn(correlate(x, dy)), abs=1e-5)


def test_S184_dw_is_x_correlated_with_dy(convolution):
    x, _, dy, _, dw, _ = convolution
    assert dw == pytest.approx(correlate(x, dy), abs=1e-5)


def test_S185_E23_one_bias_for_each_channel_gets_the_sum_of_dy(convolution):
    """The note has a bias for each position and no gradient for it."""
    _, _, dy, _, _, db = convolution
    assert db == pytest.approx([dy.sum()], abs=1e-5)
    assert nn.Conv2d(3, 7, 3).bias.shape == (7,)


# every layer, by finite differences in float64

CONVOLUTIONS = [
    (nn.Conv2d(3, 4, 3), (2, 3, 5, 6)), (nn.Conv2d(3, 4, 3, 2, 1), (2, 3, 5, 6)), (nn.Conv2d(2, 3, 3, dilation=2), (1, 2, 7, 6)),
    (nn.Conv2d(4, 6, 3, groups=2), (2, 4, 5, 5)), (nn.Conv2d(4, 4, 3, padding="same", groups=4), (2, 4, 5, 4)),
    (nn.Conv1d(3, 4, 3, 2, 1), (2, 3, 7)), (nn.Conv3d(2, 3, 2), (1, 2, 3, 4, 3)),
    (nn.ConvTranspose2d(3, 4, 3, 2, 1, 1), (2, 3, 4, 3)), (nn.ConvTranspose1d(3, 2, 3, 2), (2, 3, 4)),
    (nn.ConvTranspose3d(2, 2, 2, 2), (1, 2, 2, 3, 2)),
]  # fmt: skip
OTHERS = [
    (nn.MaxPool2d(2), (2, 3, 4, 6)), (nn.MaxPool2d(3, 2, 1), (2, 3, 5, 6)), (nn.AvgPool2d(2), (2, 3, 4, 6)),
    (nn.AvgPool2d(3, 2, 1, count_include_pad=False), (2, 3, 5, 6)), (nn.AdaptiveAvgPool2d(3), (2, 3, 5, 7)),
    (nn.AdaptiveMaxPool2d(2), (2, 3, 5, 7)), (nn.BatchNorm2d(3), (4, 3, 3, 2)), (nn.BatchNorm2d(3).eval(), (4, 3, 3, 2)),
    (nn.BatchNorm1d(3), (5, 3)), (nn.Linear(4, 3), (2, 4)), (nn.Flatten(), (2, 3, 2)), (nn.Dropout(0.4), (4, 6)),
    (nn.Dropout2d(0.4), (4, 3, 2, 2)), (nn.AlphaDropout(0.3), (4, 6)), (nn.RReLU(), (4, 6)), (nn.Softmax(1), (2, 4)),
    (nn.LogSoftmax(-1), (2, 4)), (nn.Softmin(1), (2, 4)), (nn.Softmax2d(), (2, 3, 2, 2)), (nn.GLU(1), (2, 4, 3)),
    (nn.Maxout(2), (3, 6)), (nn.PReLU(3), (2, 3, 4)), (nn.Swish(1.3, trainable=True), (3, 4)), (nn.ReLU(), (3, 4)),
    (nn.LeakyReLU(), (3, 4)), (nn.ELU(), (3, 4)), (nn.CELU(2), (3, 4)), (nn.SELU(), (3, 4)), (nn.SiLU(), (3, 4)),
    (nn.Mish(), (3, 4)), (nn.GELU(), (3, 4)), (nn.GELU("tanh"), (3, 4)), (nn.Hardswish(), (3, 4)), (nn.Hardsigmoid(), (3, 4)),
    (nn.Hardtanh(), (3, 4)), (nn.Softplus(), (3, 4)), (nn.Softsign(), (3, 4)), (nn.Tanh(), (3, 4)), (nn.Sigmoid(), (3, 4)),
    (nn.LogSigmoid(), (3, 4)), (nn.Tanhshrink(), (3, 4)), (nn.Softshrink(), (3, 4)), (nn.Hardshrink(), (3, 4)),
    (nn.ReLU6(), (3, 4)), (nn.Threshold(0.1, 2), (3, 4)), (nn.GroupNorm(2, 4), (2, 4, 3, 2)), (nn.LayerNorm(4), (3, 4)),
    (nn.InstanceNorm2d(3, affine=True), (2, 3, 3, 2)), (nn.RMSNorm(4), (3, 4)), (nn.LocalResponseNorm(3), (2, 4, 3, 2)),
    (nn.SpatialPyramidPool2d((2, 1)), (2, 3, 5, 4)), (nn.NetVLAD(2, 3), (2, 3, 2, 2)), (nn.SumPool2d(2), (2, 3, 4, 4)),
    (nn.LPPool2d(3, 2), (2, 3, 4, 4)), (nn.Upsample(scale_factor=2, mode="bilinear"), (2, 3, 3, 2)),
    (nn.ReflectionPad2d(1), (2, 3, 3, 4)), (nn.PixelShuffle(2), (1, 4, 2, 3)), (nn.MaxPool1d(2), (2, 3, 6)),
    (nn.MaxPool3d(2), (1, 2, 4, 2, 4)), (nn.AvgPool1d(2), (2, 3, 6)), (nn.AvgPool3d(2), (1, 2, 4, 2, 4)),
]  # fmt: skip
LOSSES = [
    (nn.MSELoss(), "numbers"), (nn.HalfSquaredError(), "numbers"), (nn.L1Loss(), "numbers"), (nn.SmoothL1Loss(), "numbers"),
    (nn.HuberLoss(), "numbers"), (nn.BCEWithLogitsLoss(), "chances"), (nn.KLDivLoss(reduction="batchmean"), "chances"),
    (nn.PoissonNLLLoss(), "chances"), (nn.SoftMarginLoss(), "signs"), (nn.HingeEmbeddingLoss(), "signs"),
    (nn.MultiLabelSoftMarginLoss(), "chances"), (nn.CrossEntropyLoss(label_smoothing=0.1), "labels"), (nn.NLLLoss(), "labels"),
    (nn.MultiMarginLoss(), "labels"), (nn.CrossEntropyLoss(), "chances"),
]  # fmt: skip
STEP = 1e-6


def gradcheck(layer, x, *targets):
    """<dy, change of the output along v> = <gradient, v> for x and for every parameter."""
    st.seed(0)
    graph = graph_of(layer, x, *targets)
    dy = graph.input(graph.outputs[0].shape)
    wanted = {"x": graph.inputs[0], **graph.parameters}
    found = differentiate(graph, graph.outputs[:1], [dy], wanted.values())
    arrays = {"x": x, **{name: graph.sources[v].data.astype(float) for name, v in graph.parameters.items()}}
    seed = draw(*dy.shape, seed=5)

    def output(changed, array):
        holder = graph.sources[wanted[changed]] if changed != "x" else None
        before = holder.data if holder else None
        if holder:
            holder._data = array  # in float64
        values = graph.evaluate([array if changed == "x" else x, *targets, seed], np.float64)
        if holder:
            holder._data = before
        return values

    for (name, value), gradient in zip(wanted.items(), found, strict=True):
        v = draw(*value.shape, seed=6)
        ends = [output(name, arrays[name] + sign * STEP * v)[graph.outputs[0]] for sign in (1, -1)]
        change = np.vdot(seed, (ends[0] - ends[1]) / (2 * STEP))
        got = np.vdot(output(name, arrays[name])[gradient], v)
        assert got == pytest.approx(change, rel=1e-6, abs=1e-7), name


@pytest.mark.parametrize("layer, shape", CONVOLUTIONS, ids=repr)
def test_S186_every_convolution(layer, shape):
    gradcheck(layer, draw(*shape))


@pytest.mark.parametrize("layer, shape", OTHERS, ids=repr)
def test_S187_every_other_layer(layer, shape):
    gradcheck(layer, draw(*shape))


@pytest.mark.parametrize("layer", [nn.RoIAlign(2, 1.0, 2), nn.RoIPool(2, 1.0)], ids=repr)
def test_S187_regions_of_interest(layer):
    gradcheck(layer, draw(2, 3, 6, 7), np.array([[0, 0.6, 1.2, 5.1, 4.3], [1, 1.1, 0.4, 3.9, 5.2]]))


@pytest.mark.parametrize("loss, kind", LOSSES, ids=repr)
def test_S187_every_loss(loss, kind):
    targets = {"numbers": draw(4, 3, seed=1), "chances": 0.5 + 0.4 * np.tanh(draw(4, 3, seed=1)),
               "signs": np.sign(draw(4, 3, seed=1)), "labels": np.array([0, 2, 1, 1])}
    gradcheck(loss, draw(4, 3), targets[kind])
