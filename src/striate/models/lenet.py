"""LeNet-5 in its modern form, for 28 x 28 images of handwritten digits.

    (N, 1, 28, 28)
      conv 5x5 pad 2, tanh, mean of 2x2      (N, 6, 14, 14)
      conv 5x5, tanh, mean of 2x2            (N, 16, 5, 5)
      flatten, linear 120, tanh, linear 84, tanh, linear num_classes

It differs from the paper's figure 2 in these places: 28 x 28 pixels padded by 2 instead of 32 x 32; every feature map of
the second convolution reads all six maps below (the paper's table I leaves some out); plain means instead of means with
a weight and a bias; a linear output layer instead of radial basis functions; tanh without the factor 1.7159.

Source: LeCun, Bottou, Bengio & Haffner, Gradient-based learning applied to document recognition, Proc. IEEE 86, 1998,
doi:10.1109/5.726791, section II.B.
"""

from __future__ import annotations

from striate import nn
from striate.models.registry import register


@register(input_shape=(1, 28, 28))
def lenet(num_classes: int = 10) -> nn.Sequential:
    """Logits (N, num_classes) of images (N, 1, 28, 28); 61,706 parameters for ten classes.

    >>> sum(p.numel() for p in lenet().parameters())
    61706
    """
    return nn.Sequential(
        nn.Conv2d(1, 6, 5, padding=2), nn.Tanh(), nn.AvgPool2d(2),
        nn.Conv2d(6, 16, 5), nn.Tanh(), nn.AvgPool2d(2),
        nn.Flatten(),
        nn.Linear(16 * 5 * 5, 120), nn.Tanh(),
        nn.Linear(120, 84), nn.Tanh(),
        nn.Linear(84, num_classes),
    )  # fmt: skip
