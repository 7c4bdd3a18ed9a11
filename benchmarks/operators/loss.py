"""Losses of a batch of classes, of a segmentation, and of images."""

from benchmarks.operators.case import Case

IMAGES = (8, 3, 224, 224)
CASES = [
    Case("cross entropy 1000 classes", lambda n: n.CrossEntropyLoss(), (256, 1000), (256,), classes=1000),
    Case("cross entropy, smoothing 0.1", lambda n: n.CrossEntropyLoss(label_smoothing=0.1), (256, 1000), (256,), classes=1000),
    Case("cross entropy of 21 x 224 x 224", lambda n: n.CrossEntropyLoss(), (4, 21, 224, 224), (4, 224, 224), classes=21),
    Case("nll 1000 classes", lambda n: n.NLLLoss(), (256, 1000), (256,), classes=1000),
    Case("mse", lambda n: n.MSELoss(), IMAGES, IMAGES),
    Case("l1", lambda n: n.L1Loss(), IMAGES, IMAGES),
    Case("smooth l1", lambda n: n.SmoothL1Loss(), IMAGES, IMAGES),
    Case("huber", lambda n: n.HuberLoss(), IMAGES, IMAGES),
    Case("bce with logits", lambda n: n.BCEWithLogitsLoss(), IMAGES, IMAGES),
    Case("cosine similarity 512", lambda n: n.CosineSimilarity(), (1024, 512), (1024, 512)),
    Case("triplet margin 128", lambda n: n.TripletMarginLoss(), (1024, 128), (1024, 128), (1024, 128)),
    Case("bilinear 64 x 64 -> 32", lambda n: n.Bilinear(64, 64, 32), (128, 64), (128, 64)),
]
