"""Initial weights of networks with rectifiers, drawn over those that the layers drew for themselves.

Source: He et al., Delving deep into rectifiers, arXiv:1502.01852, section 2.2; with fan_out, as in torchvision.
"""

from __future__ import annotations

from striate import nn
from striate.nn import init


def kaiming(net: nn.Module) -> None:
    """Convolutions normal with std sqrt(2 / fan_out), their biases 0."""
    for module in net.modules():
        if isinstance(module, nn.Conv2d):
            init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            if module.bias is not None:
                init.zeros_(module.bias)


def truncated(net: nn.Module, std: float) -> None:
    """Weights of convolutions and linear layers normal with this std, within 2 of them."""
    for module in net.modules():
        if isinstance(module, (nn.Conv2d, nn.Linear)):
            init.trunc_normal_(module.weight, std=std, a=-2 * std, b=2 * std)


def normal_linear(net: nn.Module, std: float = 0.01) -> None:
    """Weights of linear layers normal with this std, their biases 0."""
    for module in net.modules():
        if isinstance(module, nn.Linear):
            init.normal_(module.weight, 0, std)
            init.zeros_(module.bias)
