"""A server without a port, in a project of its own, with one of each thing that requests are about."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI

from penstock.app import Penstock, load_settings
from penstock.control.access import ROLES, User, current_user
from penstock.control.app import create_app
from penstock.control.settings import ServerSettings
from penstock.core.clock import now_us
from penstock.core.errors import NotSignedIn
from penstock.core.events import Append, Record, RunCompleted, Saved
from penstock.core.ids import new_run_id
from penstock.testing import samples

with warnings.catch_warnings():  # it would rather have another client
    warnings.simplefilter("ignore")
    from fastapi.testclient import TestClient

BASE = "http://127.0.0.1:4300"
PASSWORD = "correct horse battery"
PEOPLE: dict[str, tuple[str, list[str] | None]] = {
    **{role: (role, None) for role in ROLES[::-1]},
    "scoped": ("editor", ["etl"]),
}
"""Who asks: a role, and the tags that they see."""
TASKS = """
def extract(rows=3):
    return {"rows": list(range(rows))}

def load(rows):
    return len(rows)
"""
NIGHTLY: dict[str, Any] = {
    "name": "nightly",
    "schedule": "@daily",
    "tags": ["etl"],
    "parameters": {"rows": 3},
    "tasks": [
        {"name": "extract", "python_callable": "world_tasks:extract", "params": {"rows": {"$parameter": "rows"}}},
        {"name": "load", "python_callable": "world_tasks:load", "params": {"rows": {"$result": "extract.rows"}}},
    ],
}


class World:
    """The application, and who uses it.

    Attributes:
        app: the application.
        client: asks it.
        run_id: a run that completed.
    """

    def __init__(self, app: FastAPI, penstock: Penstock) -> None:
        self.app = app
        self.penstock = penstock
        self.client = TestClient(app, base_url=BASE, raise_server_exceptions=False)
        self.run_id = ""
        self._tokens: dict[str, str] = {}

    def become(self, who: str) -> None:
        """Have all that follows be asked by one of `PEOPLE`, who signs in for it where one has to."""
        if self.app.state.control.settings.auth == "none":
            self.app.dependency_overrides[current_user] = lambda: User("somebody", who)
            return
        gate = self.app.state.control.auth.gate
        try:
            gate.enter(self._tokens.get(who, ""))
        except NotSignedIn:
            self._tokens[who] = self._signed_in(who)
        self.client.headers["Authorization"] = self._tokens[who]

    @property
    def signed(self) -> dict[str, str]:
        """The header of whoever asks."""
        return {"Authorization": self.client.headers["Authorization"]}

    def _signed_in(self, who: str) -> str:
        """Sign in; an account that was changed by what was asked is as it should be again."""
        accounts, (role, tags) = self.app.state.control.auth.accounts, PEOPLE[who]
        if accounts.find(who) is None:
            accounts.create(who, role, tags=tags, password=PASSWORD)
        accounts.change(who, role=role, tags=tags, disabled=False)
        form = {"grant_type": "password", "username": who, "password": PASSWORD}
        answer = self.client.post("/api/v1/auth/token", data=form)
        if answer.status_code != 200:  # somebody has changed the password
            accounts.set_password(who, PASSWORD)
            answer = self.client.post("/api/v1/auth/token", data=form)
        assert answer.status_code == 200, answer.text
        return f"Bearer {answer.json()['access_token']}"

    def seed(self) -> None:
        """Have one of each thing there (again)."""
        self.become("admin")
        if self.client.get("/api/v1/workflows/nightly").status_code != 200:
            self.client.post("/api/v1/workflows", json=NIGHTLY).raise_for_status()
        if not self.run_id or self.client.get(f"/api/v1/runs/{self.run_id}").status_code != 200:
            self.run_id = new_run_id()
            records = [
                samples.created(),
                samples.started(),
                samples.task_completed(),
                Record(RunCompleted(at=now_us(), result=Saved("json", 2)), b"42"),
            ]
            self.penstock.journal.commit([Append(self.run_id, 0, records)])

    def schema(self) -> dict[str, Any]:
        """What the API says of itself."""
        found: dict[str, Any] = self.client.get("/api/v1/openapi.json").json()
        return found

    def path_values(self) -> dict[str, str]:
        """What the parameters of a path are where the thing is there."""
        return {"name": "nightly", "run_id": self.run_id, "slug": "nightly"}


@contextmanager
def opened(folder: Path, **settings: Any) -> Iterator[World]:
    """A world in an empty folder."""
    patch = pytest.MonkeyPatch()
    (folder / "pyproject.toml").write_text('[tool.penstock.workflows]\nmodules = ["world_tasks"]\n')
    (folder / "world_tasks.py").write_text(TASKS)
    patch.chdir(folder)
    patch.setattr(sys, "path", list(sys.path))
    penstock = Penstock(load_settings())
    try:
        with penstock.activate():
            world = World(create_app(penstock, ServerSettings(**settings)), penstock)
            world.seed()
            yield world
    finally:
        penstock.close()
        sys.modules.pop("world_tasks", None)
        patch.undo()
