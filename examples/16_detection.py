"""What is where: a network that finds discs, squares and triangles, and draws a box around each.

    python examples/16_detection.py             some passes over a few images, seconds
    python examples/16_detection.py --full      a few minutes: three of four boxes are right, though shapes cover each other

The image is cut into cells of 8 x 8 pixels. For each cell the network says whether the middle of a shape lies in it, which
shape it is, and the sides of its box (left, top, right, bottom from the middle of the cell, in cells): one pass, all boxes.

    loss = binary cross-entropy(is there one) + where there is one: cross-entropy(which) + |box - truth|

A box is right if it overlaps a shape of its class by half: intersection over union. Writes out/detection.png.

Sources: Redmon et al., You only look once, arXiv:1506.02640, section 2; Tian et al., FCOS, arXiv:1904.01355, section 3.1 (sides).
"""

import sys
from pathlib import Path

import numpy as np

import striate as st
from striate import data, nn, optim, vision
from striate.data.shapes import CLASSES
from striate.nn import functional as F

SIZE, CELL = 48, 8
SHAPES = len(CLASSES) - 1
"""Kinds of shapes; class 0 of a pixel is the ground."""
COLOURS = np.array([[255, 230, 60], [60, 230, 255], [255, 90, 200]], np.uint8)
Found = list[tuple[int, np.ndarray]]
"""Kinds with their boxes (left, top, right, bottom) in pixels."""


def truth(labels: np.ndarray) -> Found:
    """The shapes of an image whose pixels have classes (H, W): connected pixels of one class, without crumbs."""
    left, found = labels.copy(), []
    while left.any():
        seed = tuple(np.argwhere(left)[0])
        kind, part = left[seed], np.zeros(left.shape, bool)
        part[seed] = True
        while True:
            grown = part.copy()
            grown[1:] |= part[:-1]
            grown[:-1] |= part[1:]
            grown[:, 1:] |= part[:, :-1]
            grown[:, :-1] |= part[:, 1:]
            grown &= left == kind
            if (grown == part).all():
                break
            part = grown
        left[part] = 0
        if part.sum() >= 30:
            rows, columns = np.nonzero(part)
            found.append((int(kind) - 1, np.array([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1], float)))
    return found


def target(found: Found) -> np.ndarray:
    """(1 + SHAPES + 4, cells, cells): 1 where there is one, 1 for its kind, and the sides of its box."""
    y = np.zeros((1 + SHAPES + 4, SIZE // CELL, SIZE // CELL), np.float32)
    for kind, box in found:
        column, row = ((box[:2] + box[2:]) / 2 // CELL).astype(int)
        y[:, row, column] = 0
        y[[0, 1 + kind], row, column] = 1
        y[1 + SHAPES :, row, column] = sides(box, row, column)
    return y


def sides(box: np.ndarray, row: int, column: int) -> np.ndarray:
    """How far the box reaches to the left, up, right and down of a cell's middle, in cells."""
    x, y = column + 0.5, row + 0.5
    left, top, right, bottom = box / CELL
    return np.array([x - left, y - top, right - x, bottom - y])


def boxes(y: np.ndarray, sure: float = 0.5) -> Found:
    """The other way: what a network says (1 + SHAPES + 4, cells, cells) as boxes; of two that overlap the surer one stays."""
    there = 1 / (1 + np.exp(-y[0]))
    found: Found = []
    for row, column in sorted(np.argwhere(there > sure), key=lambda at: -there[tuple(at)]):
        left, top, right, bottom = y[1 + SHAPES :, row, column]
        box = CELL * np.array([column + 0.5 - left, row + 0.5 - top, column + 0.5 + right, row + 0.5 + bottom])
        if all(overlap(box, other) < 0.5 for _, other in found):
            found.append((int(y[1 : 1 + SHAPES, row, column].argmax()), box))
    return found


def overlap(a: np.ndarray, b: np.ndarray) -> float:
    """Intersection over union of two boxes."""
    sizes = np.maximum(np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2]), 0)
    both = sizes.prod()
    return float(both / (np.prod(a[2:] - a[:2]) + np.prod(b[2:] - b[:2]) - both))


def loss(y: st.Value, wanted: st.Value) -> st.Value:
    """See the head of the file; means over images and cells."""
    there, which, box = y[:, :1], y[:, 1 : 1 + SHAPES], y[:, 1 + SHAPES :]
    is_there = wanted[:, :1]
    kinds = -(which.log_softmax(1) * wanted[:, 1 : 1 + SHAPES]).sum(1, keepdim=True)
    reach = (box - wanted[:, 1 + SHAPES :]).abs().sum(1, keepdim=True)
    return F.binary_cross_entropy_with_logits(there, is_there) + (is_there * (kinds + reach)).mean()


def network() -> nn.Sequential:
    """Six convolutions, three of stride 2: 48 -> 6 pixels; then one number for each question."""
    layers: list[nn.Module] = []
    for c, k, stride in ((3, 16, 2), (16, 16, 1), (16, 32, 2), (32, 32, 1), (32, 64, 2), (64, 64, 1)):
        layers += [nn.Conv2d(c, k, 3, stride=stride, padding=1, bias=False), nn.BatchNorm2d(k), nn.ReLU()]
    return nn.Sequential(*layers, nn.Conv2d(64, 1 + SHAPES + 4, 3, padding=1))


def score(answers: list[Found], truths: list[Found]) -> tuple[float, float]:
    """Shares of the boxes that are right (precision), and of the shapes that are found (recall)."""
    right = sum(any(k == kind and overlap(box, b) > 0.5 for k, b in truths[i]) for i, a in enumerate(answers) for kind, box in a)
    seen = sum(any(k == kind and overlap(box, b) > 0.5 for k, b in answers[i]) for i, t in enumerate(truths) for kind, box in t)
    return right / max(1, sum(map(len, answers))), seen / sum(map(len, truths))


def framed(image: np.ndarray, found: Found) -> np.ndarray:
    """An image (3, H, W) three times as large with its boxes."""
    drawn = vision.clipped(image).repeat(3, 1).repeat(3, 2)
    for kind, box in found:
        left, top, right, bottom = np.clip(np.rint(3 * box), 0, 3 * SIZE - 1).astype(int)
        for part in ((slice(top, bottom), [left, right]), ([top, bottom], slice(left, right))):
            drawn[(slice(None), *part)] = COLOURS[kind][:, None, None]
    return drawn


def main(full: bool) -> None:
    st.seed(0)
    (x, masks), (unseen, new_masks) = (data.shapes(count, SIZE, seed=seed).batch(range(count))
                                       for count, seed in ((4000 if full else 1600, 1), (200, 2)))  # fmt: skip
    y, truths = np.stack([target(truth(labels)) for labels in masks]), [truth(labels) for labels in new_masks]
    net, epochs = network(), 25 if full else 8
    optimizer = optim.AdamW(lr=4e-3)
    batches = data.DataLoader(data.ArrayDataset(x, y), batch_size=32, shuffle=True)
    schedule = optim.lr_scheduler.OneCycleLR(optimizer, max_lr=4e-3, total_steps=epochs * len(batches))
    st.Trainer(net, loss, optimizer, schedule=schedule, schedule_every="batch", metrics=[]).fit(batches, epochs=epochs)
    answers = [boxes(each) for each in net(unseen)]
    precision, recall = score(answers, truths)
    print(f"{len(unseen)} new images: {precision:.1%} of the boxes are right, {recall:.1%} of the shapes are found")
    shown = [("", framed(image, found)) for image, found in zip(unseen[:10], answers)]
    print(vision.save(vision.side_by_side(shown, columns=5), Path("out/detection.png")))
    assert min(precision, recall) > (0.55 if full else 0.25)


if __name__ == "__main__":
    main("--full" in sys.argv[1:])
