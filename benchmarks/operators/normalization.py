"""Normalisation and embedding."""

from benchmarks.operators.case import Case

CASES = [
    Case("batch norm", lambda n: n.BatchNorm2d(64), (16, 64, 56, 56)),
    Case("batch norm of rows", lambda n: n.BatchNorm1d(512), (256, 512)),
    Case("batch norm of volumes", lambda n: n.BatchNorm3d(32), (4, 32, 16, 28, 28)),
    Case("instance norm", lambda n: n.InstanceNorm2d(64, affine=True), (16, 64, 56, 56)),
    Case("group norm, 32 groups", lambda n: n.GroupNorm(32, 128), (16, 128, 28, 28)),
    Case("group norm, one image", lambda n: n.GroupNorm(8, 64), (1, 64, 112, 112)),
    Case("layer norm of tokens", lambda n: n.LayerNorm(768), (8, 197, 768), rows=True),
    Case("layer norm of images", lambda n: n.LayerNorm((64, 28, 28)), (16, 64, 28, 28)),
    Case("RMS norm of tokens", lambda n: n.RMSNorm(768), (8, 197, 768), rows=True),
    Case("local response norm", lambda n: n.LocalResponseNorm(5), (16, 96, 55, 55)),
    Case("embedding", lambda n: n.Embedding(10000, 128), (64, 100), classes=10000),
]
