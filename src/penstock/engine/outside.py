"""Which runs an engine elsewhere executes, as far as it is on record."""

from __future__ import annotations

from penstock.core.engines import LOCAL
from penstock.core.model import Run
from penstock.core.plans import DeploymentDeclared, stream_of
from penstock.core.ports import Journal


def engines_of(journal: Journal, name: str) -> list[str]:
    """Where the runs of a deployment were executed by its declarations, the newest last; also when it was deleted."""
    events = (stored.event for stored in journal.load(stream_of("deployment", name)))
    return [event.spec.get("engine", LOCAL) for event in events if isinstance(event, DeploymentDeclared)]


def last_engine(journal: Journal, name: str) -> str:
    """Where the runs of a deployment are executed, as it was declared last; also when it was deleted."""
    return [LOCAL, *engines_of(journal, name)][-1]


def is_followed(run: Run, engine: str) -> bool:
    """Whether a run is executed elsewhere. What goes on with an earlier run is not: its record is here."""
    return engine != LOCAL and run.parent_id is None and run.origin in (None, "retry")


def executed_by(journal: Journal, run: Run) -> str:
    """The engine that executes a run, as its deployment was declared last."""
    if run.deployment is None:
        return LOCAL
    engine = last_engine(journal, run.deployment)
    return engine if is_followed(run, engine) else LOCAL
