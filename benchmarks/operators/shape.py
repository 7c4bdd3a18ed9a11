"""Padding, resizing, and channels that become pixels."""

from benchmarks.operators.case import Case

CASES = [
    Case("zero padding", lambda n: n.ZeroPad2d(1), (16, 64, 56, 56)),
    Case("reflection padding", lambda n: n.ReflectionPad2d(1), (16, 64, 56, 56)),
    Case("replication padding of photographs", lambda n: n.ReplicationPad2d(3), (16, 3, 224, 224)),
    Case("circular padding", lambda n: n.CircularPad2d(2), (16, 64, 56, 56)),
    Case("upsampling, nearest x2", lambda n: n.Upsample(scale_factor=2), (16, 64, 28, 28)),
    Case("upsampling, bilinear x2", lambda n: n.Upsample(scale_factor=2, mode="bilinear"), (16, 64, 28, 28)),
    Case("upsampling, bilinear x8 of scores", lambda n: n.Upsample(scale_factor=8, mode="bilinear"), (4, 21, 28, 28)),
    Case("upsampling, bicubic x2", lambda n: n.Upsample(scale_factor=2, mode="bicubic"), (16, 16, 28, 28)),
    Case("upsampling, trilinear x2", lambda n: n.Upsample(scale_factor=2, mode="trilinear"), (2, 16, 8, 14, 14)),
    Case("pixel shuffle x2", lambda n: n.PixelShuffle(2), (16, 64, 56, 56)),
    Case("channel shuffle", lambda n: n.ChannelShuffle(4), (16, 64, 56, 56)),
]
