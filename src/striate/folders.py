"""The one folder outside of the user's own where striate keeps files."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def cache_folder() -> Path:
    """Where machine code, downloads and generated data are kept: STRIATE_CACHE, or striate in the user's cache folder."""
    if chosen := os.environ.get("STRIATE_CACHE"):
        return Path(chosen)
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local") / "striate"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "striate"
