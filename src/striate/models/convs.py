"""The convolution of the Inception networks: convolution, batch normalisation, ReLU; named as torchvision names them."""

from __future__ import annotations

from typing import Any

from striate import nn
from striate.graph import Value
from striate.nn import functional as F


class BasicConv2d(nn.Module):
    """relu(norm(conv(x))), or relu(conv(x) + bias) without batch normalisation; other arguments as for nn.Conv2d."""

    def __init__(self, in_channels: int, out_channels: int, kernel_size: Any, batch_norm: bool = True, **window: Any):
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, kernel_size, bias=not batch_norm, **window)
        self.bn = nn.BatchNorm2d(out_channels, eps=0.001) if batch_norm else None

    def forward(self, x: Value) -> Value:
        x = self.conv(x)
        return F.relu(x if self.bn is None else self.bn(x))


class AuxiliaryLoss(nn.Module):
    """A loss for networks with auxiliary heads: loss(main) + weight * the sum of loss(auxiliary).

    What such a network gives in training, (logits, auxiliary logits, ...), and in evaluation, logits alone, both go in.
    Source: Szegedy et al., Going deeper with convolutions, arXiv:1409.4842, section 5.

        net, loss = models.googlenet(aux_logits=True), models.AuxiliaryLoss(nn.CrossEntropyLoss())
        step = st.compile(net, loss, optim.SGD(lr=0.01, momentum=0.9))

    >>> AuxiliaryLoss(nn.CrossEntropyLoss()).weight
    0.3
    """

    def __init__(self, loss: nn.Module, weight: float = 0.3):
        super().__init__()
        self.loss, self.weight = loss, weight
        self.ignore_index = getattr(loss, "ignore_index", -100)

    def forward(self, outputs: Any, *targets: Any) -> Value:
        main, *auxiliary = outputs if isinstance(outputs, tuple) else (outputs,)
        return self.loss(main, *targets) + sum(self.weight * self.loss(y, *targets) for y in auxiliary)


def to_half(x: Value) -> Value:
    """Images normalised by ImageNet's mean and deviation as images normalised by 0.5 and 0.5, channel by channel.

    The published weights of the Inception networks came from TensorFlow, where pixels run from -1 to 1.
    """
    mean, deviation = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    channels = [x[:, i : i + 1] * (deviation[i] / 0.5) + (mean[i] - 0.5) / 0.5 for i in range(3)]
    return F.cat(channels, 1)
