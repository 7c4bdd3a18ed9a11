"""The training loop: that it learns, what it keeps, how it ends, and what it says about broken data."""

import numpy as np
import pytest

from striate import nn, optim, random
from striate.data import ArrayDataset, DataLoader
from striate.errors import ArgumentError, DataError, ModelFileError
from striate.storage import load, load_metadata
from striate.train import Accuracy, Callback, Loss, Trainer, TrainingError, WholeSequence


def quadrants(count, seed=0):
    """Pictures of 4 x 4 pixels with one bright quadrant, whose number is the label."""
    rng = np.random.default_rng(seed)
    y = rng.integers(4, size=count)
    x = rng.normal(size=(count, 1, 4, 4)).astype(np.float32)
    for i, k in enumerate(y):
        x[i, 0, 2 * (k // 2) : 2 * (k // 2) + 2, 2 * (k % 2) : 2 * (k % 2) + 2] += 2
    return x, y


def small(outputs=4):
    random.seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(16, outputs))


def trainer(net=None, lr=0.1, loss=None, **settings):
    return Trainer(net or small(), loss or nn.CrossEntropyLoss(), optim.SGD(lr=lr, momentum=0.9), progress=False, **settings)


class Stop(Callback):
    """Ctrl-C after some steps."""

    def __init__(self, steps):
        self.steps = steps

    def after_step(self, trainer, loss):
        if trainer.steps == self.steps:
            raise KeyboardInterrupt


def test_it_learns():
    own = trainer()
    history = own.fit(quadrants(200), quadrants(100, seed=1), epochs=4, batch_size=20)
    assert history["val_accuracy"][-1] > 0.9
    assert history["loss"][-1] < history["loss"][0] / 2
    assert history.names == ["epoch", "loss", "accuracy", "val_loss", "val_accuracy", "lr", "seconds", "images_per_second"]
    assert (history.stopped, own.steps, own.net.training, own.history is history) == ("finished", 40, False, True)
    assert own.evaluate(quadrants(100, seed=1)) == pytest.approx(
        {"loss": history["val_loss"][-1], "accuracy": history["val_accuracy"][-1]})


def test_all_forms_of_data_are_one():
    x, y = quadrants(50)
    batches = [(x[i : i + 16], y[i : i + 16]) for i in range(0, 50, 16)]
    loader = DataLoader(ArrayDataset(x, y), batch_size=16)
    results = [trainer().fit(data, batch_size=16)["loss"] for data in (loader, batches)]
    assert results[0] == results[1]
    own = trainer()
    assert own.evaluate((x, y), 16) == own.evaluate(ArrayDataset(x, y), 16) == own.evaluate(batches) == own.evaluate(loader)


def test_evaluate_puts_the_modes_back():
    own = trainer(nn.Sequential(nn.Flatten(), nn.Dropout(), nn.Linear(16, 4)))
    own.net[1].eval()
    own.evaluate(quadrants(8))
    assert [m.training for m in own.net.modules()] == [True, True, False, True]


def test_numbers_as_targets_have_no_accuracy():
    x, _ = quadrants(40)
    own = trainer(small(1), loss=nn.MSELoss(), lr=0.01)
    history = own.fit((x, x.mean(axis=(2, 3))), epochs=2)
    assert history.names == ["epoch", "loss", "lr", "seconds", "images_per_second"]
    assert history["loss"][1] < history["loss"][0]


def test_sequences():
    x, y = quadrants(60)
    net = nn.Sequential(nn.Flatten(), nn.Linear(16, 8), nn.Unflatten(1, (4, 2)))
    history = trainer(net).fit((x, np.stack([y, 3 - y], axis=1)), epochs=5, batch_size=10)
    assert history.last["whole_sequence"] > 0.8
    assert history.names[1:4] == ["loss", "whole_sequence", "accuracy"]


def test_a_loss_may_be_a_function():
    history = trainer(small(1), loss=lambda y, t: ((y - t) ** 2).mean()).fit((np.ones((4, 1, 4, 4)), np.ones((4, 1))))
    assert history.stopped == "finished"


def test_schedules_step_by_epoch_or_by_batch():
    for every, steps in (("epoch", 3), ("batch", 15)):
        own = trainer()
        own.schedule, own.schedule_every = optim.lr_scheduler.StepLR(own.optimizer, 1, gamma=0.5), every
        history = own.fit(quadrants(50), epochs=3, batch_size=10)
        assert own.schedule.last_epoch == steps
        assert history["lr"] == [0.1 * 0.5 ** (steps // 3 * i) for i in range(3)]


def test_early_stopping_keeps_the_best():
    x, y = quadrants(40)
    own = trainer(lr=0.5)
    history = own.fit((x, y), (x, 3 - y), epochs=50, early_stopping=2)  # the better it trains, the worse it validates
    assert history.stopped == "early"
    assert len(history) == history.best_epoch + 2
    best = history.records[history.best_epoch - 1]
    assert best["val_accuracy"] == max(history["val_accuracy"])
    assert own.evaluate((x, 3 - y))["loss"] == pytest.approx(best["val_loss"])


def test_the_best_may_be_judged_by_a_name():
    x, y = quadrants(40)
    own = trainer(metrics=[Accuracy()])
    history = own.fit((x, y), (x, y), epochs=3, keep_best="val_loss")
    assert history.best_epoch == 1 + int(np.argmin(history["val_loss"]))
    with pytest.raises(ArgumentError, match="nothing is recorded as 'val_top5'; there are epoch, loss, accuracy, val_loss"):
        own.fit((x, y), (x, y), keep_best="val_top5")


def test_ctrl_c_keeps_the_model_and_returns_the_history(tmp_path):
    own = trainer(callbacks=[Stop(7)])
    before = own.net.state_dict()["1.weight"]
    history = own.fit(quadrants(50), epochs=5, batch_size=10, save_to=tmp_path / "net.safetensors")
    assert (history.stopped, len(history), own.steps, own.net.training) == ("interrupted", 1, 7, False)
    now = own.net.state_dict()["1.weight"]
    assert not np.array_equal(now, before)
    np.testing.assert_array_equal(load(tmp_path / "net.safetensors").state_dict()["1.weight"], now)


def test_ctrl_c_with_keep_best_gives_the_best():
    own, kept = trainer(callbacks=[lambda t, record: kept.append(t.net.state_dict()), Stop(7)]), []
    history = own.fit(quadrants(50), quadrants(20), epochs=5, batch_size=10, keep_best=True)
    assert (history.stopped, history.best_epoch) == ("interrupted", 1)
    np.testing.assert_array_equal(own.net.state_dict()["1.weight"], kept[0]["1.weight"])


def test_time_can_be_up():
    history = trainer().fit(quadrants(50), quadrants(10), epochs=5, batch_size=10, minutes=0)
    assert (history.stopped, len(history)) == ("time", 1)
    assert "val_loss" in history.last


def test_a_callback_can_stop():
    seen = []

    def enough(trainer, record):
        seen.append(record["epoch"])
        if record["epoch"] == 2:
            trainer.stop("enough")

    history = trainer(callbacks=[enough]).fit(quadrants(20), epochs=5)
    assert (history.stopped, seen) == ("enough", [1, 2])


def test_the_best_epoch_is_saved_with_metadata(tmp_path):
    path = tmp_path / "net.safetensors"
    own = trainer()
    own.fit(quadrants(50), quadrants(20), epochs=3, keep_best=True, save_to=path, metadata={"classes": list("abcd")})
    np.testing.assert_array_equal(load(path).state_dict()["1.weight"], own.net.state_dict()["1.weight"])
    assert load_metadata(path) == {"classes": list("abcd")}


def test_a_full_disk_does_not_end_the_training(tmp_path):
    own = trainer()
    with pytest.warns(UserWarning, match="could not be written: No such file or directory; .*; the training goes on"):
        with pytest.raises(ModelFileError, match="could not be written"):
            own.fit(quadrants(20), epochs=2, save_to=tmp_path / "missing" / "net.safetensors")
    assert own.history.stopped == "finished"
    assert len(own.history) == 2


def text_of(error, call):
    with pytest.raises(error) as caught:
        call()
    assert len(caught.value.args) == 1
    return str(caught.value)


def test_a_loss_that_is_no_number_is_explained():
    x, y = quadrants(40)
    own = trainer(lr=1e30)
    text = text_of(TrainingError, lambda: own.fit((x * 1e10, y), epochs=3, batch_size=20))
    assert text.split(" at ")[0] in ("the loss is nan", "the loss is inf")
    assert text.partition(" at ")[2] == (
        "batch 2 of epoch 1, with lr=1e+30; try lr=1e+29 or clip_norm=1.0, and inputs scaled to about [-1, 1]")
    x[3, 0, 1, 2] = np.nan
    assert text_of(TrainingError, lambda: trainer().fit([(x, y)])) == (
        "the loss is nan at batch 1 of epoch 1: x[3, 0, 1, 2] of this batch is nan; mend or remove that item")


def labels(*values):
    """A training whose second batch has these labels."""
    x = np.zeros((len(values), 1, 4, 4), np.float32)
    return lambda: trainer().fit([(x, np.zeros(len(values), int)), (x, np.array(values))])


BROKEN = [
    (labels(0, 1, 4), "batch 2 of epoch 1: the label y[2] is 4, but the network's output (3, 4) has 4 classes, 0 ... 3; "
                      "mend the label or give the network 5 outputs"),
    (labels(0, -1), "batch 2 of epoch 1: the label y[1] is -1, but the network's output (2, 4) has 4 classes, 0 ... 3; "
                    "mend the label or give the network labels from 0 up, or -100 for items that do not count"),
    (labels(0.0, np.nan), "batch 2 of epoch 1: y[1] is nan; remove the item or mend its label"),
    (lambda: trainer().fit([(np.zeros((3, 1, 4, 4), np.float32), np.zeros(2, int))]),
     "batch 1 of epoch 1: x has 3 items but y has 2; give one y for every x"),
    (lambda: trainer().fit([(np.zeros((0, 1, 4, 4), np.float32), np.zeros(0, int))]),
     "batch 1 of epoch 1 has no items, shape (0, 1, 4, 4); leave empty batches out"),
    (lambda: trainer().fit([]),
     "the training data has no batches; a generator can be read only once: give arrays (x, y) or a DataLoader"),
    (lambda: trainer().fit([np.zeros(3)]),
     "batch 1 of the training data is ndarray, not a pair (x, y); give arrays (x, y), a dataset or a DataLoader"),
    (lambda: trainer().evaluate([(np.zeros((1, 1, 4, 4), np.float32), np.array([7]))]),
     "batch 1: the label y[0] is 7, but the network's output (1, 4) has 4 classes, 0 ... 3; "
     "mend the label or give the network 8 outputs"),
]


@pytest.mark.parametrize("call, text", BROKEN, ids=[text[:50] for _, text in BROKEN])
def test_broken_data_is_explained(call, text):
    assert text_of(DataError, call) == text


def test_labels_that_are_ignored_pass():
    history = labels(0, -100, 2)().stopped
    assert history == "finished"


WRONG = [
    (lambda: trainer(schedule_every="step"), "schedule_every is 'epoch' or 'batch', got 'step'"),
    (lambda: trainer(schedule=optim.lr_scheduler.StepLR(optim.SGD(), 1)),
     "the schedule moves another optimizer than the trainer's; make both with the same optimizer"),
    (lambda: trainer().fit(quadrants(4), epochs=0), "epochs must be at least 1, got 0"),
    (lambda: trainer().fit(quadrants(4), early_stopping=3),
     "early_stopping and keep_best judge by validation data; give fit a second argument"),
]


@pytest.mark.parametrize("call, text", WRONG, ids=[text[:40] for _, text in WRONG])
def test_wrong_use_is_explained(call, text):
    assert text_of(ArgumentError, call) == text


def test_metrics_given_are_those_reported():
    history = trainer(metrics=[]).fit(quadrants(8))
    assert history.names[1] == "loss"
    assert history.names[2] == "lr"
    own = trainer(metrics=[WholeSequence(), Accuracy(), Loss()])
    assert own.fit(quadrants(8)).names[1:4] == ["loss", "whole_sequence", "accuracy"]
