import pytest


class Refusal:
    """`with refuses(DataError, text):` the block raises that error with exactly that text."""

    def __init__(self, kind, text):
        self.text, self.raises = text, pytest.raises(kind)

    def __enter__(self):
        self.info = self.raises.__enter__()

    def __exit__(self, *details):
        handled = self.raises.__exit__(*details)
        assert str(self.info.value) == self.text
        assert len(self.info.value.args) == 1
        return handled


@pytest.fixture
def refuses():
    return Refusal


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """An empty cache folder."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("STRIATE_CACHE", str(folder))
    return folder
