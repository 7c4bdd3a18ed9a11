"""The smallest network that shows what a CNN is made of: is it a dog, a cat, a boat or a bird?

    (N, 3, 64, 64)
      conv 5x5, ReLU, max of 2x2      (N, 8, 30, 30)
      conv 5x5, ReLU, max of 2x2      (N, 16, 13, 13)
      flatten, linear 64, ReLU, linear 4
      softmax: four probabilities whose sum is 1

Source: LeCun, Bottou, Bengio & Haffner, Gradient-based learning applied to document recognition, Proc. IEEE 86, 1998,
doi:10.1109/5.726791, in the form of introductions to the subject: two rounds of convolution, ReLU and pooling, two fully
connected layers.
"""

from __future__ import annotations

from striate import nn
from striate.models.registry import register

CLASSES = ("dog", "cat", "boat", "bird")


@register(input_shape=(3, 64, 64))
def demo(num_classes: int = len(CLASSES)) -> nn.Sequential:
    """Probabilities (N, num_classes) of images (N, 3, 64, 64).

    Train `demo()[:-1]`, the network without its softmax, with nn.CrossEntropyLoss.

    >>> demo()[-1]
    Softmax(dim=1)
    """
    return nn.Sequential(
        nn.Conv2d(3, 8, 5), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(8, 16, 5), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(16 * 13 * 13, 64), nn.ReLU(), nn.Linear(64, num_classes),
        nn.Softmax(dim=1),
    )  # fmt: skip
