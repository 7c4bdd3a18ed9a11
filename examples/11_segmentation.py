"""A class for every pixel: two networks that find drawn discs, squares and triangles.

    python examples/11_segmentation.py             a few passes over a few images, seconds
    python examples/11_segmentation.py --full      a minute or two: a mean IoU of about 0.87 and 0.75

One brings coarse maps up again with transposed convolutions and hands over the fine ones (U-Net); the other sees far with
dilated convolutions and resizes its answer bilinearly, which learns nothing. Writes out/segmentation.png.
"""

import sys
from pathlib import Path

import numpy as np

import striate as st
from striate import data, models, nn, optim, vision
from striate.train import Accuracy, MeanIoU

COLOURS = np.array([[45, 48, 56], [226, 120, 62], [66, 122, 214], [82, 176, 118]], np.uint8)
"""Of ground, disc, square and triangle."""


def painted(labels: np.ndarray) -> np.ndarray:
    """Classes (H, W) as a picture (3, H, W)."""
    return COLOURS[labels].transpose(2, 0, 1)


def train(name: str, full: bool, images: data.ArrayDataset, unseen: data.ArrayDataset) -> nn.Module:
    net = models.create(name)
    epochs = 15 if full else 6
    batches = data.DataLoader(images, batch_size=16, shuffle=True)
    optimizer = optim.Adam(lr=4e-3)
    schedule = optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs * len(batches))
    print(f"{name}: {sum(p.size for p in net.parameters()):,} parameters")
    trainer = st.Trainer(net, nn.CrossEntropyLoss(), optimizer, schedule=schedule, schedule_every="batch",
                         metrics=[MeanIoU(), Accuracy()])  # fmt: skip
    found = trainer.fit(batches, unseen, epochs=epochs).last["val_mean_iou"]
    print(f"{name}: mean IoU {found:.3f} on {len(unseen)} new images\n")
    assert found > (0.7 if full else 0.3)
    return net


def main(full: bool) -> None:
    st.seed(0)
    images, unseen = data.shapes(1500 if full else 600, size=48, seed=1), data.shapes(200, size=48, seed=2)
    x, y = unseen.batch(range(8))
    rows = [[("image", vision.clipped(image)) for image in x], [("truth", painted(labels)) for labels in y]]
    for name in ("segmenter_transposed", "segmenter_dilated"):
        net = train(name, full, images, unseen)
        rows.append([(name.removeprefix("segmenter_"), painted(labels)) for labels in net(x).argmax(axis=1)])
    file = vision.save(vision.side_by_side([item for row in rows for item in row], columns=8, height=96),
                       Path("out/segmentation.png"))  # fmt: skip
    print(f"images, truth and answers: {file}")


if __name__ == "__main__":
    main("--full" in sys.argv[1:])
