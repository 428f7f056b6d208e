"""Automations as people see them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from penstock.cli.console import Column, clean, counted, fitting, text, write, write_table
from penstock.cli.units import age, duration, micros, moment
from penstock.core.automations import (
    Automation,
    Call,
    CancelRun,
    ChangeState,
    EmitEvent,
    Notify,
    PauseDeployment,
    ResumeDeployment,
    RunDeployment,
    RunWorkflow,
    Trigger,
    of_data,
    several,
)
from penstock.core.events import now_us
from penstock.core.model import RememberedGroup, StoredAutomation
from penstock.orchestrator.rehearsal import Told

_DIM = "bright_black"
_SIGNS = {
    "fires": ("✓", "green"),
    "counted": ("●", "cyan"),
    "waits": ("○", "yellow"),
    "ignored": ("·", _DIM),
}


def trigger_told(trigger: Trigger) -> str:
    """`3 RunFailed within 10 min, per flow`."""
    events = " or ".join(several(trigger.event))
    if trigger.schedule is not None:
        return f"{trigger.schedule} ({trigger.timezone})"
    if trigger.missing_seconds is not None:
        told = f"no {events} for {_length(trigger.missing_seconds)}"
        told += f" after {' or '.join(several(trigger.after))}" if trigger.after else ""
    else:
        told = events if trigger.count == 1 else f"{trigger.count} {events}"
        told += f" within {_length(trigger.within_seconds)}" if trigger.within_seconds is not None else ""
    return told + (f", per {' and '.join(several(trigger.per))}" if trigger.per else "")


def _length(seconds: float) -> str:
    return duration(int(seconds * 1_000_000)).replace(" 00 s", "").replace(" 00 min", "").replace(".00 s", " s")


def action_told(action: Any) -> str:
    """An action in a few words."""
    match action:
        case RunDeployment():
            return f"run {action.deployment}"
        case RunWorkflow():
            return f"run {action.workflow}"
        case ChangeState():
            return f"end the run as {action.state}"
        case PauseDeployment() | ResumeDeployment():
            verb = "pause" if isinstance(action, PauseDeployment) else "resume"
            return f"{verb} {action.deployment}" + (f" ({action.schedule})" if action.schedule else "")
        case CancelRun():
            return "cancel the run" if action.run == "{run.id}" else f"cancel {action.run}"
        case EmitEvent():
            return f"emit {action.event}"
        case Notify():
            return f"notify {', '.join(several(action.to))}"
        case Call():
            return f"call {action.url}"
    return type(action).__name__


def write_automations(found: Sequence[StoredAutomation]) -> None:
    """A table of automations."""
    columns = [
        Column("automation", least=8),
        Column("when", least=12),
        Column("does", least=10, leaves=1),
        Column("last fired", right=True),
        Column(""),
    ]
    now = now_us()
    rows: list[list[Any]] = []
    for stored in found:
        automation = _understood(stored)
        rows.append(
            [
                clean(stored.name),
                clean(trigger_told(automation.trigger)) if automation else text(("of another version", "yellow")),
                text((clean(", ".join(map(action_told, automation.actions))) if automation else "", _DIM)),
                text((age(stored.fired_at, now) if stored.fired_at is not None else "never", _DIM)),
                text(("paused" if stored.paused else "", "yellow")),
            ]
        )
    write_table(columns, rows)


def _understood(stored: StoredAutomation) -> Automation | None:
    try:
        return of_data(stored.spec)
    except msgspec.ValidationError:
        return None


def write_automation(stored: StoredAutomation, groups: Sequence[RememberedGroup], reason: str | None) -> None:
    """An automation with all it is."""
    automation = _understood(stored)
    write(text((clean(stored.name), "bold"), ("  paused", "yellow") if stored.paused else ""))
    if reason is not None:
        write(text(("  " + clean(reason), "yellow")))
    if automation is None:
        write("It was declared by another version of Penstock.")
        return
    if automation.description:
        write(clean(automation.description), wrap=True, indent=2)
    trigger = automation.trigger
    lines = [("when", trigger_told(trigger))]
    lines += [("where", f"{path} is {_wanted(wanted)}") for path, wanted in trigger.where.items()]
    if trigger.cool_down_seconds is not None:
        lines.append(("then rests", _length(trigger.cool_down_seconds)))
    lines += [("does", action_told(action)) for action in automation.actions]
    now = now_us()
    lines += [("remembers", _state_told(trigger, each, now)) for each in groups[:10]]
    if len(groups) > 10:
        lines.append(("", f"and {counted(len(groups) - 10, 'group')} more"))
    before = ""
    for what, told in lines:
        write(text((f"  {what if what != before else '':<12}", _DIM), clean(told)))
        before = what


def _wanted(wanted: Any) -> str:
    options = wanted if isinstance(wanted, tuple) else (wanted,)
    return " or ".join(str(each) for each in options)


def _state_told(trigger: Trigger, each: RememberedGroup, now: int) -> str:
    state = each.state
    group = f"{each.group}: " if trigger.per else ""
    if "since" in state:
        return f"{group}waits since {moment(state['since'])}"
    if state.get("cool", 0) > now:
        return f"{group}rests until {moment(state['cool'])}"
    return f"{group}{len(state.get('times', ()))} of {trigger.count}"


def write_firings(firings: Sequence[dict[str, Any]]) -> None:
    """Firings, and what became of their actions."""
    write()
    if not firings:
        write("It has not fired.")
    for firing in firings:
        facts = firing["facts"]
        about = facts.get("flow") or facts.get("about") or facts.get("deployment") or ""
        told = f"{facts.get('event', '')}  {about}".rstrip()
        write(text((moment(micros(firing["at"])), _DIM), f"  {clean(told)}", (f"  {clean(firing['id'])}", _DIM)))
        for action in firing["actions"]:
            sign, style = {"done": ("✓", "green"), "failed": ("✗", "red")}.get(action["state"], ("○", "yellow"))
            error = f": {clean(action['error'])}" if action["error"] else ""
            write(text(fitting(f"  {sign} "), (f"{clean(action['type'])} {action['state']}{error}", style)))


def write_told(told: Told) -> None:
    """What would become of an event."""
    sign, style = _SIGNS[told.outcome]
    write(text((fitting(f"{sign} "), style), clean(told.event), (f"  {told.outcome}", style), f"  {clean(told.why)}"))
    for action in told.actions:
        rest = {name: value for name, value in action.items() if name != "type"}
        write(text(f"    {clean(action['type'])}  ", (clean(msgspec.json.encode(rest).decode()), _DIM)))
