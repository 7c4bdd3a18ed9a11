"""TextCNN: as PyTorch's, whatever the length of a sentence."""

import numpy as np
import pytest
import torch
from tests.cpu.helpers import close, error

import striate as st
from striate import models, nn, optim, text
from striate.errors import ArgumentError


class Theirs(torch.nn.Module):
    def __init__(self, norm: bool):
        super().__init__()
        self.embedding = torch.nn.Embedding(30, 12, padding_idx=0)
        self.convs = torch.nn.ModuleList([torch.nn.Conv1d(12, 7, width, padding=width) for width in (2, 3)])
        self.norm = torch.nn.LayerNorm(14) if norm else torch.nn.Identity()
        self.head = torch.nn.Linear(14, 4)

    def forward(self, x):
        words = self.embedding(x).transpose(1, 2)
        return self.head(self.norm(torch.cat([conv(words).relu().amax(2) for conv in self.convs], 1)))


@pytest.mark.parametrize("norm", [False, True])
@pytest.mark.parametrize("length", [1, 5, 16])
def test_as_pytorchs(norm, length):
    theirs = Theirs(norm)
    ours = models.textcnn(30, 4, embedding_dim=12, widths=(2, 3), channels=7, dropout=0.0, norm=norm)
    ours.load_state_dict(theirs.state_dict())
    theirs = theirs.double()
    x = np.random.default_rng(length).integers(0, 30, (3, length))
    y = theirs(torch.tensor(x))
    close(ours(x), y.detach(), 1e-5)
    labels = np.array([0, 3, 1])
    torch.nn.functional.cross_entropy(y, torch.tensor(labels)).backward()
    _, gradients = st.value_and_grad(ours, nn.CrossEntropyLoss())(x, labels)
    wanted = dict(theirs.named_parameters())
    assert gradients.keys() == wanted.keys()
    for name, gradient in gradients.items():
        assert error(gradient, wanted[name].grad, scale=1e-3) < 1e-4, name


def test_padding_changes_nothing():
    net = models.textcnn(30, 4, embedding_dim=12, channels=7).eval()
    x = np.random.default_rng(0).integers(1, 30, (2, 6))
    np.testing.assert_array_equal(net(x), net(np.pad(x, ((0, 0), (0, 11)))))


def test_it_learns_what_words_alone_do_not_tell():
    st.seed(0)
    texts, labels = text.sentences(900, seed=1)
    train = text.TextDataset(texts[:800], labels[:800], length=24)
    unseen = text.TextDataset(texts[800:], labels[800:], train.vocabulary, train.classes, length=24)
    net = models.textcnn(len(train.vocabulary), 2, embedding_dim=24, widths=(2, 3), channels=24, norm=True)
    st.Trainer(net, nn.CrossEntropyLoss(), optim.Adam(lr=5e-3), progress=False).fit(train, epochs=6, batch_size=32)
    x, y = unseen.batch(range(100))
    assert np.mean(net(x).argmax(axis=1) == y) > 0.9


def test_saved_and_loaded_again(tmp_path):
    net = models.textcnn(30, 4, embedding_dim=12, channels=7).eval()
    st.save(net, tmp_path / "a.safetensors")
    again = st.load(tmp_path / "a.safetensors")
    x = np.arange(1, 9)[None]
    np.testing.assert_array_equal(again.eval()(x), net(x))
    assert again.config["widths"] == (3, 4, 5)


@pytest.mark.parametrize("widths", [(), (3, 0)])
def test_wrong_widths(widths):
    with pytest.raises(ArgumentError) as error:
        models.textcnn(widths=widths)
    assert str(error.value) == f"widths must be one or more whole numbers from 1 up, got {widths}; the paper has (3, 4, 5)"
