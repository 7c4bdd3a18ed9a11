"""What a network sees: the receptive field of every layer, of one position, and how much each pixel of it really counts.

    python examples/08_receptive_field.py          (writes out/fields.svg and out/effective_field.png)
"""

from pathlib import Path

import striate as st
from striate import design, nn

st.seed(0)


def block(channels, stride=1):
    return nn.Sequential(nn.Conv2d(channels, channels, 3, stride, 1, bias=False), nn.BatchNorm2d(channels), nn.ReLU())


net = nn.Sequential(
    nn.Conv2d(3, 16, 3, padding=1), nn.ReLU(),
    block(16), block(16), block(16, stride=2), block(16), block(16),
    nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 10),
)  # fmt: skip

# Every layer at once. size and stride in pixels; start is the centre of the first position's field; padding its part before
# the image. The classifier at the end sees everything.
found = st.receptive_field(net, (3, 64, 64))
print(found.text())
assert found.size == (64, 64) and found.whole

# The same as a picture: a bar for each layer that sees more than the one before.
out = Path("out")
print("drawn in", found.save(out / "fields.svg"))

# One position of one layer: which pixels, and how many of them are padding.
last = found["6"]
corner = last.box((0, 0))
print(f"the last block sees {last.size} pixels; its corner the rows {corner.clipped[0]}, {corner.on_padding:.0%} is padding")
assert last.size == (17, 17) and corner.unclipped[0] == (-8, 9) and corner.clipped[0] == (0, 9)

# From any layer to any lower layer.
print("the last block sees", st.receptive_field(net, (3, 64, 64), of="6", to="4").size, "positions of the block with the stride")

# By hand, as textbooks do it: from the top down, r <- (r - 1) * stride + size.
layers = [(3, 1, 1), (3, 1, 1), (3, 1, 1), (3, 2, 1), (3, 1, 1), (3, 1, 1)]
assert design.in_from_out(layers) == 17
print("by hand:", [design.in_from_out(layers, n + 1) for n in range(len(layers))])

# How much do the pixels count? The gradient of the middle position, averaged over inputs: most of it is in the middle.
effective = st.effective_receptive_field(net, (3, 64, 64), of="6", samples=16)
effective.save(out / "effective_field.png", scale=6)
print(f"effective: {effective.size:.1f} of {last.size[0]} pixels, {effective.ratio:.0%}; see {out / 'effective_field.png'}")
assert 0 < effective.ratio <= 1

# The deeper, the smaller the share: the width of the picture grows with the root of the depth only.
shares = []
for depth in (5, 10, 20):
    plain = nn.Sequential(*(nn.Conv2d(4, 4, 3, padding=1) for _ in range(depth)))
    shares.append(st.effective_receptive_field(plain, (4, 48, 48)).ratio)
    print(f"{depth} layers of 3x3: {shares[-1]:.0%} of {design.growth([1] * depth)[-1]} pixels count")
assert shares[0] > shares[2]

# And how to see more: rates that double, without a gap.
print(design.dilation_rates(31))
print(design.stack(7, channels=64))
