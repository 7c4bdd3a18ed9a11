"""What is this network made of, what does it cost, and will it fit? Answers without running it, and its time by running it."""

import striate as st
from striate import nn, optim

net = nn.Sequential(
    nn.Conv2d(3, 32, 3, padding=1), nn.BatchNorm2d(32), nn.ReLU(), nn.MaxPool2d(2),
    nn.Conv2d(32, 64, 3, padding=1), nn.BatchNorm2d(64), nn.ReLU(), nn.MaxPool2d(2),
    nn.Flatten(), nn.Linear(64 * 8 * 8, 10),
)
image = (3, 32, 32)

# One table: sizes, parameters, arithmetic, memory, receptive fields. .to_dict(), .to_json() and .to_csv() give the numbers.
st.summary(net, image)

# Where does each size come from? A network that does not fit together is explained as well.
wrong = nn.Sequential(nn.Conv2d(3, 32, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(32 * 16 * 16, 10))
print()
st.explain(wrong, image)

# The work under a named convention; the backward pass and the update are counted, not estimated.
print()
for convention in ("macs", "real_macs", "flops"):
    print(f"{convention:9}", f"{st.cost(net, image, convention).total:>10,}")
training = st.cost(net, image, "flops", batch=64, optimizer=optim.Adam())
print(f"a step on 64 images: forward {training.forward:,}, backward {training.backward:,}, update {training.update:,} FLOPs")

# The memory, exactly as the compiled program will allocate it; and the largest batch that fits.
memory = st.memory(net, image, batch=64, optimizer=optim.Adam())
print()
print(memory.text())
print(f"{memory.fits('1 GiB')} images can be trained at a time in 1 GiB")

# The time of every layer against what this machine could do; of a training step it is only predicted here (runs=0).
found = st.roofline(net, image, batch=16)
print()
print(found.text())
print("drawn in", found.save("roofline.svg"))
print(st.roofline(net, image, batch=64, runs=0, optimizer=optim.Adam()))
