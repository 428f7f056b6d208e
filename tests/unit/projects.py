"""A project of one module, and the Penstock in it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from penstock.app import Penstock, load_settings


@contextmanager
def inside(
    folder: Path, monkeypatch: pytest.MonkeyPatch, module: str, text: str, *, workflows: bool = True
) -> Iterator[Penstock]:
    """An instance in a project.

    Args:
        folder: where the project is made; it is the current folder from then on.
        monkeypatch: of the test.
        module: the name of its only module.
        text: of that module.
        workflows: whether workflows may call what is in it.
    """
    listed = f'[tool.penstock.workflows]\nmodules = ["{module}"]\n' if workflows else ""
    (folder / "pyproject.toml").write_text(listed)
    (folder / f"{module}.py").write_text(text)
    monkeypatch.chdir(folder)
    path = list(sys.path)
    found = Penstock(load_settings())
    with found.activate():
        yield found
    found.close()
    sys.path[:] = path
    sys.modules.pop(module, None)
