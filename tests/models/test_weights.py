"""Weights of other programs: read without running anything, into models whose names and shapes fit."""

import errno
import hashlib
import io
import os
import pickle
import zipfile
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

import striate as st
from striate import models, nn, weights
from striate.errors import ArgumentError, DataError, ModelFileError, StateDictError
from striate.models.published import PUBLISHED, Published


def text_of(error, call):
    with pytest.raises(error) as caught:
        call()
    return str(caught.value)


def tensors():
    base = torch.arange(24, dtype=torch.float32).reshape(2, 3, 4)
    return {"plain": base, "turned": base.permute(2, 0, 1), "part": base[1, 1:, ::2], "parameter": torch.nn.Parameter(base),
            "half": base.half(), "bfloat": base.bfloat16(), "double": base.double(), "long": base.long(), "bool": base > 3,
            "number": torch.tensor(7), "empty": torch.zeros(0, 3)}


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
@pytest.mark.parametrize("wrap", [lambda d: d, lambda d: {"epoch": 3, "state_dict": d}], ids=["state_dict", "checkpoint"])
def test_what_torch_saved_is_read(tmp_path, zipped, wrap):
    path = tmp_path / "w.pth"
    torch.save(wrap(tensors()), path, _use_new_zipfile_serialization=zipped)
    found = weights.read(path)
    assert list(found) == list(tensors())
    for name, tensor in tensors().items():
        wanted = tensor.detach().float().numpy() if name == "bfloat" else tensor.detach().numpy()
        np.testing.assert_array_equal(found[name], wanted)
        assert found[name].dtype == wanted.dtype


def test_a_state_dict_with_its_metadata(tmp_path):
    net = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4))
    torch.save(net.state_dict(), tmp_path / "w.pth")
    found = weights.read(tmp_path / "w.pth")
    assert found.keys() == net.state_dict().keys()


class Evil:
    def __reduce__(self):
        return print, ("run!",)


@pytest.mark.parametrize("zipped", [True, False])
def test_code_is_not_run(tmp_path, zipped, capsys):
    path = tmp_path / "w.pth"
    torch.save({"a": torch.zeros(2), "b": Evil()}, path, _use_new_zipfile_serialization=zipped)
    assert text_of(ModelFileError, lambda: weights.read(path)).endswith(
        ".print, which is no part of a dictionary of tensors; save net.state_dict() with torch.save")
    assert capsys.readouterr().out == ""


def test_a_whole_module_is_refused(tmp_path):
    path = tmp_path / "w.pth"
    torch.save(torch.nn.Linear(2, 2), path)
    assert text_of(ModelFileError, lambda: weights.read(path)) == (
        f"{path} cannot be read as weights: it names torch.nn.modules.linear.Linear, which is no part of a dictionary of "
        "tensors; save net.state_dict() with torch.save")


def changed(path, name, change):
    """The same zip archive with one member changed."""
    with zipfile.ZipFile(path) as archive:
        held = {item: archive.read(item) for item in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for item, data in held.items():
            archive.writestr(item, change(data) if item.endswith(name) else data)


def test_a_tensor_that_reaches_outside_is_refused(tmp_path):
    path = tmp_path / "w.pth"
    torch.save({"a": torch.zeros(5)}, path)
    changed(path, "data.pkl", lambda data: data.replace(b"K\x05\x85", b"K\x06\x85"))
    assert text_of(ModelFileError, lambda: weights.read(path)) == (
        f"'a' in {path} reaches outside of its storage; copy or save the file again")


def test_damaged_and_foreign_files(tmp_path):
    path = tmp_path / "w.pth"
    assert text_of(ModelFileError, lambda: weights.read(path)) == f"there is no file of weights {path}; check the path"
    torch.save({"a": torch.zeros(500)}, path)
    path.write_bytes(path.read_bytes()[:1000])
    assert text_of(ModelFileError, lambda: weights.read(path)) == (
        f"{path} is damaged: File is not a zip file; copy or save it again")
    path.write_bytes(pickle.dumps({"a": 1}, 2))
    assert text_of(ModelFileError, lambda: weights.read(path)) == (
        f"{path} is a pickle, but not one that torch.save wrote; save net.state_dict() with torch.save")
    torch.save({"a": 1}, path)
    assert text_of(ModelFileError, lambda: weights.read(path)) == (
        f"{path} holds no tensors by name; save net.state_dict() with torch.save")
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("hello", "world")
    assert text_of(ModelFileError, lambda: weights.read(path)) == (
        f"{path} is a zip archive, but not one that torch.save wrote for weights; save net.state_dict() with torch.save")
    whole = io.BytesIO()
    torch.save({"a": torch.zeros(500)}, whole, _use_new_zipfile_serialization=False)
    path.write_bytes(whole.getvalue()[:-8])
    assert " is truncated in storage " in text_of(ModelFileError, lambda: weights.read(path))


def test_headers_of_any_length(tmp_path):
    """The first byte of a safetensors file is a part of its header's length: it may be that of a pickle."""
    path = tmp_path / "w.safetensors"
    for more in range(0, 320, 8):
        save_file({"a": torch.ones(3)}, path, {"note": "x" * more})
        np.testing.assert_array_equal(weights.read(path)["a"], np.ones(3))


@pytest.fixture
def file(tmp_path):
    """The weights of a small residual network, as a program with PyTorch would save them."""
    net = models.resnet_tiny(num_classes=7)
    path = tmp_path / "resnet.safetensors"
    state = {name: torch.tensor(array) for name, array in net.state_dict().items()}
    save_file(state, path)
    torch.save({n: a for n, a in state.items() if "num_batches" not in n}, path.with_suffix(".pth"))
    return net, path


def test_models_take_weights_from_files(file):
    net, path = file
    x = np.random.default_rng(0).normal(size=(2, 3, 32, 32)).astype(np.float32)
    for place in (path, str(path), path.with_suffix(".pth")):
        again = models.resnet_tiny(7, weights=place)
        assert again.config == net.config
        np.testing.assert_array_equal(again.eval()(x), net.eval()(x))
    np.testing.assert_array_equal(st.load(path, net=models.resnet_tiny(7))(x), net(x))


def test_a_head_for_other_classes(file):
    net, path = file
    assert text_of(StateDictError, lambda: models.resnet_tiny(3, weights=path)) == (
        "the state_dict does not fit ResNet: 'fc.weight' has shape (7, 16), the model's is (3, 16); "
        "'fc.bias' has shape (7,), the model's is (3,); or, to train a new head for other classes: "
        "models.resnet_tiny(weights=..., strict=False) keeps what fits")
    again = models.resnet_tiny(3, weights=path, strict=False)
    np.testing.assert_array_equal(again.conv1.weight.data, net.conv1.weight.data)
    assert again.fc.weight.shape == (3, 16) and np.abs(again.fc.weight.data).max() <= 16**-0.5
    assert text_of(StateDictError, lambda: models.nin_tiny(weights=path, strict=False)) == (
        f"none of the file's {len(net.state_dict())} arrays fits Sequential in name and shape")


def test_names_of_published_weights(tmp_path, monkeypatch):
    assert text_of(ArgumentError, lambda: models.resnet50(weights="V9")) == (
        "there are no weights 'V9' for 'resnet50'; give the path of a .safetensors or .pth file; "
        "by name there are: IMAGENET1K_V1, IMAGENET1K_V2")
    assert set(PUBLISHED) <= set(models.list())
    assert all(len(p.digest) >= 8 and int(p.digest, 16) for files in PUBLISHED.values() for p in files.values())


class Quiet(SimpleHTTPRequestHandler):
    """Serves the files of a folder and writes no log."""

    def log_message(self, *arguments):
        pass


@pytest.fixture
def site(tmp_path, monkeypatch):
    """A folder, and the address under which a server of this machine gives its files to those who download."""
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.setenv("STRIATE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=folder)) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield folder, f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


def test_published_weights_are_checked_and_kept(file, site, tmp_path, monkeypatch):
    net, path = file
    folder, address = site
    data, kept = path.with_suffix(".pth").read_bytes(), tmp_path / "cache" / "weights"
    digest = hashlib.sha256(data).hexdigest()
    for name in (good := f"tiny-{digest[:8]}.pth", bad := "tiny-00000000.pth"):
        (folder / name).write_bytes(data)
    monkeypatch.setitem(PUBLISHED, "resnet_tiny", {
        "GOOD": Published(good, address, {"num_classes": 7}), "BAD": Published(bad, address),
        "GONE": Published("tiny-11111111.pth", address), "OFF": Published(bad, "http://127.0.0.1:9/")})
    again = models.resnet_tiny(weights="GOOD")
    np.testing.assert_array_equal(again.fc.weight.data, net.fc.weight.data)
    (folder / good).unlink()
    assert models.create("resnet_tiny", weights="GOOD").config["num_classes"] == 7  # from the cache folder
    assert [f.name for f in kept.iterdir()] == [good]
    for name, file_name, url, reason in (
        ("BAD", bad, address, f"sha256 of {address}{bad} is {digest}, want 00000000"),
        ("GONE", "tiny-11111111.pth", address, "File not found"),
        ("OFF", bad, "http://127.0.0.1:9/", f"[Errno {errno.ECONNREFUSED}] {os.strerror(errno.ECONNREFUSED)}"),
    ):
        assert text_of(DataError, partial(models.resnet_tiny, weights=name)) == (
            f"{file_name} is not in {kept} and cannot be downloaded ({reason}); "
            f"get it from {url}{file_name} and put it into that folder")
    assert [f.name for f in kept.iterdir()] == [good]  # no half a file, no wrong one
    (kept / bad).write_bytes(data)
    assert models.resnet_tiny(7, weights="OFF").config["num_classes"] == 7  # put there by hand


def calls(net) -> int:
    """Kernels in a training step."""
    x, y = np.zeros((2, 3, 32, 32), np.float32), np.zeros(2, np.int64)
    step = st.compile(net, nn.CrossEntropyLoss(), st.optim.SGD(lr=0.1))
    step(x, y)
    return len(next(iter(step.programs.known.values()))[0].calls)


def test_frozen_parts_are_not_computed_backwards():
    st.seed(0)
    net = models.vgg_tiny(batch_norm=False)
    whole = calls(net)
    net.features.requires_grad_(False)
    before, head = net.features[0].weight.numpy(), net.classifier[-1].bias.numpy()
    assert calls(net) < 0.75 * whole
    np.testing.assert_array_equal(net.features[0].weight.data, before)
    assert (net.classifier[-1].bias.data != head).any()


def test_a_rate_for_each_part():
    st.seed(0)
    net = models.resnet_tiny()
    old = {n: p.numpy() for n, p in net.named_parameters()}
    groups = [{"params": net.fc.parameters()}, {"params": net.layer1.parameters(), "lr": 0.0}]
    step = st.compile(net, nn.CrossEntropyLoss(), st.optim.SGD(groups, lr=0.1))
    step(np.random.default_rng(0).normal(size=(4, 3, 32, 32)).astype(np.float32), np.arange(4))
    moved = {n for n, p in net.named_parameters() if (p.data != old[n]).any()}
    assert moved == {"fc.weight", "fc.bias"}
