"""The published architectures, small: compiled against the references in float64, rebuilt from files, with every gradient."""

import numpy as np
import pytest
from tests.cpu.helpers import check_network, floats

import striate as st
from striate import models, nn

TINY = {
    "alexnet_tiny": {"dropout": 0.0}, "googlenet_tiny": {}, "lenet5": {}, "mobilenet_v1_tiny": {},
    "mobilenet_v2_tiny": {}, "nin_tiny": {}, "resnet_tiny": {}, "sppnet_tiny": {"dropout": 0.0}, "vgg_tiny": {},
    "xception_tiny": {}, "zfnet_tiny": {"dropout": 0.0},
}


@pytest.mark.parametrize("name", TINY)
def test_compiled_as_the_reference(name):
    st.seed(0)
    net = models.create(name, **TINY[name])
    x = floats(2, *models.input_shape(net))
    graph = st.trace(net.eval(), x.shape)
    wanted = graph.run(x, target="reference", dtype=np.float64)
    assert np.abs(net(x) - wanted).max() <= 2e-5 * np.abs(wanted).max()


@pytest.mark.parametrize("name, arguments", [("resnet_tiny", {}), ("resnet_tiny", {"bottleneck": True}),
                                             ("mobilenet_v2_tiny", {}), ("resnet_cifar", {"depth": 8, "channels": 4})])
def test_gradients_of_evaluation(name, arguments):
    st.seed(1)
    check_network(models.create(name, **arguments).eval(), floats(1, 3, 32, 32))


@pytest.mark.parametrize("name", ["googlenet_tiny", "inception_v3_tiny"])
def test_auxiliary_heads(name):
    st.seed(0)
    net = models.create(name, num_classes=3, aux_logits=True)
    size = 224 if name == "googlenet_tiny" else 299
    graph = st.trace(net.train(), (2, 3, size, size))
    count = 3 if name == "googlenet_tiny" else 2
    assert [v.shape for v in graph.outputs] == [(2, 3)] * count
    assert [v.shape for v in st.trace(net.eval(), (2, 3, size, size)).outputs] == [(2, 3)]


def test_auxiliary_loss():
    loss = models.AuxiliaryLoss(nn.MSELoss())

    class Heads(nn.Module):
        def forward(self, x, y):
            return loss((x, 2 * x), y), loss(x, y)

    both, alone = st.trace(Heads(), (1, 1), (1, 1)).run(np.ones((1, 1)), np.zeros((1, 1)), target="reference", dtype=np.float64)
    assert np.isclose(both, 1 + 0.3 * 4) and np.isclose(alone, 1)


def test_auxiliary_heads_in_a_trainer():
    """They count in the loss of training alone; metrics judge the logits."""
    st.seed(0)
    net, (x, y) = models.googlenet_tiny(num_classes=3, aux_logits=True), (floats(8, 3, 96, 96), np.arange(8) % 3)
    trainer = st.Trainer(net, models.AuxiliaryLoss(nn.CrossEntropyLoss(ignore_index=7)), st.optim.SGD(lr=0.01), progress=False)
    history = trainer.fit((x, y), (x, y), batch_size=4)
    assert history["loss"][0] > 1.3 * history["val_loss"][0] > 0 and trainer.ignore_index == 7
    assert trainer.evaluate((x, y), batch_size=4) == {"loss": history["val_loss"][0], "accuracy": history["val_accuracy"][0]}


def test_saved_and_loaded(tmp_path):
    net = models.resnet_tiny(3, bottleneck=True)
    st.save(net, tmp_path / "net.safetensors")
    again = st.load(tmp_path / "net.safetensors")
    assert again.config == net.config
    x = floats(1, 3, 32, 32)
    np.testing.assert_array_equal(again(x), net.eval()(x))
