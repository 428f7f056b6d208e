"""What every test shares: a home of its own, the shared data, and a database of its own on a real server."""

from __future__ import annotations

import gc
import os
import shlex
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn
from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4

import hypothesis
import pytest

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as a shell has it for what it starts in the background
    signal.signal(signal.SIGINT, signal.default_int_handler)
if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:  # as nohup has it
    signal.signal(signal.SIGHUP, signal.SIG_DFL)

ROOT = Path(__file__).resolve().parent.parent
SERVICES = Path(os.environ.get("PENSTOCK_SERVICES_DIR", ROOT / ".services"))
KEPT = ("PENSTOCK_TEST_", "PENSTOCK_SERVICES_", "PENSTOCK_REQUIRE_")

# How long an example takes says more about the machine than about the code.
hypothesis.settings.register_profile("penstock", deadline=None)
hypothesis.settings.load_profile("penstock")


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[None]:
    """Ten thousand tests and what they import stay to the end: nobody has to look through them for garbage."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


def missing(reason: str) -> NoReturn:
    """Skip the test with the reason, or fail it where everything has to be there (CI)."""
    if os.environ.get("PENSTOCK_REQUIRE_SERVICES") == "1":
        pytest.fail(f"{reason} (PENSTOCK_REQUIRE_SERVICES=1: this is a failure)", pytrace=False)
    pytest.skip(reason)


def service_url(name: str) -> str:
    """The address of a server, from the environment or from what `scripts/services up` wrote."""
    variable = f"PENSTOCK_TEST_{name.upper()}_URL"
    written = SERVICES / "env"
    lines = shlex.split(written.read_text()) if written.is_file() else []
    found = dict(line.split("=", 1) for line in lines if "=" in line)
    if url := os.environ.get(variable) or found.get(variable):
        return url
    why = SERVICES / f"{name}.reason"
    reason = why.read_text().strip() if why.is_file() else f"set {variable} or run scripts/services up"
    missing(f"no {name} server: {reason}")


@pytest.fixture(autouse=True)
def penstock_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Keep the test out of the project's own `.penstock/`, and the developer's settings and other tests out of it."""
    for name in list(os.environ):
        if name.startswith("PENSTOCK_") and not name.startswith(KEPT):
            monkeypatch.delenv(name)
    home = tmp_path / "penstock-home"
    monkeypatch.setenv("PENSTOCK_HOME", str(home))
    yield home
    app = sys.modules.get("penstock.app")
    if app is not None:
        app.reset()


@pytest.fixture(scope="session")
def test_data() -> Path:
    """The folder of real public data that stands beside the project."""
    folder = Path(os.environ.get("PENSTOCK_TEST_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        missing(f"no test data at {folder}: set PENSTOCK_TEST_DATA to the folder that holds it")
    return folder


@pytest.fixture
def postgres_url() -> Iterator[str]:
    """A fresh, empty database on the PostgreSQL server; dropped after the test, even if in use."""
    with fresh_database() as url:
        yield url


@pytest.fixture(scope="module")
def shared_postgres_url() -> Iterator[str]:
    """One for all tests of a module, which leave nothing behind that disturbs the others."""
    with fresh_database() as url:
        yield url


@contextmanager
def fresh_database() -> Iterator[str]:
    """An empty database on the PostgreSQL server; dropped afterwards."""
    import psycopg

    server = service_url("postgres")
    name = f"penstock_test_{uuid4().hex}"
    try:
        admin = psycopg.connect(server, autocommit=True, connect_timeout=10)
    except psycopg.OperationalError as error:
        missing(f"the PostgreSQL server cannot be used (scripts/services up starts one): {error}")
    with admin:
        admin.execute(f'CREATE DATABASE "{name}"')
    try:
        yield urlunsplit(urlsplit(server)._replace(path=f"/{name}"))
    finally:
        with psycopg.connect(server, autocommit=True, connect_timeout=10) as admin:
            admin.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
