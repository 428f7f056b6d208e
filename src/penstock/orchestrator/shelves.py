"""The connections of a project, for those who have a wired Penstock."""

from __future__ import annotations

from pathlib import Path

from penstock.app import Penstock, project_home
from penstock.core.ports import Journal
from penstock.engine.connections.shelf import Shelf, shelf_at


def shelf_of(penstock: Penstock, journal: Journal | None = None) -> Shelf:
    """The connections of the project that the current folder belongs to.

    Args:
        penstock: whose home folder has the key.
        journal: where the saved ones are; Penstock's own when left out.
    """
    folder = project_home(Path.cwd()).parent
    return shelf_at(penstock.home, folder, lambda: penstock.journal if journal is None else journal)
