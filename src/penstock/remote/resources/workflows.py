"""Workflows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from penstock.core.workflows import WorkflowSpec, as_data
from penstock.remote.answers import Page, Planned, Run, Version, Workflow
from penstock.remote.calls import Call, K, Resource, given, if_match, listing, operation

Given = WorkflowSpec | Mapping[str, Any] | str | bytes
"""A workflow: as a struct, as plain data, as a text of YAML, or as bytes of JSON."""


def _sent(workflow: Given) -> dict[str, Any]:
    if isinstance(workflow, str):
        return {"content": workflow.encode("utf-8", "surrogateescape"), "content_type": "application/yaml"}
    if isinstance(workflow, bytes):
        return {"content": workflow, "content_type": "application/json"}
    return {"body": as_data(workflow) if isinstance(workflow, WorkflowSpec) else dict(workflow)}


class Workflows(Resource[K]):
    """Flows given as data."""

    @operation
    def create(self, workflow: Given, *, key: str | None = None) -> Call[Workflow]:
        """Make a workflow."""
        return Call(
            method="POST", path=("workflows",), answer=Workflow, creates=True, key=key, **_sent(workflow)
        )  # fmt: skip

    @operation
    def apply(self, workflow: Given, *, key: str | None = None) -> Call[Workflow]:
        """Make a workflow, or have the one of its name become as this says."""
        return Call(
            method="POST",
            path=("workflows", "import"),
            answer=Workflow,
            query={"replace": True},
            creates=True,
            key=key,
            **_sent(workflow),
        )

    @operation
    def validate(self, workflow: Given) -> Call[dict[str, bool]]:
        """Say whether a workflow can be; nothing is kept. Every mistake is told by the error."""
        return Call(
            method="POST", path=("workflows", "validate"), answer=dict[str, bool], repeatable=True, **_sent(workflow)
        )

    @listing
    def list(
        self,
        *,
        tag: str | None = None,
        active: bool | None = None,
        text: str = "",
        cursor: str | None = None,
        limit: int = 200,
    ) -> Call[Workflow]:
        """Every workflow (behind the `next` of a page), by name. `limit` is how many are got at once."""
        query = given(tag=tag, active=active, text=text or None, cursor=cursor, limit=limit)
        return Call(method="GET", path=("workflows",), answer=Page[Workflow], query=query)

    @operation
    def page(
        self,
        *,
        skip: int = 0,
        limit: int = 50,
        cursor: str | None = None,
        tag: str | None = None,
        active: bool | None = None,
        text: str = "",
    ) -> Call[Page[Workflow]]:
        """One page of them, and how many there are."""
        query = given(skip=skip or None, limit=limit, cursor=cursor, tag=tag, active=active, text=text or None)
        return Call(method="GET", path=("workflows",), answer=Page[Workflow], query=query)

    @operation
    def get(self, name: str) -> Call[Workflow]:
        """One workflow."""
        return Call(method="GET", path=("workflows", name), answer=Workflow)

    @operation
    def update(self, name: str, workflow: Given, *, etag: str | None = None) -> Call[Workflow]:
        """Change a workflow as a whole; with an `etag` only as it was got."""
        return Call(
            method="PUT", path=("workflows", name), answer=Workflow, headers=if_match(etag), **_sent(workflow)
        )  # fmt: skip

    @operation
    def delete(self, name: str, *, etag: str | None = None) -> Call[None]:
        """Remove a workflow; its runs stay."""
        return Call(method="DELETE", path=("workflows", name), headers=if_match(etag))

    @operation
    def versions(self, name: str) -> Call[Sequence[Version]]:
        """Every version that there was, the newest first."""
        return Call(method="GET", path=("workflows", name, "versions"), answer=tuple[Version, ...])

    @operation
    def version(self, name: str, version: int) -> Call[dict[str, Any]]:
        """A version as it was."""
        return Call(method="GET", path=("workflows", name, "versions", version), answer=dict[str, Any])

    @operation
    def rollback(self, name: str, version: int, *, etag: str | None = None) -> Call[Workflow]:
        """Make it what it was in an earlier version."""
        return Call(
            method="POST",
            path=("workflows", name, "rollback"),
            answer=Workflow,
            body={"version": version},
            headers=if_match(etag),
            repeatable=etag is None,  # what changes nothing makes no version
        )

    @operation
    def clone(self, name: str, new_name: str, *, key: str | None = None) -> Call[Workflow]:
        """Make one with the tasks and all of another one, not active."""
        path = ("workflows", name, "clone")
        return Call(method="POST", path=path, answer=Workflow, body={"name": new_name}, creates=True, key=key)

    @operation
    def enable(self, name: str) -> Call[Workflow]:
        """Let its schedule make runs from now on."""
        return Call(method="POST", path=("workflows", name, "enable"), answer=Workflow, repeatable=True)

    @operation
    def disable(self, name: str) -> Call[Workflow]:
        """Let its schedule make no runs."""
        return Call(method="POST", path=("workflows", name, "disable"), answer=Workflow, repeatable=True)

    @operation
    def trigger(
        self,
        name: str,
        parameters: Mapping[str, Any] | None = None,
        *,
        tags: Sequence[str] = (),
        run_name: str | None = None,
        key: str | None = None,
    ) -> Call[Run]:
        """Ask for a run; a worker executes it. With a `key` of one's own it is one run, however often this is sent."""
        body = given(parameters=dict(parameters or {}), tags=[*tags], run_name=run_name)
        path = ("workflows", name, "trigger")
        return Call(method="POST", path=path, answer=Run, body=body, creates=True, key=key)

    @operation
    def dry_run(self, name: str, parameters: Mapping[str, Any] | None = None) -> Call[Planned]:
        """Say what a run would do. Nothing is executed."""
        body = {"parameters": dict(parameters or {})}
        return Call(method="POST", path=("workflows", name, "dry-run"), answer=Planned, body=body, repeatable=True)

    @operation
    def export(self, name: str, format: Literal["yaml", "json"] = "yaml", *, version: int | None = None) -> Call[bytes]:
        """A workflow, or an earlier version of it, as a text that can be applied."""
        query = given(format=format, version=version)
        return Call(method="GET", path=("workflows", name, "export"), answer=bytes, query=query)
