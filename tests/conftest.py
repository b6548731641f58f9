"""Fixtures: the folder of real data, and a store of one's own."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

pytest_plugins = ["tests.chromium"]


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of public data sets beside the project: read from there, never copied into it."""
    folder = Path(os.environ.get("STEPVIZ_SHARED_DATA", Path(__file__).parents[2] / "shared" / "data"))
    if not folder.is_dir():
        message = f"the folder of real data is missing: {folder}"
        if os.environ.get("CI") == "true":
            pytest.fail(message)
        pytest.skip(message)
    return folder
