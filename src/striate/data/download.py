"""Files of published datasets: found in a folder, or downloaded, verified and kept in the user's cache folder."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from striate.errors import DataError

TIMEOUT = 20  # seconds without a byte


@dataclass(frozen=True)
class Published:
    """A file as its authors publish it: its name, md5 and the addresses that serve it; `hint` is another way to it."""

    name: str
    md5: str
    mirrors: tuple[str, ...]
    hint: str = ""


def obtain(file: Published, folders: Sequence[Path]) -> Path:
    """The file in one of the folders, packed (.gz) or not; else downloaded into the last of them."""
    for folder in folders:
        for name in (file.name, file.name.removesuffix(".gz")):
            if (folder / name).is_file():
                return folder / name
    return fetch(file, folders[-1])


def fetch(file: Published, folder: Path) -> Path:
    """Download a file into `folder`; nothing is left there unless its md5 is right.

    Raises DataError: no address serves the file, or what they serve has another md5.
    """
    from http.client import HTTPException

    failures = []
    for mirror in file.mirrors:
        try:
            return download(mirror + file.name, folder / file.name, file.md5)
        except (OSError, HTTPException, DataError) as error:
            failures.append(str(getattr(error, "reason", error)))
    raise DataError(
        f"{file.name} is not in {folder} and cannot be downloaded ({', '.join(failures)}); "
        f"get it from {file.mirrors[0]}{file.name} and put it into that folder{file.hint}"
    )


def download(url: str, path: Path, wanted: str, algorithm: str = "md5") -> Path:
    """Copy `url` to `path` if its digest starts as it should."""
    digest = hashlib.new(algorithm, usedforsecurity=False)
    with opened(url) as source, replacing(path) as temporary, temporary.open("wb") as target:
        while block := source.read(1 << 20):
            digest.update(block)
            target.write(block)
        if not digest.hexdigest().startswith(wanted):
            raise DataError(f"{algorithm} of {url} is {digest.hexdigest()}, want {wanted}")
    return path


def opened(url: str) -> Any:
    """The answer of a server, open to be read."""
    from urllib.error import HTTPError
    from urllib.request import urlopen

    try:
        return urlopen(url, timeout=TIMEOUT)
    except HTTPError as refusal:
        refusal.close()  # it holds the connection
        raise


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary file beside `path` that takes its place if the block succeeds: nobody sees a half-written file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    os.close(handle)
    try:
        yield Path(name)
        os.replace(name, path)
    finally:
        Path(name).unlink(missing_ok=True)
