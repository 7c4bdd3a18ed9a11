"""The layers that most networks are made of."""

from benchmarks.operators.case import Case

CASES = [
    Case("conv 3x3, 64 channels, 56 px", lambda n: n.Conv2d(64, 64, 3, padding=1), (8, 64, 56, 56)),
    Case("conv 1x1, 256 channels, 14 px", lambda n: n.Conv2d(256, 256, 1), (8, 256, 14, 14)),
    Case("conv 7x7 stride 2, 3 channels", lambda n: n.Conv2d(3, 64, 7, 2, 3), (4, 3, 224, 224)),
    Case("depthwise 3x3, 128 channels, 56 px", lambda n: n.Conv2d(128, 128, 3, padding=1, groups=128), (8, 128, 56, 56)),
    Case("linear 1024 -> 1000", lambda n: n.Linear(1024, 1000), (64, 1024)),
    Case("batch norm 64 channels", lambda n: n.BatchNorm2d(64), (16, 64, 56, 56)),
    Case("relu", lambda n: n.ReLU(), (16, 64, 56, 56)),
    Case("max pool 3x3 stride 2", lambda n: n.MaxPool2d(3, 2, 1), (16, 64, 112, 112)),
    Case("average pool 2x2", lambda n: n.AvgPool2d(2), (16, 64, 56, 56)),
    Case("global average pool", lambda n: n.AdaptiveAvgPool2d(1), (16, 512, 14, 14)),
    Case("softmax 1000", lambda n: n.Softmax(1), (256, 1000)),
]
