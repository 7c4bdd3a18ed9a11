"""Every architecture, small, learns one batch by heart: what is wrong in its forward, its gradients or its start shows here."""

import inspect

import numpy as np
import pytest

import striate as st
from striate import models, nn
from striate.graph import Spec
from striate.models.registry import MODELS

SMALL = {
    "alexnet_tiny": {}, "captcha": {"height": 16, "width": 40}, "demo": {}, "espcn": {}, "googlenet_tiny": {"aux_logits": True},
    "inception_v3_tiny": {}, "lenet": {}, "lenet5": {}, "mobilenet_v1_tiny": {}, "mobilenet_v2_tiny": {}, "nin_tiny": {},
    "resnet_cifar": {"depth": 8, "channels": 4}, "resnet_tiny": {}, "segmenter_dilated": {"width": 4},
    "segmenter_transposed": {"width": 4}, "small_cnn": {}, "sppnet_tiny": {}, "textcnn": {"num_embeddings": 100},
    "vgg_tiny": {}, "xception_tiny": {}, "zfnet_tiny": {},
}  # fmt: skip
STEPS = 250


def batch(net: nn.Module, shape: Spec | tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Four items, and what is to be learned of them: a class for each, or for each letter or pixel, or another picture."""
    rng = np.random.default_rng(0)
    if isinstance(shape, Spec):
        x = rng.integers(1, 100, (4, *shape.shape))
    else:  # squares of 8 pixels
        x = rng.normal(size=(4, *shape)).astype(np.float32)[:, :, ::8, ::8].repeat(8, 2).repeat(8, 3)[:, :, :shape[1], :shape[2]]
    out = st.trace(net, x).outputs[0].shape
    if net.config["name"] == "espcn":
        return x, 0.5 * x.repeat(2, 2).repeat(2, 3)
    if net.config["name"].startswith("segmenter"):
        return x, x[:, :out[1]].argmax(1)
    return x, rng.integers(out[1], size=(4, *out[2:])) if out[2:] else np.arange(4) * 2 % out[1]


@pytest.mark.slow
@pytest.mark.parametrize("name", SMALL)
def test_a_batch_is_learned_by_heart(name):
    st.seed(0)
    net = models.create(name, **SMALL[name])
    for module in net.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    x, y = batch(net, models.input_shape(net))
    learner = net[:-1] if name == "demo" else net  # without its softmax
    loss = nn.MSELoss() if name == "espcn" else models.AuxiliaryLoss(nn.CrossEntropyLoss())
    step = st.compile(learner, loss, st.optim.Adam(lr=0.003))
    first = step(x, y)
    assert any(step(x, y) < 0.1 * first for _ in range(STEPS)), (first, step(x, y))


def test_no_architecture_is_left_out():
    """Each file of models has its small network here."""
    files = {name: inspect.getmodule(inspect.unwrap(build)).__name__ for name, build in MODELS.items()}
    assert set(files.values()) == {files[name] for name in SMALL}
    assert {name for name in MODELS if name.endswith("_tiny")} <= set(SMALL)
