"""Every architecture beside the same network written in plain torch.nn: weights from files, outputs, gradients, statistics.

Tolerances, beside the largest number of an array: 1e-5 for outputs and statistics, 1e-4 for gradients, or ten times what
PyTorch's own float32 loses against its float64 where that is more.
"""

import copy
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from tests.cpu.helpers import FORWARD, GRADIENT, error, floats
from tests.models import (
    torch_alexnet,
    torch_googlenet,
    torch_inception,
    torch_mobilenet,
    torch_nin,
    torch_resnet,
    torch_vgg,
    torch_xception,
)

import striate as st
from striate import models, nn
from striate.nn.init import skipped

CLASSES = 10
Named = dict[str, np.ndarray]


@dataclass(frozen=True)
class Case:
    """A model of the registry, the same network of PyTorch, and the images that they are compared on."""

    name: str
    theirs: Any
    shape: tuple[int, int, int]
    arguments: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return "-".join([self.name, *(f"{k}={v}" for k, v in self.arguments.items())])


def resnet(**arguments):
    return lambda: torch_resnet.resnet((1, 2), width=8, num_classes=CLASSES, **arguments)


SMALL = [
    Case("alexnet_tiny", lambda: torch_alexnet.alexnet(16, groups=2, hidden=32, num_classes=CLASSES), (3, 67, 67)),
    Case("alexnet_tiny", lambda: torch_alexnet.alexnet(16, groups=1, hidden=32, num_classes=CLASSES), (2, 75, 67), {"groups": 1}),
    Case("zfnet_tiny", lambda: torch_alexnet.zfnet(16, 32, CLASSES), (3, 64, 64)),
    Case("sppnet_tiny", lambda: torch_alexnet.sppnet(16, (1, 2), 32, CLASSES), (3, 64, 80)),
    Case("nin_tiny", lambda: torch_nin.nin(((5, 16, 8, 8), (5, 16, 8, 8), (3, 8, 8, CLASSES))), (3, 32, 32)),
    Case("vgg_tiny", lambda: torch_vgg.vgg((1, 1, 2), True, (8, 16, 16), 32, CLASSES), (3, 32, 32)),
    Case("vgg_tiny", lambda: torch_vgg.vgg((1, 1, 2), False, (8, 16, 16), 32, CLASSES), (3, 40, 32), {"batch_norm": False}),
    Case("googlenet_tiny", lambda: torch_googlenet.googlenet_tiny(True, True), (4, 96, 96), {"aux_logits": True}),
    Case("googlenet_tiny", lambda: torch_googlenet.googlenet_tiny(False, True), (2, 224, 224),
         {"aux_logits": True, "batch_norm": False}),
    Case("inception_v3_tiny", lambda: torch_inception.inception_v3(16, CLASSES), (2, 299, 299)),
    Case("resnet_tiny", resnet(), (4, 32, 32)),
    Case("resnet_tiny", resnet(bottleneck=True), (4, 33, 40), {"bottleneck": True}),
    Case("resnet_tiny", resnet(bottleneck=True, stride_in_1x1=True), (4, 32, 32), {"bottleneck": True, "stride_in_1x1": True}),
    Case("mobilenet_v1_tiny", lambda: torch_mobilenet.mobilenet_v1(8, ((16, 1, 1), (24, 2, 2)), CLASSES), (4, 32, 32)),
    Case("mobilenet_v2_tiny", lambda: torch_mobilenet.mobilenet_v2(8, ((1, 8, 1, 1), (2, 16, 2, 2), (2, 24, 1, 1)), 32, CLASSES),
         (4, 32, 32)),
    Case("xception_tiny", lambda: torch_xception.xception(8, 1, CLASSES), (4, 71, 71)),
]  # fmt: skip


def drawn(case: Case) -> torch.nn.Module:
    """PyTorch's network without dropout, its statistics and scales like those of a trained one.

    Shifts near 1 keep most activations away from the corner of ReLU, where rounding alone turns a gradient on or off.
    """
    torch.manual_seed(0)
    net = case.theirs()
    for module in net.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.weight, 0.5, 1.5), torch.nn.init.normal_(module.bias, 1, 0.1)
            torch.nn.init.normal_(module.running_mean, 0, 0.1), torch.nn.init.uniform_(module.running_var, 0.5, 1.5)
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    return net


def loaded(case: Case, path: Any) -> nn.Module:
    """striate's network with the weights in a file."""
    net = models.create(case.name, weights=path, **case.arguments)
    for module in net.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    return net


def batch(case: Case) -> tuple[np.ndarray, np.ndarray]:
    """Images and labels."""
    count, *size = case.shape
    return floats(count, 3, *size), np.arange(count) * 3 % CLASSES


def loss_of(outputs: Any, labels: torch.Tensor) -> torch.Tensor:
    """Cross-entropy of the logits, and 0.3 of that of every auxiliary head."""
    logits, *auxiliary = outputs if isinstance(outputs, tuple) else (outputs,)
    cross = torch.nn.functional.cross_entropy
    return cross(logits, labels) + sum(0.3 * cross(y, labels) for y in auxiliary)


@pytest.mark.parametrize("case", SMALL, ids=str)
def test_outputs_with_weights_from_files(case, tmp_path):
    theirs, (x, _) = drawn(case).eval(), batch(case)
    save_file(theirs.state_dict(), tmp_path / "net.safetensors")
    torch.save(theirs.state_dict(), tmp_path / "net.pth")
    wanted = theirs.double()(torch.tensor(x, dtype=torch.float64)).detach()
    for name in ("net.pth", "net.safetensors"):
        assert error(loaded(case, tmp_path / name).eval()(x), wanted) < FORWARD, name


def trained(net: torch.nn.Module, x: np.ndarray, labels: np.ndarray, dtype: torch.dtype) -> tuple[float, Named, Named]:
    """Loss, gradients and new statistics of one pass of training, by a copy of the network in this precision."""
    net = copy.deepcopy(net).to(dtype).train()
    loss = loss_of(net(torch.tensor(x, dtype=dtype)), torch.tensor(labels))
    loss.backward()
    return loss.item(), {n: p.grad.numpy() for n, p in net.named_parameters()}, {n: b.numpy() for n, b in net.named_buffers()}


@pytest.mark.parametrize("case", SMALL, ids=str)
def test_gradients_and_statistics_of_training(case, tmp_path):
    theirs, (x, labels) = drawn(case), batch(case)
    torch.save(theirs.state_dict(), tmp_path / "net.pth")
    net = loaded(case, tmp_path / "net.pth").train()
    value, exact, statistics = trained(theirs, x, labels, torch.float64)
    rough = trained(theirs, x, labels, torch.float32)[1]
    loss, gradients = st.value_and_grad(net, models.AuxiliaryLoss(nn.CrossEntropyLoss()))(x, labels)
    assert abs(loss - value) < FORWARD * value
    assert gradients.keys() == exact.keys()
    scale = 1e-3 * max(np.abs(g).max() for g in exact.values())  # a bias before batch norm has nothing but rounding
    worst = max(error(rough[name], exact[name], scale) for name in exact)  # of PyTorch's own: what float32 loses in this network
    for name, gradient in gradients.items():
        allowed = max(GRADIENT, worst, 10 * error(rough[name], exact[name], scale))
        assert error(gradient, exact[name], scale) < allowed, (name, error(gradient, exact[name], scale), allowed)
    buffers = dict(net.named_buffers())
    assert buffers.keys() == statistics.keys()
    for name, wanted in statistics.items():
        assert error(buffers[name].data, wanted) < FORWARD, name


@pytest.mark.parametrize("case", [c for c in SMALL if "aux_logits" in c.arguments or "inception" in c.name], ids=str)
def test_a_step_with_auxiliary_heads(case, tmp_path):
    """A compiled step of SGD leaves the parameters that PyTorch's step leaves; the heads in the middle learn too."""
    theirs, (x, labels) = drawn(case), batch(case)
    torch.save(theirs.state_dict(), tmp_path / "net.pth")
    net = loaded(case, tmp_path / "net.pth").train()
    before, theirs = net.state_dict(), theirs.double().train()
    step = st.compile(net, models.AuxiliaryLoss(nn.CrossEntropyLoss()), st.optim.SGD(lr=0.002, momentum=0.9))
    optimizer = torch.optim.SGD(theirs.parameters(), lr=0.002, momentum=0.9)
    loss = loss_of(outputs := theirs(torch.tensor(x, dtype=torch.float64)), torch.tensor(labels))
    loss.backward()
    optimizer.step()
    assert abs(step(x, labels) - loss.item()) < FORWARD * loss.item()
    assert all(error(got, wanted.detach()) < FORWARD for got, wanted in zip(step.output, outputs, strict=True))
    after = net.state_dict()
    for name, parameter in theirs.named_parameters():
        assert error(after[name], parameter.detach()) < FORWARD, name
    heads = [name for name in after if name.startswith(("aux", "Aux", "fc."))]
    assert len(heads) > 5 and all((after[name] != before[name]).any() for name in heads)


FULL = {
    "alexnet": torch_alexnet.alexnet, "alexnet_2gpu": partial(torch_alexnet.alexnet, groups=2),
    "alexnet_owt": torch_alexnet.alexnet_owt, "zfnet": torch_alexnet.zfnet, "sppnet": torch_alexnet.sppnet,
    "nin": torch_nin.nin, "googlenet": torch_googlenet.googlenet, "googlenet_bn": partial(torch_googlenet.googlenet, True),
    "inception_v3": torch_inception.inception_v3, "mobilenet_v1": torch_mobilenet.mobilenet_v1,
    "mobilenet_v2": torch_mobilenet.mobilenet_v2, "xception": torch_xception.xception,
    **{f"vgg{n}": partial(torch_vgg.vgg, n) for n in (11, 13, 16, 19)},
    **{f"vgg{n}_bn": partial(torch_vgg.vgg, n, True) for n in (11, 13, 16, 19)},
    **{f"resnet{n}": partial(torch_resnet.resnet, n, n > 34) for n in (18, 34, 50, 101, 152)},
}


@pytest.mark.parametrize("name", FULL)
def test_names_and_shapes_at_full_size(name):
    with skipped():
        ours = models.create(name).state_dict()
    with torch.device("meta"):
        theirs = FULL[name]().state_dict()
    assert {n: a.shape for n, a in ours.items()} == {n: tuple(a.shape) for n, a in theirs.items()}


@pytest.mark.parametrize("name", ["googlenet_tiny"])
def test_published_inception_networks_take_images_as_the_others_do(name):
    """ImageNet's normalisation is turned into TensorFlow's, pixels from -1 to 1, inside of the network."""
    pixels = np.random.default_rng(0).random((2, 3, 96, 96), np.float32)
    mean, deviation = np.float32([[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]])[..., None, None]
    st.seed(0)
    turned = models.create(name, transform_input=True).eval()
    plain = models.create(name).eval()
    plain.load_state_dict(turned.state_dict())
    assert error(turned((pixels - mean) / deviation), plain(pixels * 2 - 1)) < FORWARD
