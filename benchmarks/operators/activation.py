"""Activations, softmax and dropout at a size that leaves the caches: 16 x 64 x 56 x 56 numbers, 12.8 MB."""

from benchmarks.operators.case import Case

IMAGE = (16, 64, 56, 56)
CASES = [
    *(Case(name.lower(), lambda n, name=name: getattr(n, name)(), IMAGE) for name in (
        "Sigmoid", "Tanh", "ReLU6", "LeakyReLU", "ELU", "SELU", "SiLU", "Mish", "Hardswish", "Hardsigmoid", "Hardtanh",
        "Softplus", "Softsign", "LogSigmoid", "Softshrink")),
    Case("gelu", lambda n: n.GELU(), IMAGE),
    Case("gelu by tanh", lambda n: n.GELU("tanh"), IMAGE),
    Case("prelu of 64 channels", lambda n: n.PReLU(64), IMAGE),
    Case("dropout", lambda n: n.Dropout(0.5), IMAGE),
    Case("dropout of channels", lambda n: n.Dropout2d(0.5), IMAGE),
    Case("glu", lambda n: n.GLU(1), IMAGE),
    Case("softmax of channels", lambda n: n.Softmax2d(), IMAGE),
    Case("log softmax 1000", lambda n: n.LogSoftmax(1), (256, 1000)),
    Case("softmax 512 of attention", lambda n: n.Softmax(-1), (8, 12, 512, 512), rows=True),
]
