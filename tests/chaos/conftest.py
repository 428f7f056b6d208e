"""Worker processes, and the journals they share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.chaos.lab import Lab
from tests.chaos.workers import opened, settings_of

from penstock.app import Penstock, open_journal
from penstock.core.ports import Journal


@pytest.fixture(scope="session")
def common_zygote(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """One for all tests of this process."""
    lab = Lab(tmp_path_factory.mktemp("workers"))
    yield lab
    lab.close()


@pytest.fixture(scope="module")
def zygote(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """The common one, or one that has imported what a module of tests calls its `WORKERS`."""
    workers = getattr(request.module, "WORKERS", None)
    if workers is None:
        yield request.getfixturevalue("common_zygote")
        return
    lab = Lab(tmp_path_factory.mktemp("workers"), [workers.__name__])
    yield lab
    lab.close()


@pytest.fixture
def lab(zygote: Lab, tmp_path: Path) -> Iterator[Lab]:
    """Starts worker processes; none outlives the test."""
    zygote.folder = tmp_path
    yield zygote
    zygote.rest()


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.integration)])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> dict[str, Any]:
    """Settings of a fresh journal, on each database."""
    url = request.getfixturevalue("postgres_url") if request.param == "postgres" else ""
    return {"home": str(tmp_path / "home"), "database_url": url}


@pytest.fixture(params=["duckdb", pytest.param("postgres", marks=pytest.mark.integration)])
def warehouse_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of a fresh warehouse, on each database."""
    if request.param == "postgres":
        return str(request.getfixturevalue("postgres_url"))
    return f"duckdb:///{tmp_path}/shop.duckdb"


@pytest.fixture
def journal(store: dict[str, Any]) -> Iterator[Journal]:
    """The test's own view of that journal."""
    opened = open_journal(settings_of(store))
    yield opened
    opened.close()


@pytest.fixture
def sqlite_store(tmp_path: Path) -> dict[str, Any]:
    """Settings of a fresh SQLite journal."""
    return {"home": str(tmp_path / "home"), "database_url": ""}


@pytest.fixture
def app(store: dict[str, Any]) -> Iterator[Penstock]:
    """A Penstock of the test's own process, on each database."""
    with opened(store) as made:
        yield made


@pytest.fixture
def silent(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep log lines from the test runner: half a surrogate pair in one is more than it can pass on."""
    monkeypatch.setattr(type(caplog.handler), "emit", lambda self, record: None)
