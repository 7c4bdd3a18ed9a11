"""LeNet-5 learns to tell clothes apart: Fashion-MNIST, LeCun's network of 1998.

    python examples/03_train_lenet.py            one pass over a tenth of the images, a moment
    python examples/03_train_lenet.py --full     five passes over all 60,000: at least 89 % of the test images right

On Debian and Ubuntu `apt install dataset-fashion-mnist` brings the images; elsewhere they are downloaded when first used.
Where neither is possible, drawn stripes take their place.
"""

import sys

import numpy as np

import striate as st
from striate import data, models, nn, optim
from striate.errors import DataError


def stripes(count: int, seed: int) -> data.ArrayDataset:
    """Ten classes of stripes, each at its own angle, under noise: something to learn where there is no Fashion-MNIST."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(10, size=count)
    row, column = np.mgrid[:28, :28]
    angle = labels[:, None, None] * np.pi / 10
    phase = rng.random((count, 1, 1)) * 2 * np.pi
    images = np.sin(np.cos(angle) * row + np.sin(angle) * column + phase) + rng.normal(0, 0.5, (count, 28, 28))
    return data.ArrayDataset(images[:, None], labels, classes=10)


def main(full: bool) -> None:
    st.seed(0)
    try:
        train, test = data.fashion_mnist(train=True), data.fashion_mnist(train=False)
    except DataError as error:
        print(f"no Fashion-MNIST, so stripes: {error}\n")
        train, test = stripes(6_000, seed=1), stripes(1_000, seed=2)
    epochs = 5 if full else 1
    if not full:
        train = data.Subset(train, range(6_000))

    net = models.create("lenet")
    scaled = data.Normalize(mean=(0.286,), std=(0.353,))
    batches = data.DataLoader(train, batch_size=64, shuffle=True, num_workers=1, transform=scaled)
    unseen = data.DataLoader(test, batch_size=100, transform=scaled)
    optimizer = optim.SGD(lr=0.1, momentum=0.9)
    schedule = optim.lr_scheduler.OneCycleLR(optimizer, max_lr=0.1, total_steps=epochs * len(batches))
    trainer = st.Trainer(net, nn.CrossEntropyLoss(), optimizer, schedule=schedule, schedule_every="batch")
    trainer.fit(batches, unseen, epochs=epochs)
    accuracy = trainer.history.last["val_accuracy"]
    print(f"{accuracy:.1%} of {len(test):,} test images are told right")
    assert accuracy > (0.89 if full else 0.6)


if __name__ == "__main__":
    main("--full" in sys.argv[1:])
