"""benchmarks/run.py: what a page keeps of earlier runs, what the floor counts, and whether a round is asked of every system."""

import argparse
import importlib
import json
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"
OF_BENCHMARKS = [path.stem for path in BENCHMARKS.glob("*.py")]


@pytest.fixture
def run(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    for name in OF_BENCHMARKS:
        monkeypatch.delitem(sys.modules, name, raising=False)
    return importlib.import_module("run")


@pytest.fixture
def report(run):
    return importlib.import_module("report")


def case(network: str, batch: int, mode: str, seconds: float, **more) -> list[dict]:
    row = {"network": network, "batch": batch, "mode": mode, "peak_bytes": 2**20, "ready": 1.0, "macs": 10**9, "bytes": 10**8}
    row |= more
    return [{**row, "system": "striate", "seconds": seconds}, {**row, "system": "torch", "seconds": 2 * seconds}]


MEASURED = {"threads": 2, "peak_flops": 2e11, "peak_bytes_per_second": 4e9, "spread": [1.9, 2.25]}


def test_other_cases_stay_and_the_table_is_ordered(run):
    old = case("resnet18", 16, "train", 1.0) + case("lenet", 64, "infer", 2.0)
    new = case("lenet", 64, "infer", 3.0) + case("lenet", 1, "infer", 4.0) + case("lenet", 64, "train", 5.0)
    found = [(row["network"], row["batch"], row["seconds"]) for row in run.together(old, new) if row["system"] == "striate"]
    assert found == [("lenet", 64, 5.0), ("lenet", 64, 3.0), ("lenet", 1, 4.0), ("resnet18", 16, 1.0)]


def test_rows_without_a_peak_have_no_floor(report, tmp_path):
    rows = case("lenet", 64, "train", 0.1) + case("lenet", 64, "infer", 0.1, **MEASURED)
    report.save(rows, tmp_path / "page", 2)
    page = (tmp_path / "page.md").read_text()
    assert "| **2.00** | 1.00 of torch's |  |" in page
    assert "| **2.00** (1.90 to 2.25) | 1.00 of torch's | 25% |" in page  # 1e8 bytes at 4e9 take longer than 1e9 macs at 2e11
    assert "2 threads; measured peak 200 GFLOP/s, memory 4 GB/s." in page
    assert report.kept(tmp_path / "page", 2) == rows == json.loads((tmp_path / "page.json").read_text())
    assert report.kept(tmp_path / "other", 2) == []


def test_without_any_peak_the_page_names_none(report, tmp_path):
    report.save(case("lenet", 64, "train", 0.1), tmp_path / "page", 2)
    assert "2 threads.\n" in (tmp_path / "page.md").read_text()


def test_rows_of_other_threads_are_not_mixed(report, tmp_path):
    report.save(case("lenet", 64, "infer", 0.1, **MEASURED), tmp_path / "page", 2)
    with pytest.raises(SystemExit, match="holds rows of 2 threads; save those of 1 elsewhere"):
        report.kept(tmp_path / "page", 1)


def test_multiply_accumulates_bound_a_run_where_bytes_are_few(report):
    row = case("lenet", 64, "infer", 0.1, **{**MEASURED, "peak_bytes_per_second": 4e11})[0]
    assert report.floor(row) == "10%"


CASES = [("lenet", 1, 416_520, 61_706), ("small_cnn", 64, 64 * 18_320_512, 96_746)]


@pytest.mark.parametrize("network, batch, macs, parameters", CASES)
def test_what_a_run_cannot_do_without(run, network, batch, macs, parameters):
    pixels = batch * 28 * 28
    described = run.NETWORKS[network]
    assert run.least(described, batch, "infer") == (macs, 4 * (parameters + pixels))
    work, moved = run.least(described, batch, "train")
    assert 2 * macs < work < 3 * macs  # the images have no gradient
    assert moved == 4 * (4 * parameters + pixels)


class Patient:
    """A worker that answers at once, and notes when it is asked."""

    asked: list[str] = []
    pace = {"striate": [1.0, 1.0, 4.0, 1.0, 1.0], "torch": [2.0, 2.0, 2.0, 2.0, 2.0]}

    def __init__(self, script, *arguments):
        self.name, self.turn = str(arguments[0]) if script == "worker.py" else "machine", 0

    def read(self):
        return {"values": [1.0], "ready": 1.0}

    def ask(self, question):
        self.asked.append(self.name)
        self.turn += 1
        if self.name == "machine":
            return {"flops": self.turn % 3, "bytes": self.turn}
        return {"times": [self.pace[self.name][self.turn - 1]] * self.turn, "peak": self.turn}

    def close(self):
        pass


def test_rounds_take_turns_and_count_alike(run, monkeypatch):
    monkeypatch.setattr(run, "Worker", Patient)
    monkeypatch.setattr(run, "available", lambda mode: ["striate", "torch"])
    monkeypatch.setattr(Patient, "asked", [])
    options = argparse.Namespace(threads=2, rounds=5, seconds=0, pause=0, budget=60)
    own, torch = run.compare("lenet", 64, "infer", options)
    assert Patient.asked == [*["machine", "striate", "torch", "machine", "torch", "striate"] * 2, "machine", "striate", "torch"]
    assert (own["seconds"], torch["seconds"], torch["spread"], torch["rounds"]) == (1.0, 2.0, [2.0, 2.0], 5)
    assert (own["peak_flops"], own["peak_bytes_per_second"], own["peak_bytes"]) == (2, 5, 5)


def test_a_case_ends_with_its_budget_but_not_before_four_rounds(run, monkeypatch):
    monkeypatch.setattr(run, "Worker", Patient)
    monkeypatch.setattr(run, "available", lambda mode: ["striate", "torch"])
    options = argparse.Namespace(threads=2, rounds=5, seconds=0, pause=0, budget=-1)
    assert [row["rounds"] for row in run.compare("lenet", 64, "infer", options)] == [4, 4]
