"""Workflows with the journal in PostgreSQL: made, changed by two at once, executed."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from tests.unit.projects import inside

from penstock.app import Penstock
from penstock.core.errors import WorkflowConflict
from penstock.core.workflows import WorkflowFilter, WorkflowSpec, read
from penstock.engine.workflows import callables_of
from penstock.orchestrator.workflows import Workflows

pytestmark = pytest.mark.integration


@pytest.fixture
def app(postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Penstock]:
    """An instance of a project, with its journal on the server."""
    monkeypatch.setenv("PENSTOCK_DATABASE_URL", postgres_url)
    with inside(tmp_path, monkeypatch, "pg_tasks", "def add(one, two=1):\n    return one + two\n") as found:
        yield found


def adding(name: str, one: int, **more: Any) -> WorkflowSpec:
    first = {"name": "first", "python_callable": "pg_tasks:add", "params": {"one": one}}
    second = {"name": "second", "python_callable": "pg_tasks:add", "params": {"one": {"$result": "first"}}}
    return read({"name": name, "tasks": [second, first], **more})


def test_a_workflow_is_made_changed_and_executed(app: Penstock) -> None:
    workflows = Workflows(app.journal, callables_of())
    workflows.create(adding("nightly", 1, schedule="@daily", tags=["ä"]))
    changed = workflows.update("nightly", adding("nightly", 2, tags=["b"]), expected=1)
    assert (changed.version, changed.active, changed.next_due) == (2, True, None)
    run = workflows.trigger("nightly", {}, key="once")
    assert workflows.trigger("nightly", {}, key="once").id == run.id
    app.resume(run.id)
    found = app.journal.run(run.id)
    assert found is not None
    assert (found.state, found.flow_version) == ("Completed", "2")
    assert [each.name for each in app.journal.workflows(WorkflowFilter(tag="b", active=True))] == ["nightly"]
    workflows.delete("nightly")
    assert app.journal.count_workflows(WorkflowFilter()) == 0
    assert app.journal.deployments("nightly") == []
    assert workflows.create(adding("nightly", 3)).version == 3


def test_many_who_change_one_workflow(app: Penstock) -> None:
    workflows = Workflows(app.journal, callables_of())
    workflows.create(adding("busy", 0))

    def change(number: int) -> bool:
        try:
            workflows.update("busy", adding("busy", number), expected=1)
        except WorkflowConflict:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        done = list(pool.map(change, range(1, 17)))
    assert sum(done) == 1
    assert workflows.get("busy").version == 2
    assert len(workflows.versions("busy")) == 2
