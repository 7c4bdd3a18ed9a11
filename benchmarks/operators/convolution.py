"""Convolutions beside the plain one: one and three axes, groups, depthwise, transposed, dilated, separable."""

from benchmarks.operators.case import Case

CASES = [
    Case("conv1d 3, 128 to 128", lambda n: n.Conv1d(128, 128, 3, padding=1), (16, 128, 512)),
    Case("conv1d 9 d4, 64 to 64", lambda n: n.Conv1d(64, 64, 9, padding=16, dilation=4), (8, 64, 2048)),
    Case("conv1d 5, text 300 to 100", lambda n: n.Conv1d(300, 100, 5), (64, 300, 56)),
    Case("conv1d depthwise 31", lambda n: n.Conv1d(256, 256, 31, padding=15, groups=256), (8, 256, 512)),
    Case("conv3d 3, 3 to 32", lambda n: n.Conv3d(3, 32, 3, padding=1), (2, 3, 16, 56, 56)),
    Case("conv3d 3, 32 to 32", lambda n: n.Conv3d(32, 32, 3, padding=1), (2, 32, 8, 28, 28)),
    Case("conv3d 3, 64 to 64", lambda n: n.Conv3d(64, 64, 3, padding=1), (2, 64, 8, 28, 28)),
    Case("conv3d 3 s2, 64 to 128", lambda n: n.Conv3d(64, 128, 3, 2, 1), (2, 64, 8, 28, 28)),
    Case("conv3d 1x3x3, 64 to 64", lambda n: n.Conv3d(64, 64, (1, 3, 3), padding=(0, 1, 1)), (2, 64, 8, 28, 28)),
    Case("conv3d 3x1x1, 64 to 64", lambda n: n.Conv3d(64, 64, (3, 1, 1), padding=(1, 0, 0)), (2, 64, 8, 28, 28)),
    Case("transposed 4 s2, 64 to 32", lambda n: n.ConvTranspose2d(64, 32, 4, 2, 1), (8, 64, 28, 28)),
    Case("transposed 2 s2, 128 to 64", lambda n: n.ConvTranspose2d(128, 64, 2, 2), (8, 128, 28, 28)),
    Case("transposed 3 s2, 64 to 3", lambda n: n.ConvTranspose2d(64, 3, 3, 2, 1, 1), (8, 64, 56, 56)),
    Case("transposed 3d 2 s2, 64 to 32", lambda n: n.ConvTranspose3d(64, 32, 2, 2), (2, 64, 8, 14, 14)),
    Case("conv 3 d2, 64 to 64", lambda n: n.Conv2d(64, 64, 3, padding=2, dilation=2), (8, 64, 28, 28)),
    Case("conv 7 s2, 3 to 64", lambda n: n.Conv2d(3, 64, 7, 2, 3), (8, 3, 224, 224)),
    Case("groups 32 of 4, 3x3", lambda n: n.Conv2d(128, 128, 3, padding=1, groups=32), (8, 128, 56, 56)),
    Case("groups 32 of 32, 3x3", lambda n: n.Conv2d(1024, 1024, 3, padding=1, groups=32), (8, 1024, 7, 7)),
    Case("groups 2 of 96, 5x5", lambda n: n.Conv2d(96, 256, 5, padding=2, groups=2), (8, 96, 27, 27)),
    Case("depthwise 3 m1", lambda n: n.Conv2d(256, 256, 3, padding=1, groups=256), (8, 256, 28, 28)),
    Case("depthwise 3 m2", lambda n: n.Conv2d(64, 128, 3, padding=1, groups=64), (8, 64, 56, 56)),
    Case("depthwise 3 m8", lambda n: n.Conv2d(32, 256, 3, padding=1, groups=32), (8, 32, 56, 56)),
    Case("transposed depthwise 4 s2", lambda n: n.ConvTranspose2d(64, 64, 4, 2, 1, groups=64), (8, 64, 28, 28)),
    Case("circular padding 3, 64 to 64", lambda n: n.Conv2d(64, 64, 3, padding=1, padding_mode="circular"), (8, 64, 28, 28)),
]
