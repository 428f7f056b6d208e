"""What a flow does, as an engine has it: steps, and which come after which."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from penstock.authoring.flows import Flow
from penstock.core.retry import delay_before
from penstock.core.workflows import WorkflowSpec
from penstock.engine.workflows import callables_of, task_of


class PlannedStep(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A step of a plan.

    Attributes:
        key: as the journal has it, such as `fetch#1`.
        task: the task's name.
        after: the steps that have ended before it begins; those they come after are left out.
        anyway: it may begin although one of these did not complete.
        retries: how often it is tried again.
        delays: seconds before each of these times; the last one also before those that are left.
        timeout: seconds that it may take.
        subflow: a flow, which the step executes as a whole.
        tags: sorted.
    """

    key: str
    task: str
    after: tuple[str, ...] = ()
    anyway: bool = False
    retries: int = 0
    delays: tuple[float, ...] = ()
    timeout: float | None = None
    subflow: bool = False
    tags: tuple[str, ...] = ()


class Plan(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a flow does.

    Attributes:
        steps: in the order in which the flow calls them; none where it has to be executed as a whole.
        why: why it has to be.
    """

    steps: tuple[PlannedStep, ...] = ()
    why: str | None = None


def plan_of_workflow(spec: WorkflowSpec) -> Plan:
    """Workflows are plans.

    Raises:
        BadWorkflow: what it calls is not there, or not allowed.
    """
    callables = callables_of()
    tasks = [(each, task_of(each, callables.load(each.python_callable))) for each in spec.ordered()]
    return Plan(steps=tuple(planned(task, f"{each.name}#1", (f"{n}#1" for n in each.needs())) for each, task in tasks))


def planned(called: Any, key: str, after: Iterable[str], anyway: bool = False) -> PlannedStep:
    """The step that a call of a task, or of a flow, is; see `PlannedStep`."""
    subflow = isinstance(called, Flow)
    retries = 0 if subflow else called.retries
    delays = tuple(delay_before(number, called.retry_delay_seconds, None) for number in range(1, min(retries, 100) + 1))
    return PlannedStep(
        key=key,
        task=called.name,
        after=tuple(after),
        anyway=anyway,
        retries=retries,
        delays=delays if any(delays) else (),
        timeout=called.timeout_seconds,
        subflow=subflow,
        tags=called.sorted_tags,
    )
