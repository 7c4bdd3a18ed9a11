"""Sentences, as the notes put them: tokens, embedding, 1-D convolution, the largest over time, a linear layer."""

import numpy as np

import striate as st
from striate import models, nn, text


def test_S006_sentences_of_any_length_become_vectors_of_one_length():
    """tokens -> embedding [N, L, D] -> 1-D convolution -> 1-max pooling -> fully connected."""
    texts = ["good", "a good film", "a film that is not so good as the book that it was made of"]
    dataset = text.TextDataset(texts, [1, 1, 0])
    lengths = [len(text.words(t)) for t in texts]
    assert lengths == [1, 3, 15]
    net = models.textcnn(len(dataset.vocabulary), 2, embedding_dim=16, channels=10).eval()
    for sentence in texts:
        tokens = dataset.vocabulary.encode(text.words(sentence))[None]
        assert net.embedding(tokens).shape == (1, tokens.shape[1], 16)
        assert st.trace(Features(net), tokens).outputs[0].shape == (1, 30)
        assert net(tokens).shape == (1, 2)
    together = net(dataset.batch(range(3))[0])
    alone = np.concatenate([net(dataset.vocabulary.encode(text.words(t))[None]) for t in texts])
    np.testing.assert_allclose(together, alone, atol=1e-6)


class Features(nn.Module):
    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, tokens):
        return self.net.features(tokens)


def test_S115_pooling_over_time_gives_a_fixed_length():
    """L = 5 and 9 give vectors of the same length."""
    class OverTime(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv1d(4, 6, 3, padding=1)

        def forward(self, x):
            return self.conv(x).amax(2)

    net = OverTime()
    x = np.random.default_rng(0).standard_normal((2, 4, 9)).astype(np.float32)
    assert net(x[:, :, :5]).shape == net(x).shape == (2, 6)
    np.testing.assert_allclose(net(x), net.conv(x).max(axis=2), rtol=1e-6)


def test_S222_shallow_for_text_deep_for_pictures():
    """One layer of wide 1-D windows, a maximum, layer norm and dropout; or stacked 3 x 3 with batch norm."""
    kinds = {type(m).__name__ for m in models.textcnn(100, 2, norm=True).modules()}
    assert {"Embedding", "Conv1d", "LayerNorm", "Dropout"} <= kinds and "Conv2d" not in kinds
    net = models.textcnn(100, 2, norm=True)
    assert [conv.kernel_size for conv in net.convs] == [(3,), (4,), (5,)]
    depth = max(sum(node.op.name == "conv1d" for node in st.trace(branch, (1, 128, 20)).nodes) for branch in net.convs)
    assert depth == 1
    pictures = models.small_cnn()
    assert [m.kernel_size for m in pictures.modules() if isinstance(m, nn.Conv2d)] == [(3, 3)] * 4
    assert sum(isinstance(m, nn.BatchNorm2d) for m in pictures.modules()) == 4
