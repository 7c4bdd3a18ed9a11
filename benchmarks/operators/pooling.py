"""Pooling: windows, adaptive and global, over lines, images and volumes."""

from benchmarks.operators.case import Case

CASES = [
    Case("max pool 2x2", lambda n: n.MaxPool2d(2), (16, 64, 112, 112)),
    Case("max pool 3x3 stride 1", lambda n: n.MaxPool2d(3, 1, 1), (16, 192, 28, 28)),
    Case("max pool 3x3 stride 2, 6 channels", lambda n: n.MaxPool2d(3, 2), (16, 6, 112, 112)),
    Case("average pool 3x3 stride 1", lambda n: n.AvgPool2d(3, 1, 1), (16, 192, 28, 28)),
    Case("norm pool 2x2, p = 2", lambda n: n.LPPool2d(2, 2), (16, 64, 56, 56)),
    Case("max pool over lines", lambda n: n.MaxPool1d(3, 2, 1), (64, 128, 256)),
    Case("average pool over lines", lambda n: n.AvgPool1d(2), (64, 128, 256)),
    Case("max pool 3x3x3 stride 2", lambda n: n.MaxPool3d(3, 2, 1), (2, 64, 16, 56, 56)),
    Case("max pool 1x2x2", lambda n: n.MaxPool3d((1, 2, 2)), (2, 64, 16, 56, 56)),
    Case("average pool 2x2x2", lambda n: n.AvgPool3d(2), (2, 64, 16, 56, 56)),
    Case("global average over volumes", lambda n: n.AdaptiveAvgPool3d(1), (4, 512, 4, 7, 7)),
    Case("global maximum", lambda n: n.AdaptiveMaxPool2d(1), (16, 512, 14, 14)),
    Case("maximum over time", lambda n: n.AdaptiveMaxPool1d(1), (64, 100, 60)),
    Case("adaptive average 13 to 6", lambda n: n.AdaptiveAvgPool2d(6), (16, 256, 13, 13)),
    Case("adaptive maximum 13 to 4", lambda n: n.AdaptiveMaxPool2d(4), (16, 256, 13, 13)),
]
