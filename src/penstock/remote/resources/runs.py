"""Runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from penstock.remote.answers import (
    Artifact,
    ArtifactDetail,
    LogLine,
    Part,
    Question,
    Run,
    RunDetail,
    RunError,
    Runs,
)
from penstock.remote.calls import Call, K, Resource, asked, given, listing, operation, stream, told
from penstock.remote.session import Heard

Sort = Literal["created", "-created", "started", "-started", "duration", "-duration", "name", "-name"]


class RunsResource(Resource[K]):
    """Runs of flows and workflows."""

    @listing
    def list(
        self,
        *,
        state: Sequence[str] = (),
        flow: str | None = None,
        deployment: str | None = None,
        partition: str | None = None,
        tag: Sequence[str] = (),
        parameter: Sequence[str] = (),
        text: str = "",
        since: str | None = None,
        until: str | None = None,
        parent: str | None = None,
        pool: str | None = None,
        children: bool = False,
        before: str | None = None,
        limit: int = 200,
    ) -> Call[Run]:
        """Every run that fits, the newest first. `limit` is how many are got at once.

        `state` is any of these; of `tag` and `parameter` (`NAME=VALUE`) all must fit. `deployment` may be a workflow.
        `since` and `until` are ISO times with their offset. `parent` gives the subflow runs of a run, `children` has
        those of others listed too, and `before` only what is older than a run.
        """
        query = asked(
            given(
                state=tuple(state),
                flow=flow,
                deployment=deployment,
                partition=partition,
                tag=tuple(tag),
                parameter=tuple(parameter),
                text=text,
                since=since,
                until=until,
                parent=parent,
                pool=pool,
                children=children or None,
                cursor=before,
                limit=limit,
            )
        )
        return Call(method="GET", path=("runs",), answer=Runs, query=query)

    @operation
    def page(
        self,
        *,
        skip: int = 0,
        limit: int = 50,
        sort: Sort = "-created",
        state: Sequence[str] = (),
        flow: str | None = None,
        deployment: str | None = None,
        tag: Sequence[str] = (),
        text: str = "",
    ) -> Call[Runs]:
        """A page of the newest runs in some order, and how many fit."""
        query = asked(
            given(
                state=tuple(state), flow=flow, deployment=deployment, tag=tuple(tag), text=text, limit=limit, sort=sort
            )
        )
        return Call(method="GET", path=("runs",), answer=Runs, query={**query, "skip": skip})

    @operation
    def named(self, name: str, *, limit: int = 10) -> Call[Sequence[Run]]:
        """Runs by their name, or by the beginning or the end of their id."""
        query = {"name": name, "limit": limit}
        return Call(method="GET", path=("runs", "named"), answer=tuple[Run, ...], query=query)

    @operation
    def get(self, run_id: str) -> Call[RunDetail]:
        """One run, with its task runs and where the time went."""
        return Call(method="GET", path=("runs", run_id), answer=RunDetail)

    @operation
    def errors(self, run_id: str) -> Call[Sequence[RunError]]:
        """What its steps and the run itself ended with."""
        return Call(method="GET", path=("runs", run_id, "errors"), answer=tuple[RunError, ...])

    @operation
    def delete(self, run_id: str) -> Call[None]:
        """Remove a run that has ended, and what belongs to it."""
        return Call(method="DELETE", path=("runs", run_id))

    @operation
    def cancel(self, run_id: str, *, reason: str | None = None, grace_seconds: float = 10.0) -> Call[Run]:
        """Stop a run and everything it has started."""
        return Call(
            method="POST",
            path=("runs", run_id, "cancel"),
            answer=Run,
            body=given(reason=reason, grace_seconds=grace_seconds),
            seconds=grace_seconds + 10,
        )

    @operation
    def pause(self, run_id: str, *, reason: str | None = None) -> Call[Run]:
        """Let it begin no other step until it is resumed."""
        return told(Run, "runs", run_id, "pause", body=given(reason=reason), repeatable=True)

    @operation
    def resume(self, run_id: str, *, key: str | None = None) -> Call[Run]:
        """Let a run go on that was asked to pause; or a new run that takes over what an ended one has completed."""
        return Call(method="POST", path=("runs", run_id, "resume"), answer=Run, creates=True, key=key)

    @operation
    def retry(self, run_id: str, *, key: str | None = None) -> Call[Run]:
        """A new run of the same flow with the same parameters, from the beginning."""
        return Call(method="POST", path=("runs", run_id, "retry"), answer=Run, creates=True, key=key)

    @operation
    def fork(self, run_id: str, from_step: str, *, key: str | None = None) -> Call[Run]:
        """A new run that executes this step, and every one called after it, anew."""
        body = {"from_step": from_step}
        return Call(method="POST", path=("runs", run_id, "fork"), answer=Run, body=body, creates=True, key=key)

    @operation
    def waiting(self, run_id: str) -> Call[Sequence[Question]]:
        """What it waits for, and what an answer must be like."""
        return Call(method="GET", path=("runs", run_id, "waiting"), answer=tuple[Question, ...])

    @operation
    def answer(self, run_id: str, value: Any = None, *, step: str | None = None) -> Call[Run]:
        """Answer what it asks."""
        body = {"value": value, **given(step=step)}
        return Call(method="POST", path=("runs", run_id, "answer"), answer=Run, body=body)

    @listing
    def logs(
        self,
        run_id: str,
        *,
        step: str | None = None,
        level: str | None = None,
        text: str = "",
        after: int = 0,
        limit: int = 2000,
    ) -> Call[LogLine]:
        """What it has logged so far, behind the line with the id `after`."""
        query = asked(given(step=step, level=level, text=text, cursor=after or None, limit=limit))
        return Call(method="GET", path=("runs", run_id, "logs"), answer=Part[LogLine], query=query)

    @stream
    def follow(self, run_id: str, *, last_id: str = "") -> Call[Heard]:
        """Its states, those of its steps and what it logs, until it has ended; behind `last_id`."""
        headers = {"Last-Event-ID": last_id} if last_id else {}
        return Call(method="GET", path=("runs", run_id, "stream"), headers=headers)

    @listing
    def artifacts(self, run_id: str, *, limit: int = 200) -> Call[Artifact]:
        """What it left to look at, the newest first."""
        return Call(method="GET", path=("runs", run_id, "artifacts"), answer=Part[Artifact], query={"limit": limit})

    @operation
    def artifact(self, run_id: str, artifact_id: str) -> Call[ArtifactDetail]:
        """One of these, with what is in it."""
        return Call(method="GET", path=("runs", run_id, "artifacts", artifact_id), answer=ArtifactDetail)
