"""LeNet-5 learns to tell clothes apart: Fashion-MNIST, LeCun's network of 1998.

    python examples/03_train_lenet.py            one pass over a tenth of the images, a moment
    python examples/03_train_lenet.py --full     five passes over all 60,000: at least 89 % of the test images right

pictures.py says where the images come from.
"""

import sys

from pictures import SCALED, pictures

import striate as st
from striate import data, models, nn, optim


def main(full: bool) -> None:
    st.seed(0)
    train, test = pictures()
    epochs = 5 if full else 1
    if not full:
        train = data.Subset(train, range(6_000))

    net = models.create("lenet")
    batches = data.DataLoader(train, batch_size=64, shuffle=True, num_workers=1, transform=SCALED)
    unseen = data.DataLoader(test, batch_size=100, transform=SCALED)
    optimizer = optim.SGD(lr=0.1, momentum=0.9)
    schedule = optim.lr_scheduler.OneCycleLR(optimizer, max_lr=0.1, total_steps=epochs * len(batches))
    trainer = st.Trainer(net, nn.CrossEntropyLoss(), optimizer, schedule=schedule, schedule_every="batch")
    trainer.fit(batches, unseen, epochs=epochs)
    accuracy = trainer.history.last["val_accuracy"]
    print(f"{accuracy:.1%} of {len(test):,} test images are told right")
    assert accuracy > (0.89 if full else 0.6)


if __name__ == "__main__":
    main("--full" in sys.argv[1:])
