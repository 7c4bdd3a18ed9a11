"""What a training shows: lines in a log, a bar in a terminal, nothing on demand."""

import io
import re

from rich.console import Console

from striate.cpu.footprint import Planned
from striate.train import progress
from striate.train.progress import Bar, Lines, Silent, reporter

RECORD = {"epoch": 2, "loss": 0.25, "accuracy": 0.9, "lr": 0.1, "seconds": 3.21, "images_per_second": 12345.6}
MEMORY, PLANNED = Planned({"arena": 2048}), "2.0 KiB of memory: arena 2.0 KiB"
LINE = "epoch 2/3  loss 0.2500  accuracy 0.9000  12,346 images/s  3.2 s"


def test_a_plain_line_per_epoch(capsys):
    lines = reporter(True)
    assert type(lines) is Lines
    lines.begin(3, 10)
    lines.planned(MEMORY)
    lines.step(2, 64, lambda: {})
    lines.epoch(RECORD)
    lines.end()
    assert capsys.readouterr().out == f"{PLANNED}\n{LINE}\n"


def test_silence(capsys):
    silent = reporter(False)
    assert type(silent) is Silent
    silent.begin(3, 10)
    silent.planned(MEMORY)
    silent.step(1, 64, lambda: {})
    silent.epoch(RECORD)
    silent.end()
    assert capsys.readouterr().out == ""


def draw(batches, monkeypatch):
    """What a terminal sees of one step and one epoch."""
    monkeypatch.setattr(progress, "REDRAW", 0)
    written = io.StringIO()
    bar = Bar(Console(file=written, force_terminal=True, width=120, color_system=None))
    bar.begin(3, batches)
    bar.planned(MEMORY)
    bar.step(2, 64, lambda: {"loss": 0.125})
    bar.epoch(RECORD)
    bar.end()
    return re.sub(r"\x1b\[[?\d;]*[A-Za-z]", "", written.getvalue())


def test_a_bar_in_a_terminal(monkeypatch):
    shown = draw(10, monkeypatch)
    assert re.search(r"epoch 2/3 ╸ * loss 0.1250  [\d,]+ images/s .*left", shown)
    assert LINE in shown and PLANNED in shown


def test_a_bar_of_unknown_length(monkeypatch):
    assert "loss 0.1250" in draw(None, monkeypatch)


def test_the_bar_is_drawn_now_and_then_only(monkeypatch):
    monkeypatch.setattr(progress, "REDRAW", 3600)
    bar = Bar(Console(file=io.StringIO(), force_terminal=True))
    bar.begin(1, 10)
    bar.step(1, 64, lambda: 1 / 0)
    bar.end()
