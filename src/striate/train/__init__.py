"""Training: the loop, its metrics, and what it reports.

trainer.py   Trainer: fit and evaluate           metrics.py    Accuracy, TopK, WholeSequence, MeanIoU, Loss
run.py       one call of fit, epoch by epoch     history.py    the record of it
best.py      the best epoch's weights            progress.py   a bar, lines, or nothing
checks.py    batches and labels that make sense  batches.py    arrays, datasets and loaders as batches
health.py    vanishing gradients, saturated units, what to change
"""

from striate.train.checks import TrainingError
from striate.train.health import advice, gradient_norms, saturation
from striate.train.history import History
from striate.train.metrics import Accuracy, Loss, MeanIoU, Metric, TopK, WholeSequence
from striate.train.trainer import Callback, Trainer

__all__ = ["Accuracy", "Callback", "History", "Loss", "MeanIoU", "Metric", "TopK", "Trainer", "TrainingError",
           "WholeSequence", "advice", "gradient_norms", "saturation"]
