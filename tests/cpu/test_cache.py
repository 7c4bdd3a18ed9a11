"""The cache on disk: what it keeps, what it mends, and several processes at once."""

import os
import re
import subprocess
import sys
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest
from tests.cpu.helpers import floats

from striate import nn
from striate.cpu import cache
from striate.cpu.cache import Entry, Library, folder
from striate.cpu.kernels.base import Kernel
from striate.cpu.kernels.copy import Fill
from striate.cpu.kernels.gemm import Gemm, GemmUpdate
from striate.cpu.kernels.pointwise import Chain
from striate.cpu.kernels.softmax import LogSoftmax, Softmax
from striate.cpu.kernels.update import Sgd
from striate.cpu.program import Program
from striate.graph import trace
from striate.kernel.machine import host, named

KERNELS = [Softmax(5), Fill(2.0), Softmax(5)]


@pytest.fixture(autouse=True)
def own_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("STRIATE_CACHE", str(tmp_path))
    monkeypatch.setattr(cache, "_warned", set())
    return tmp_path


def files():
    return sorted(folder().glob("*"))


def test_folders(monkeypatch, tmp_path):
    assert folder() == tmp_path / "kernels"
    monkeypatch.delenv("STRIATE_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert folder() == tmp_path / "xdg" / "striate" / "kernels"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert folder() == tmp_path / "home" / ".cache" / "striate" / "kernels"


def test_the_digest_covers_what_kernels_import():
    """A kernel's code follows from its own file and from what that imports, errors and the operators' names aside."""
    package = Path(cache.__file__).parent.parent
    covered = {path for pattern in cache.SOURCES for path in package.glob(pattern)}
    for path in covered:
        for name in re.findall(r"^from striate\.?(\S*) import", path.read_text(encoding="utf-8"), re.MULTILINE):
            file = package / (name.replace(".", "/") + ".py")
            assert file in covered or name in ("", "errors", "ops.base", "cpu.kernels", "kernel"), (path, name)


def test_each_kernel_is_compiled_once_and_found_again():
    first, second = Library(), Library()
    a, b, again = first.load(KERNELS, host())
    assert first.compiled == 2 and a == again and a != b and len(files()) == 2
    assert first.load(KERNELS, host()) == [a, b, a] and first.compiled == 2
    second.load(KERNELS, host())
    assert second.compiled == 0


def test_keys_tell_apart_all_that_the_code_depends_on(monkeypatch):
    keys = {Entry(k, m).key for k in (Softmax(5), Softmax(6), LogSoftmax(5)) for m in (host(), named("avx2"), named("sse2"))}
    assert len(keys) == 9
    before = Entry(Softmax(5), host()).key
    monkeypatch.setattr(cache, "_sources", lambda: "other sources")
    assert Entry(Softmax(5), host()).key != before


def test_a_kernel_of_somebody_elses_is_known_by_what_it_writes():
    def of(value):
        class Own(Kernel):
            arguments = ("y",)

            def build(self, k):
                k.tensor("y", (1,)).store(k.constant(value), 0)

            def __repr__(self):
                return "Own()"

        return Entry(Own(), host()).key

    assert of(1.0) == of(1.0) != of(2.0)


def test_a_kernel_of_somebody_elses_is_written_once():
    @dataclass(frozen=True)
    class Own(Kernel):
        times: list[int] = field(default_factory=list, hash=False)
        arguments = ("y",)

        def build(self, k):
            self.times.append(1)
            k.tensor("y", (1,)).store(k.constant(1.0), 0)

    kernel, library = Own(), Library()
    assert library.load([kernel], host())[0] and library.compiled == 1 and kernel.times == [1]


def test_a_part_of_somebody_elses_makes_the_kernel_theirs():
    class Rule(Sgd):
        pass

    kernel = GemmUpdate(8, 8)
    assert cache.ours(kernel) and not cache.ours(replace(kernel, update=Rule()))
    assert not cache.ours(replace(Gemm(8, 8), chain=Chain((), ((Rule(), (0,)),), (1,))))


@pytest.mark.parametrize("broken", [b"", b"striate1", b"rubbish" * 100, "shorter", "flipped", "other magic"], ids=str)
def test_a_broken_entry_is_compiled_again(broken):
    Library().load([Softmax(5)], host())
    path, = files()
    good = path.read_bytes()
    flipped = good[:200] + bytes([good[200] ^ 1]) + good[201:]
    bad = {"shorter": good[:-1], "flipped": flipped, "other magic": b"striate0" + good[8:]}
    path.write_bytes(bad.get(broken, broken))
    again = Library()
    again.load([Softmax(5)], host())
    assert again.compiled == 1 and len(files()) == 1
    last = Library()
    last.load([Softmax(5)], host())
    assert last.compiled == 0


def test_a_folder_in_place_of_an_entry_is_only_slow():
    (folder() / f"{Entry(Softmax(5), host()).key}.o").mkdir(parents=True)
    library = Library()
    with pytest.warns(RuntimeWarning):
        assert library.load([Softmax(5)], host())[0] and library.compiled == 1


def test_a_folder_that_cannot_be_written_is_said_once_and_works(tmp_path, monkeypatch):
    place = tmp_path / "file"
    place.write_text("in the way")
    monkeypatch.setenv("STRIATE_CACHE", str(place))
    library = Library()
    with pytest.warns(RuntimeWarning) as caught:
        library.load(KERNELS, host())
    assert [str(w.message) for w in caught] == [
        f"the kernel cache {place}/kernels cannot be written (Not a directory), so kernels are compiled again in every process; "
        "set STRIATE_CACHE to a folder that can"]
    library.load([Fill(3.0)], host())  # no second warning: warnings are errors here
    assert library.compiled == 3


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_folder(tmp_path):
    folder().mkdir(parents=True)
    os.chmod(folder(), 0o500)
    with pytest.warns(RuntimeWarning, match="Permission denied"):
        Library().load([Softmax(5)], host())
    os.chmod(folder(), 0o700)


def test_nothing_but_entries_is_left_behind():
    Library().load(KERNELS, host())
    assert all(path.suffix == ".o" for path in files())


RUN = """
import numpy as np, striate as st
from striate import nn, optim
from striate.cpu.cache import library
st.seed(0)
net = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten(), nn.Linear(128, 5))
step = st.compile(net, nn.CrossEntropyLoss(), optim.SGD(lr=0.1))
x = np.linspace(-1, 1, 2 * 3 * 36, dtype=np.float32).reshape(2, 3, 6, 6)
losses = [step(x, np.array([1, 2])).hex() for _ in range(2)]
print(library.compiled, losses)
"""


def start():
    return subprocess.Popen([sys.executable, "-c", RUN], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def finish(process):
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err[-2000:]
    count, losses = out.split(" ", 1)
    return int(count), losses


def test_two_processes_at_once_and_a_third_that_compiles_nothing():
    together = [start(), start()]
    (first, a), (second, b) = (finish(process) for process in together)
    third, c = finish(start())
    assert first + second > 10 and third == 0
    assert a == b == c


@pytest.mark.parametrize("form", ["avx512", "avx2", "sse2", "neon"])
def test_machine_forms_compile(form):
    """Every kernel of a training step becomes object code for other machines too."""
    from striate.cpu.cache import source_of
    from striate.kernel.compile import object_code

    net = nn.Sequential(nn.Conv2d(3, 5, 3, stride=2, padding=1), nn.BatchNorm2d(5), nn.ReLU(),
                        nn.Conv2d(5, 5, 3, padding=1, groups=5), nn.MaxPool2d(2), nn.Dropout(), nn.Flatten(), nn.Linear(45, 4),
                        nn.Softmax(1))
    graph = trace(net, (2, 3, 12, 12))
    machine = named(form)
    low = lowered(graph, machine)
    for kernel in dict.fromkeys(call.kernel for call in low.calls):
        assert len(object_code(source_of(kernel, machine), machine)) > 200


def lowered(graph, machine):
    from striate.cpu.lower import lower

    return lower(graph, machine, threads=2)


def test_what_runs_for_another_machine_is_another_entry():
    net, x = nn.Sequential(nn.Linear(7, 5), nn.Tanh()), floats(3, 7)
    results = [Program(trace(net, x), machine=machine).run([x])[0] for machine in (host(), named("avx2"), named("sse2"))]
    assert all(np.allclose(results[0], y, atol=1e-6) for y in results)
