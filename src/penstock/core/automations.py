"""An automation: what is to be done when something happens, or does not happen for too long."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal, TypeAlias

import msgspec

from penstock.core import typed
from penstock.core.errors import BadAutomation

Plain: TypeAlias = str | int | float | bool
Filter: TypeAlias = Plain | tuple[Plain, ...]
Level: TypeAlias = Literal["info", "warning", "error"]


class Trigger(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Which events an automation waits for.

    Attributes:
        event: what happens: the name of an event, such as `RunFailed` or `orders.imported`, or a glob, such as `Run*`
            or `orders.*`; or several. Events of steps are only met by what begins with `Task`.
        where: facts about the event and what they must be: a value, a glob, or several of which one is enough. What
            begins with `!` must not be so.
        count: it fires when so many have happened; each counts once.
        within_seconds: they happened within so long.
        missing_seconds: it fires when none has happened for so long. The time runs from the last one, else from when
            the automation was declared.
        after: the time runs from this event instead (a name or a glob, or several). Without `missing_seconds` it fires
            when the event follows this one, once for each time that it does.
        schedule: it fires when this is due, whatever happens: a preset such as @daily, or five fields of cron.
        timezone: of the schedule.
        per: facts; events with other values of them are counted, and missed, apart.
        cool_down_seconds: having fired, it does not fire again for so long, and what happens meanwhile does not count.
            A silence that goes on beyond it is told at its end.
    """

    event: str | tuple[str, ...] = ()
    where: dict[str, Filter] = {}
    count: int = 1
    within_seconds: float | None = None
    missing_seconds: float | None = None
    after: str | tuple[str, ...] = ()
    schedule: str | None = None
    timezone: str = "UTC"
    per: str | tuple[str, ...] = ()
    cool_down_seconds: float | None = None

    @property
    def timed(self) -> bool:
        """Whether it may fire because time has passed."""
        return self.missing_seconds is not None or self.schedule is not None


class _Action(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="type"):
    """Something to be done. `{run.id}` in a text stands for a fact of the event."""


class RunDeployment(_Action, frozen=True, omit_defaults=True, tag="run-deployment"):
    """Make a run of a deployment.

    Attributes:
        deployment: its name.
        parameters: over those of the deployment. A text that is one `{fact}` and nothing else becomes its value.
        tags: besides the deployment's.
    """

    deployment: str
    parameters: dict[str, Any] = msgspec.field(default_factory=dict)
    tags: tuple[str, ...] = ()


class RunWorkflow(_Action, frozen=True, omit_defaults=True, tag="run-workflow"):
    """Make a run of a workflow.

    Attributes:
        workflow: its name.
        parameters: over those of the workflow. A text that is one `{fact}` and nothing else becomes its value.
        tags: besides the workflow's.
    """

    workflow: str
    parameters: dict[str, Any] = msgspec.field(default_factory=dict)
    tags: tuple[str, ...] = ()


class PauseDeployment(_Action, frozen=True, omit_defaults=True, tag="pause-deployment"):
    """Pause a deployment, or one schedule of it."""

    deployment: str
    schedule: str | None = None


class ResumeDeployment(_Action, frozen=True, omit_defaults=True, tag="resume-deployment"):
    """Resume a deployment, or one schedule of it."""

    deployment: str
    schedule: str | None = None


class CancelRun(_Action, frozen=True, omit_defaults=True, tag="cancel-run"):
    """Cancel a run: the one that the event is about, or another."""

    run: str = "{run.id}"
    reason: str | None = None


class ChangeState(_Action, frozen=True, omit_defaults=True, tag="change-state"):
    """End a run that nobody executes: it is not due yet, waits for a worker, or is paused.

    Attributes:
        state: what it is from then on.
    """

    state: Literal["Cancelled", "Failed"]
    run: str = "{run.id}"
    reason: str | None = None


class EmitEvent(_Action, frozen=True, omit_defaults=True, tag="emit-event"):
    """Tell of an event of one's own."""

    event: str
    about: str | None = None
    facts: dict[str, Any] = msgspec.field(default_factory=dict)


class Notify(_Action, frozen=True, omit_defaults=True, tag="notify"):
    """Tell people.

    Attributes:
        message: what; a fact that is not there is shown as `?`.
        title: a heading; the automation's name when left out.
        level: info, warning or error.
        to: where: `console` (stderr of the scheduler), `file` (`alerts.jsonl` in the home folder), a channel of
            `[tool.penstock.alerts.channels]`, or `routes`: wherever the routes lead.
        group: where a channel puts alerts together, those with the same text here belong together.
        resolves: the automation of whose alerts this one is the end.
    """

    message: str
    title: str | None = None
    level: Level = "warning"
    to: str | tuple[str, ...] = ("console", "file")
    group: str | None = None
    resolves: str | None = None


class Call(_Action, frozen=True, omit_defaults=True, tag="call"):
    """Send the facts to a URL, as JSON in a POST request.

    At least once: where the answer is lost, it is sent again with the same `Idempotency-Key` header. A redirect is not
    followed. `${NAME}` in the URL and in headers stands for a variable of the environment of the process that calls;
    its value is never recorded.

    Attributes:
        url: http or https.
        sign: a saved connection of the type secret; what is sent is signed with it, as Standard Webhooks say.
        headers: besides those that are always sent.
        body: what to send instead of all the facts; a fact that is not there is shown as `?`.
        timeout_seconds: how long an attempt may take.
        attempts: how often it is tried when there is no answer, or one that says to come back later (408, 429, 5xx).
    """

    url: str
    headers: dict[str, str] = {}
    body: dict[str, Any] = msgspec.field(default_factory=dict)
    timeout_seconds: float = 10.0
    attempts: int = 5
    sign: str | None = None


Action: TypeAlias = (
    RunDeployment
    | RunWorkflow
    | PauseDeployment
    | ResumeDeployment
    | CancelRun
    | ChangeState
    | EmitEvent
    | Notify
    | Call
)
OUTSIDE: tuple[type[_Action], ...] = (Notify, Call)
"""Actions that leave the journal: they are done at least once. The others are done exactly once."""


class Automation(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is to be done when something happens.

    Attributes:
        name: unique in the journal.
        trigger: when it fires.
        actions: what is done then, in this order as far as it stays inside the journal.
        description: for people.
        paused: it does not fire.
        folder: that of the pyproject.toml which declares it, so that it can be told what that declares no more.
    """

    name: str
    trigger: Trigger
    actions: tuple[Action, ...]
    description: str | None = None
    paused: bool = False
    folder: str | None = None


def several(value: str | tuple[str, ...]) -> tuple[str, ...]:
    """One or several names, as several."""
    return (value,) if isinstance(value, str) else tuple(value)


def checked(automation: Automation) -> Automation:
    """The automation, with every value of its right kind.

    Raises:
        BadAutomation: it lists every mistake.
    """
    from penstock.core.automation_checks import mistakes_of

    try:
        made = of_data(msgspec.to_builtins(automation))
    except (msgspec.MsgspecError, TypeError) as error:
        raise BadAutomation(str(automation.name), [_placed(error)]) from None
    mistakes = mistakes_of(made)
    if mistakes:
        raise BadAutomation(made.name, mistakes)
    return made


def declared(name: str, table: Any) -> Automation:
    """An automation as a table of pyproject.toml has it.

    Raises:
        BadAutomation: it lists every mistake.
    """
    if not isinstance(table, dict):
        raise BadAutomation(name, [("automation", "it is no table")])
    try:
        made = typed.convert({**table, "name": name}, Automation)
    except msgspec.ValidationError as error:
        raise BadAutomation(name, [_placed(error)]) from None
    unknown = list(_unknown(table, made))
    if unknown:
        raise BadAutomation(name, [(where, "there is no such option") for where in unknown])
    return checked(made)


def _placed(error: Exception) -> tuple[str, str]:
    """What msgspec says, and where."""
    what, _, where = str(error).partition(" - at `$.")
    return where.rstrip("`") or "automation", what


def _unknown(table: dict[str, Any], made: Automation) -> Iterator[str]:
    """Options that were passed over."""
    yield from (option for option in table if option not in Automation.__struct_fields__ or option == "name")
    yield from (f"trigger.{option}" for option in table["trigger"] if option not in Trigger.__struct_fields__)
    for place, action in enumerate(made.actions):
        known = (*type(action).__struct_fields__, "type")
        yield from (f"actions[{place}].{option}" for option in table["actions"][place] if option not in known)


def as_data(automation: Automation) -> dict[str, Any]:
    """As it is stored."""
    data: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(automation))
    return data


def of_data(data: dict[str, Any]) -> Automation:
    """As it was declared."""
    return typed.convert(data, Automation)


def action_of(data: dict[str, Any]) -> Action:
    """A stored action."""
    made: Action = typed.convert(data, Action)
    return made
