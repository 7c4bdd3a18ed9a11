"""The pictures that several examples learn from: Fashion-MNIST, or drawn stripes where it cannot be had.

On Debian and Ubuntu `apt install dataset-fashion-mnist` brings it; elsewhere it is downloaded when it is first used.
"""

from striate import data
from striate.errors import DataError

SCALED = data.Normalize(mean=(0.286,), std=(0.353,))
"""Makes the pixels of Fashion-MNIST of mean 0 and deviation 1."""


def pictures(drawn: int = 6_000) -> tuple[data.ArrayDataset, data.ArrayDataset]:
    """Pictures (1, 28, 28) of ten classes, to train on and to test with; `drawn` is how many stripes there are to train on."""
    try:
        return data.fashion_mnist(train=True), data.fashion_mnist(train=False)
    except DataError as error:
        print(f"no Fashion-MNIST, so stripes: {error}\n")
        return data.stripes(drawn, seed=1), data.stripes(1_000, seed=2)
