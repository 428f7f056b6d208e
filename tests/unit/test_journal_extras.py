"""Without an optional dependency, the command that installs it is told."""

from __future__ import annotations

import importlib
import sys

import pytest

from penstock.core.errors import MissingExtra, ResultUnavailable
from penstock.core.events import Saved
from penstock.journal.results import FileResultStore


def test_postgres_without_psycopg(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith("penstock.journal.postgres")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(MissingExtra) as caught:
        importlib.import_module("penstock.journal.postgres")
    assert 'pip install "penstock[postgres]"' in str(caught.value)


@pytest.mark.parametrize(("serializer", "module"), [("arrow.polars", "polars"), ("arrow.table", "pyarrow")])
def test_a_frame_without_its_library(monkeypatch: pytest.MonkeyPatch, serializer: str, module: str) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ResultUnavailable, match=module) as caught:
        FileResultStore(folder=None).load(Saved(serializer, 3), b"abc")  # type: ignore[arg-type]
    assert 'pip install "penstock[data]"' in str(caught.value)
