"""Fixtures: real data, stores, a tiny model, pages without a worker, and (tests/chromium.py) a real browser."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

if TYPE_CHECKING:
    from db.store import Store
    from tests.compare_cases import Students
    from tests.intent_cases import Served
    from tests.ui_cases import Filled

pytest_plugins = ["tests.chromium"]

# A machine that stalls for a moment fails no example; what takes without end, pytest's own limit ends.
settings.register_profile("any machine", settings(), deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")


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


@pytest.fixture
def no_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages start no worker: runs are claimed in the test's own process, where it asks for that."""
    monkeypatch.setattr("stepviz.jobs.ensure_worker", lambda *_, **__: True)
    monkeypatch.setattr("stepviz.ui.status.ensure_worker", lambda *_, **__: True)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """An empty store."""
    from db.store import open_store

    with open_store(f"sqlite:///{tmp_path}/ui.db") as opened:
        yield opened


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The app as a process, with accounts."""
    from tests.intent_cases import serving

    with serving(tmp_path_factory.mktemp("served")) as running:
        yield running


@pytest.fixture
def students(store: Store) -> Students:
    """The two of tests/compare_cases.py, at their problems."""
    from tests.compare_cases import Students

    return Students(store)


@pytest.fixture
def drawn(students: Students) -> Students:
    """The same, compared."""
    students.compare(samples=2)
    return students


@pytest.fixture
def school(store: Store) -> Store:
    """The store of tests/dataset_cases.py."""
    from tests import dataset_cases

    dataset_cases.school(store)
    return store


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny language model, to be trained from and never changed."""
    from tests import tiny

    return tiny.build(tmp_path_factory.mktemp("models") / "base", sharp=1.0)


@pytest.fixture
def filled(tmp_path: Path) -> Iterator[Filled]:
    """The store of tests/ui_cases.py, for pages without a browser."""
    from db.store import open_store
    from stepviz.ui.workbench import Workbench
    from tests import ui_cases

    with open_store(f"sqlite:///{tmp_path}/ui.db") as store:
        yield ui_cases.Filled(Workbench(store), ui_cases.fill(store))
