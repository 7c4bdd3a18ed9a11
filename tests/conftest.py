"""Quick tests first: those marked `slow` run last, the fullest of all at the very end."""

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="write the golden texts anew instead of comparing with them")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "slow: takes seconds; runs after all others")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: item.get_closest_marker("slow") is not None)


@pytest.fixture
def golden(request: pytest.FixtureRequest):
    """`golden(name, text)`: the text equals golden/name.txt beside the test; --update-golden writes that file."""

    def check(name: str, text: str) -> None:
        path = request.path.parent / "golden" / f"{name}.txt"
        if request.config.getoption("--update-golden"):
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)
        assert path.exists(), f"there is no {path}; run pytest --update-golden"
        assert text == path.read_text(), f"{path} has another text; if the change is meant, run pytest --update-golden"

    return check
