"""Layers and losses with PyTorch's names, arguments, defaults, initialisation and state_dict keys.

    class Block(nn.Module):
        def __init__(self, channels):
            super().__init__()
            self.conv = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
            self.norm = nn.BatchNorm2d(channels)

        def forward(self, x):
            return (x + self.norm(self.conv(x))).relu()
"""

from striate.nn import functional, init
from striate.nn.activation import Dropout, Flatten, LogSoftmax, ReLU, Sigmoid, Softmax, Tanh, Unflatten
from striate.nn.container import ModuleDict, ModuleList, Sequential
from striate.nn.conv import Conv2d
from striate.nn.linear import Identity, Linear
from striate.nn.loss import CrossEntropyLoss, L1Loss, MSELoss, NLLLoss
from striate.nn.module import Buffer, Module, Parameter
from striate.nn.norm import BatchNorm1d, BatchNorm2d
from striate.nn.pool import AdaptiveAvgPool2d, AdaptiveMaxPool2d, AvgPool2d, MaxPool2d

__all__ = [
    "AdaptiveAvgPool2d",
    "AdaptiveMaxPool2d",
    "AvgPool2d",
    "BatchNorm1d",
    "BatchNorm2d",
    "Buffer",
    "Conv2d",
    "CrossEntropyLoss",
    "Dropout",
    "Flatten",
    "Identity",
    "L1Loss",
    "Linear",
    "LogSoftmax",
    "MSELoss",
    "MaxPool2d",
    "Module",
    "ModuleDict",
    "ModuleList",
    "NLLLoss",
    "Parameter",
    "ReLU",
    "Sequential",
    "Sigmoid",
    "Softmax",
    "Tanh",
    "Unflatten",
    "functional",
    "init",
]
