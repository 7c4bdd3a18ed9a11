"""Rows and samples of unusual sizes: one row, few classes, odd channels, other axes, the ends of small networks."""

from benchmarks.operators.case import Case

CASES = [
    Case("softmax of one row", lambda n: n.Softmax(1), (1, 1000)),
    Case("softmax 10, a batch of 64", lambda n: n.Softmax(1), (64, 10)),
    Case("softmax of 3 along rows", lambda n: n.Softmax(1), (20000, 3)),
    Case("softmax 21 of pixels", lambda n: n.Softmax(1), (4, 21, 224, 224)),
    Case("softmax along the first axis", lambda n: n.Softmax(0), (512, 1000)),
    Case("log softmax along the last axis", lambda n: n.LogSoftmax(-1), (64, 100, 33), rows=True),
    Case("cross entropy 10, a batch of 64", lambda n: n.CrossEntropyLoss(), (64, 10), (64,), classes=10),
    Case("cross entropy 3 of 20000 rows", lambda n: n.CrossEntropyLoss(), (20000, 3), (20000,), classes=3),
    Case("cross entropy 1001, one row", lambda n: n.CrossEntropyLoss(), (1, 1001), (1,), classes=1001),
    Case("nll 21 of pixels", lambda n: n.NLLLoss(), (4, 21, 224, 224), (4, 224, 224), classes=21),
    Case("mse, a batch of 64 by 10", lambda n: n.MSELoss(), (64, 10), (64, 10)),
    Case("bce with logits of 64", lambda n: n.BCEWithLogitsLoss(), (64, 1), (64, 1)),
    Case("layer norm 100 of one row", lambda n: n.LayerNorm(100), (1, 100), rows=True),
    Case("layer norm 33 of 10000 rows", lambda n: n.LayerNorm(33), (10000, 33), rows=True),
    Case("layer norm 3000 of 100 rows", lambda n: n.LayerNorm(3000), (100, 3000), rows=True),
    Case("group norm of 7 in 21 channels", lambda n: n.GroupNorm(7, 21), (8, 21, 33, 33)),
    Case("instance norm of 3 channels", lambda n: n.InstanceNorm2d(3, affine=True), (4, 3, 256, 256)),
    Case("instance norm of lines", lambda n: n.InstanceNorm1d(40, affine=True), (16, 40, 500)),
    Case("batch norm of 3 channels", lambda n: n.BatchNorm2d(3), (4, 3, 224, 224)),
    Case("batch norm of 100 channels, 7 px", lambda n: n.BatchNorm2d(100), (16, 100, 7, 7)),
    Case("relu of 3 channels", lambda n: n.ReLU(), (8, 3, 224, 224)),
    Case("global average of 3 channels", lambda n: n.AdaptiveAvgPool2d(1), (16, 3, 224, 224)),
    Case("dropout 4096, a batch of 16", lambda n: n.Dropout(0.5), (16, 4096)),
]
