"""The layers of a convolutional network one after the other, and what such networks are used for."""

import re
from pathlib import Path

import numpy as np
import pytest
from tests.test_examples import RUNS

import striate as st
from striate import data, models, nn, optim
from striate.train import WholeSequence

W1, H1, K, C = 20, 14, 6, 10
EXAMPLES = Path(__file__).parent.parent.parent / "examples"


def test_S001_layer_pipeline():
    """Input W1 x H1 x 3, convolution W1 x H1 x K, activation the same, pooling W2 x H2 x K, linear C. Here height goes first."""
    W2, H2 = W1 // 2, H1 // 2
    net = nn.Sequential(nn.Conv2d(3, K, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(W2 * H2 * K, C))
    graph = st.trace(net, (8, 3, H1, W1))
    assert [node.op.name for node in graph.nodes] == ["conv2d", "relu", "max_pool2d", "reshape", "linear"]
    told = st.summary(net, (3, H1, W1), show=False).to_dict()
    assert told["inputs"] == ((3, H1, W1),)
    assert [(row["op"], row["output"], row["parameters"]) for row in told["rows"]] == [
        ("conv2d", (K, H1, W1), 3 * 3 * 3 * K + K),
        ("relu", (K, H1, W1), 0),
        ("max_pool2d", (K, H2, W2), 0),
        ("reshape", (K * H2 * W2,), 0),
        ("linear", (C,), W2 * H2 * K * C + C),
    ]  # fmt: skip
    assert net(np.zeros((8, 3, H1, W1))).shape == (8, C)


def test_E10_the_weight_is_no_output():
    """W2 H2 K x C is the shape of the linear layer's weight (here C x W2 H2 K); its output is N x C."""
    linear = nn.Linear(7 * 10 * K, C)
    assert linear.weight.shape == (C, 7 * 10 * K) and linear(np.zeros((8, 7 * 10 * K))).shape == (8, C)


def test_S007_captchas_are_read():
    """Pictures drawn, digitised, learnt and decoded: characters and whole strings of two digits that were never seen."""
    st.seed(0)
    train, unseen = (data.CaptchaDataset(n, "01", 2, size=(24, 48), grey=True, seed=seed) for n, seed in ((1024, 1), (100, 2)))
    net = models.create("captcha", alphabet="01", length=2, height=24, width=48)
    trainer = st.Trainer(net, nn.CrossEntropyLoss(), optim.AdamW(lr=5e-3), progress=False)
    trainer.fit(train.materialise(cache=False), epochs=4)
    x, y = unseen.materialise(cache=False).batch(range(100))
    scores = net(x)
    assert scores.shape == (100, 2, 2) and y.shape == (100, 2)
    found = trainer.evaluate((x, y))
    whole = WholeSequence().name
    read = [unseen.text(row) for row in scores.argmax(axis=1)]
    exact = np.mean([a == unseen.text(b) for a, b in zip(read, y)])
    assert found[whole] == pytest.approx(exact) and found["accuracy"] == pytest.approx(np.mean(scores.argmax(axis=1) == y))
    assert found["accuracy"] > 0.9 and found[whole] > 0.8


TASKS = {
    "classification": "03_train_lenet.py", "captchas": "04_read_captchas.py", "sentences": "10_text.py",
    "segmentation": "11_segmentation.py", "super-resolution": "12_super_resolution.py", "detection": "16_detection.py",
}  # fmt: skip


@pytest.mark.parametrize("task", TASKS)
def test_S009_a_script_for_each_task(task):
    """Each is among the scripts that tests/test_examples.py runs, asserts how well it does, and says how it is called."""
    path = EXAMPLES / TASKS[task]
    assert path in [run for run, _ in RUNS]
    text = path.read_text(encoding="utf-8")
    assert f"python examples/{path.name}" in text and re.search(r"^ +(assert .*(>|<)|raise SystemExit)", text, re.MULTILINE)
