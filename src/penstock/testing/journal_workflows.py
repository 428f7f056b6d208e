"""How a journal must keep workflows: as they were declared last, active as their deployment is, found page by page."""
# ruff: noqa: D102 - the name of a duty says what it is

from __future__ import annotations

from typing import Any

from penstock.core.events import Append, Event, Record
from penstock.core.model import StoredDeployment
from penstock.core.plans import (
    DeploymentDeclared,
    DeploymentPaused,
    ScheduleDue,
)
from penstock.core.ports import Journal
from penstock.core.workflow_events import WorkflowCreated, WorkflowDeleted, WorkflowUpdated
from penstock.core.workflows import StoredWorkflow, WorkflowFilter
from penstock.testing.openings import Openings

EVERY = WorkflowFilter()


def deployed(name: str, next_due: int | None = None, paused: bool = False) -> DeploymentDeclared:
    """The deployment of a workflow."""
    schedules = (ScheduleDue(name="schedule", spec={}, next_due=next_due),) if next_due is not None else ()
    return DeploymentDeclared(
        at=1, name=name, flow=name, spec={"name": name}, pool="default", schedules=schedules, paused=paused
    )


def tell(journal: Journal, name: str, *events: Event) -> None:
    """Append what is told of a workflow and of its deployment."""
    streams: dict[str, list[Record]] = {}
    for event in events:
        kind = "workflow" if event.stored.startswith("Workflow") else "deployment"
        streams.setdefault(f"{kind}/{name}", []).append(Record(event))
    journal.commit([Append(stream, journal.last_seq(stream), records) for stream, records in streams.items()])


def created(name: str, at: int = 1, number: int = 1, **spec: Any) -> WorkflowCreated:
    """A workflow is made."""
    return WorkflowCreated(at=at, name=name, number=number, spec={"name": name, **spec})


class WorkflowDuties(Openings):
    """Workflows."""

    def names(self, journal: Journal, **where: Any) -> list[str]:
        """Which workflows are found."""
        return [each.name for each in journal.workflows(WorkflowFilter(**where))]

    def test_no_workflows_yet(self) -> None:
        journal = self.opened()
        assert journal.workflows(EVERY) == []
        assert journal.count_workflows(EVERY) == 0

    def test_workflows_are_as_they_were_declared_last(self) -> None:
        journal = self.opened()
        tell(journal, "a", created("a", 5, tags=["x"]), deployed("a", next_due=77))
        spec = {"name": "a", "tags": ["y"], "tasks": [{"name": "zoë", "params": {"n": [1, None, 1.5]}}]}
        tell(journal, "a", WorkflowUpdated(at=9, name="a", number=2, spec=spec, restores=1, by="me"))
        kept = StoredWorkflow(
            name="a", version=2, spec=spec, created_at=5, updated_at=9, active=True, next_due=77
        )  # fmt: skip
        assert self.again(journal).workflows(EVERY) == [kept]
        assert self.names(journal, tag="x") == []
        assert self.names(journal, tag="y") == ["a"]

    def test_a_workflow_is_active_as_its_deployment_is(self) -> None:
        journal = self.opened()
        tell(journal, "on", created("on"), deployed("on"))
        tell(journal, "off", created("off"), deployed("off", paused=True))
        tell(journal, "alone", created("alone"))
        assert self.names(journal, active=True) == ["on"]
        assert self.names(journal, active=False) == ["alone", "off"]
        tell(journal, "on", DeploymentPaused(at=2, name="on"))
        assert self.names(journal, active=True) == []
        assert [each.active for each in journal.workflows(EVERY)] == [False] * 3

    def test_a_workflow_that_is_deleted_and_made_again(self) -> None:
        journal = self.opened()
        tell(journal, "a", created("a"), deployed("a"))
        tell(journal, "a", WorkflowDeleted(at=2, name="a", number=1))
        assert journal.workflows(EVERY) == []
        assert [each.name for each in journal.deployments() if isinstance(each, StoredDeployment)] == ["a"]
        tell(journal, "a", created("a", 3, number=2))
        (found,) = journal.workflows(EVERY)
        assert (found.version, found.created_at, found.updated_at) == (2, 3, 3)

    def test_pages_of_workflows(self) -> None:
        journal = self.opened()
        for name in ("d", "b", "E", "a", "c"):
            tell(journal, name, created(name))
        assert self.names(journal) == ["E", "a", "b", "c", "d"]
        assert self.names(journal, limit=2) == ["E", "a"]
        assert self.names(journal, limit=2, skip=3) == ["c", "d"]
        assert self.names(journal, limit=2, after="b") == ["c", "d"]
        assert self.names(journal, after="d") == []
        assert journal.count_workflows(WorkflowFilter(limit=1, after="b", skip=1)) == 5

    def test_workflows_are_found_by_tag_and_text(self) -> None:
        journal = self.opened()
        tell(journal, "one", created("one", tags=["a", "Zoë's 100%"]))
        tell(journal, "Two", created("Two", tags=["A", "b_c", 'quoted "a"']))
        for tag, names in {
            "a": ["one"],
            "A": ["Two"],
            "b": [],
            "b_c": ["Two"],
            "bxc": [],
            "Zoë's 100%": ["one"],
        }.items():
            assert self.names(journal, tag=tag) == names
            assert journal.count_workflows(WorkflowFilter(tag=tag)) == len(names)
        assert self.names(journal, text="W") == ["Two"]
        assert self.names(journal, text="o") == ["Two", "one"]
        assert self.names(journal, text="_") == []
        assert self.names(journal, name="Two") == ["Two"]
        assert self.names(journal, name="two") == []
