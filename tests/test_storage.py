"""Model files: what comes back, what is refused, and that a file is replaced whole or not at all."""

import errno
import io
import os
import signal
import subprocess
import sys
import time
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file

from striate import models, nn, random
from striate import save as save_network
from striate.architecture import describe, rebuild
from striate.errors import ArgumentError, ModelFileError, StateDictError
from striate.storage import FORMAT, load, load_metadata, save


class Own(nn.Module):
    """A network of the user's own class."""

    def __init__(self, width=3):
        super().__init__()
        self.fc = nn.Linear(4, width)

    def forward(self, x):
        return self.fc(x)


def layers():
    return nn.Sequential(OrderedDict(
        first=nn.Conv2d(3, 8, (3, 5), stride=2, padding=(1, 2), dilation=(1, 2), groups=1, bias=False),
        norm=nn.BatchNorm2d(8, eps=1e-3, momentum=None, affine=False),
        body=nn.Sequential(nn.ReLU(inplace=True), nn.Conv2d(8, 8, 3, padding="same", groups=8), nn.BatchNorm2d(8), nn.Tanh()),
        pool=nn.MaxPool2d(3, 2, padding=1, ceil_mode=True), mean=nn.AvgPool2d((2, 1), count_include_pad=False),
        grid=nn.AdaptiveAvgPool2d((2, None)), top=nn.AdaptiveMaxPool2d(2), same=nn.Identity(), drop=nn.Dropout(0.3),
        flat=nn.Flatten(), line=nn.Linear(32, 12, bias=False), fold=nn.Unflatten(1, (3, 4)), soft=nn.LogSoftmax(dim=1)))


def same(a, b):
    first, second = a.state_dict(), b.state_dict()
    assert list(first) == list(second)
    for name in first:
        np.testing.assert_array_equal(first[name], second[name])
        assert first[name].dtype == second[name].dtype
    assert repr(a) == repr(b)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "net.safetensors"


def text_of(error, call):
    with pytest.raises(error) as caught:
        call()
    assert len(caught.value.args) == 1
    return str(caught.value)


# what comes back


@pytest.mark.parametrize("make", [
    layers, lambda: models.create("lenet", num_classes=3), lambda: models.create("small_cnn", in_channels=3),
    lambda: models.create("captcha", alphabet="abc", length=2), lambda: nn.Linear(2, 3),
    lambda: nn.Sequential(models.create("lenet"), nn.Softmax(1)),
], ids=["layers", "lenet", "small_cnn", "captcha", "linear", "model in layers"])
def test_what_is_saved_comes_back(make, path):
    net = make()
    for variable in [*net.parameters(), *net.buffers()]:
        variable.data = variable.data + 1
    save(net, path)
    again = load(path)
    same(net, again)
    assert not any(m.training for m in again.modules())
    assert getattr(again, "config", None) == getattr(net, "config", None)


def test_outputs_are_equal(path):
    net = models.create("lenet").eval()
    x = np.random.default_rng(0).normal(size=(2, 1, 28, 28)).astype(np.float32)
    save(net, path)
    np.testing.assert_array_equal(load(path)(x), net(x))


def test_metadata_travels_along(path):
    save(nn.ReLU(), path, {"classes": ["a", "b"], "size": (8, 8), "mean": np.float32([0.5]), "top": np.float64(1), "n": None})
    assert load_metadata(path) == {"classes": ["a", "b"], "size": [8, 8], "mean": [0.5], "top": 1, "n": None}
    save(nn.ReLU(), str(path))
    assert load_metadata(str(path)) == {}
    assert text_of(ArgumentError, lambda: save(nn.ReLU(), path, {"net": nn.ReLU()})) == (
        "the metadata cannot be written as JSON: ReLU is not data; use numbers, texts, lists and dicts")
    assert load_metadata(path) == {}


def test_other_programs_read_the_weights(path):
    from safetensors.torch import load_file

    net = nn.Linear(4, 3)
    save(net, path)
    twin = torch.nn.Linear(4, 3)
    twin.load_state_dict(load_file(path))
    np.testing.assert_array_equal(twin.weight.detach().numpy(), net.weight.data)


def test_weights_of_other_programs_are_read(path):
    from safetensors.torch import save_file as torch_save

    twin = torch.nn.Linear(4, 3)
    torch_save(twin.state_dict(), path)
    np.testing.assert_array_equal(load(path, net=nn.Linear(4, 3)).weight.data, twin.weight.detach().numpy())
    assert text_of(ModelFileError, lambda: load(path)) == (
        f"{path} has weights but was not written by striate, so the network is not known; "
        "build it and give it: st.load(path, net=net)")


def test_a_class_of_ones_own_needs_an_instance(path):
    net = Own(5)
    save(net, path, {"classes": list("abcde")})
    same(net, load(path, net=Own(5)))
    assert load_metadata(path) == {"classes": list("abcde")}
    name = f"{Own.__module__}:Own"
    assert text_of(ModelFileError, lambda: load(path)) == (
        f"{path} holds the weights of {name}, which your code has to build; "
        "make an instance and give it: st.load(path, net=Own(...))")
    with pytest.raises(StateDictError, match=r"'fc.weight' has shape \(5, 4\), the model's is \(3, 4\)"):
        load(path, net=Own())


def test_a_changed_model_is_not_taken_for_the_original(path):
    net = models.create("lenet")
    net[11] = nn.Linear(84, 3)
    assert describe(net) != {"model": "lenet", "config": {"num_classes": 10}}
    save(net, path)
    same(net, load(path, net=net))
    quiet = models.create("lenet")
    quiet[2] = nn.AvgPool2d(2, count_include_pad=False)  # shows neither in names nor in shapes nor in the text
    assert "class" in describe(quiet)


def test_layers_that_share_weights_are_not_taken_apart():
    shared = nn.Linear(4, 4)
    assert describe(nn.Sequential(shared, nn.ReLU(), shared)) == {"class": "striate.nn.container:Sequential"}
    assert describe(nn.Sequential(Own())) == {"class": "striate.nn.container:Sequential"}


def test_random_numbers_go_on_as_if_nothing_had_been_saved(path):
    random.seed(3)
    net = models.create("small_cnn")
    state = random.generator().bit_generator.state
    save(net, path)
    load(path)
    assert random.generator().bit_generator.state == state


def test_an_architecture_of_the_future_is_refused():
    assert text_of(ModelFileError, lambda: rebuild({"layer": "Conv9d", "arguments": {}})) == (
        "this version of striate cannot build {'layer': 'Conv9d', 'arguments': {}}; install a newer one, "
        "or give the network: st.load(path, net=net)")
    for name in ("init", "__name__", "functional"):
        with pytest.raises(ModelFileError):
            rebuild({"layer": name, "arguments": {}})


# files that are refused


def test_a_missing_file(path):
    assert text_of(ModelFileError, lambda: load(path)) == f"there is no model file {path}; check the path"
    assert text_of(ModelFileError, lambda: load(path.parent)) == f"{path.parent} is a folder; give the path of a model file"


def test_a_truncated_file(path):
    save(models.create("lenet"), path)
    whole = path.read_bytes()
    for length in (len(whole) - 1, len(whole) // 2, 3000):
        path.write_bytes(whole[:length])
        assert text_of(ModelFileError, lambda: load(path)) == (
            f"{path} is truncated: expected {len(whole):,} bytes, found {length:,}; copy or save it again")
    path.write_bytes(whole[:100])
    assert "is truncated: expected " in text_of(ModelFileError, lambda: load_metadata(path))


FOREIGN = [
    (b"", "is not a model file; st.load reads what st.save wrote, and safetensors files"),
    (b"hello, world, this is text", "is not a model file; st.load reads what st.save wrote, and safetensors files"),
    (b"\x89PNG\r\n\x1a\n and so on",
     "is not a model file but a PNG image; st.load reads what st.save wrote, and safetensors files"),
]


@pytest.mark.parametrize("data, text", FOREIGN, ids=["empty", "text", "png"])
def test_a_foreign_file(data, text, path):
    path.write_bytes(data)
    assert text_of(ModelFileError, lambda: load(path)) == f"{path} {text}"


def test_a_file_of_torch_save(path):
    torch.save(torch.nn.Linear(2, 2).state_dict(), path)
    assert text_of(ModelFileError, lambda: load(path)) == (
        f"{path} is not a model file but a zip archive, as torch.save writes it; "
        "st.load reads what st.save wrote, and safetensors files")


def test_a_damaged_header(path):
    path.write_bytes((40).to_bytes(8, "little") + b"{" + b"x" * 60)
    assert text_of(ModelFileError, lambda: load(path)) == f"the header of {path} is damaged; copy or save the file again"


def test_a_newer_format(path):
    save_file({}, path, {"striate": '{"format": 99, "striate": "9.0"}'})
    assert text_of(ModelFileError, lambda: load(path)) == (
        f"{path} has format 99, written by striate 9.0, and this version reads {FORMAT}; install a newer striate")


def test_a_type_that_numpy_does_not_have(path):
    from safetensors.torch import save_file as torch_save

    torch_save({"weight": torch.zeros(3, 4, dtype=torch.bfloat16), "bias": torch.zeros(3)}, path)
    assert text_of(ModelFileError, lambda: load(path, net=nn.Linear(4, 3))).endswith("the file is damaged, or of a newer format")


# replacement


class Full(io.FileIO):
    """A file on a disk that is full after 100 bytes."""

    def write(self, data):
        super().write(bytes(data)[:100])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_full_disk_leaves_the_file_that_was_there(path, monkeypatch):
    net = nn.Linear(4, 3)
    save(net, path)
    before = path.read_bytes()
    monkeypatch.setattr(Path, "open", lambda self, mode: Full(self, mode.replace("b", "")))
    assert text_of(ModelFileError, lambda: save(nn.Linear(4, 3), path)) == (
        f"{path} could not be written: No space left on device; the file that was there is as it was")
    monkeypatch.undo()
    assert path.read_bytes() == before
    assert os.listdir(path.parent) == [path.name]
    same(load(path), net)


def test_a_full_disk_leaves_nothing_where_nothing_was(path, monkeypatch):
    monkeypatch.setattr(Path, "open", lambda self, mode: Full(self, mode.replace("b", "")))
    assert text_of(ModelFileError, lambda: save(nn.Linear(4, 3), path)) == (
        f"{path} could not be written: No space left on device; check the folder and the space on the disk")
    monkeypatch.undo()
    assert os.listdir(path.parent) == []


def test_a_real_limit_on_the_size_of_files(path):
    resource = pytest.importorskip("resource")
    save(nn.Linear(4, 3), path)
    before, limits = path.read_bytes(), resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, limits[1]))
        with pytest.raises(ModelFileError, match="could not be written: File too large; the file that was there is as it was"):
            save(nn.Linear(100, 100), path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    assert path.read_bytes() == before
    assert os.listdir(path.parent) == [path.name]


def test_a_missing_folder(path):
    deep = path.parent / "missing" / "net.safetensors"
    assert text_of(ModelFileError, lambda: save(nn.ReLU(), deep)) == (
        f"{deep} could not be written: No such file or directory; check the folder and the space on the disk")


def test_ctrl_c_while_writing(path, monkeypatch):
    save(nn.Linear(4, 3), path)
    before = path.read_bytes()
    monkeypatch.setattr(os, "fsync", lambda handle: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        save(nn.Linear(4, 3), path)
    assert path.read_bytes() == before
    assert os.listdir(path.parent) == [path.name]


WRITER = """
import sys
import striate as st
net = st.nn.Linear(700, 700)
while True:
    st.save(net, sys.argv[1])
    print(flush=True)
"""


def test_a_killed_process_leaves_a_whole_file(path):
    for pause in (0.0, 0.013, 0.029):
        with subprocess.Popen([sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE) as process:
            process.stdout.readline()
            time.sleep(pause)
            process.kill()
        assert load(path).out_features == 700


def test_a_link_keeps_pointing(path, tmp_path):
    link = tmp_path / "newest.safetensors"
    link.symlink_to(path)
    save(nn.Linear(4, 3), path)
    save(nn.Linear(4, 7), link)
    assert link.is_symlink()
    assert load(path).out_features == 7


def test_the_public_name():
    assert save_network is save
