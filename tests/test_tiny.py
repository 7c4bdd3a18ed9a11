"""One screen that says whether the house stands: run before every commit, under two seconds."""

import numpy as np

import striate as st
from striate import nn, optim


def small() -> nn.Sequential:
    st.seed(0)
    return nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(64, 3))


def images(n: int = 6) -> np.ndarray:
    return np.random.default_rng(0).standard_normal((n, 1, 8, 8)).astype(np.float32)


def test_machine_code_agrees_with_numpy():
    x, net = images(), small()
    oracle = st.trace(net, x).run(x, target="reference", dtype=np.float64)
    np.testing.assert_allclose(net(x), oracle, rtol=1e-5, atol=1e-6)


def test_gradients_point_uphill():
    x, y, net = images(), np.array([0, 1, 2, 0, 1, 2]), small()
    evaluate = st.value_and_grad(net, nn.CrossEntropyLoss())
    before, gradients = evaluate(x, y)
    for name, parameter in net.named_parameters():
        parameter.data = parameter.data + 1e-3 * gradients[name]
    after, _ = evaluate(x, y)
    rise = 1e-3 * sum(np.sum(g.astype(np.float64) ** 2) for g in gradients.values())
    np.testing.assert_allclose(after - before, rise, rtol=0.05)


def test_a_network_learns_six_images_by_heart():
    x, y, net = images(), np.array([0, 1, 2, 0, 1, 2]), small()
    step = st.compile(net, nn.CrossEntropyLoss(), optim.Adam(lr=0.05))
    losses = [step(x, y) for _ in range(30)]
    assert losses[-1] < 0.01 < losses[0]
    assert (net.eval()(x).argmax(axis=1) == y).all()


def test_saved_and_loaded(tmp_path):
    net = small()
    st.save(net, tmp_path / "net.safetensors")
    np.testing.assert_array_equal(st.load(tmp_path / "net.safetensors")(images()), net.eval()(images()))
