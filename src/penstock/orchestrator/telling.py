"""Makes alerts of what is owed: the words, and what people look for in them."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from penstock.core.alerting import Channel
from penstock.core.automations import Notify
from penstock.core.calendar.moments import length_of
from penstock.core.clock import iso
from penstock.core.errors import PenstockError
from penstock.core.model import Alert, OwedAction, Run
from penstock.core.ports import Journal
from penstock.core.secrets import masked
from penstock.core.templates import as_text, fill_text, lookup
from penstock.orchestrator.records import errors_of

_LEVELS = ("info", "warning", "error")
_MOST_TOLD = 50
_LONGEST = 500
_LOG_PAGE, _LOG_PAGES = 2000, 10
_ENDED_BADLY = ("Failed", "Crashed")


def alert_of(owed: OwedAction, action: Notify) -> Alert:
    """The alert that an action asks for."""
    return Alert(
        key=f"{owed.firing}/{owed.action}",
        at=owed.fired_at,
        automation=owed.automation,
        title=fill_text(action.title or owed.automation, owed.facts, "?"),
        message=fill_text(action.message, owed.facts, "?"),
        level=action.level,
        facts=owed.facts,
        resolves=action.resolves,
    )


def for_channel(journal: Journal, alert: Alert, channel: Channel, public_url: str) -> Alert:
    """An alert with what is known of its run, in the words that a channel wants."""
    known = masked(alert.facts)
    run_id = _fact(known, "run.id")
    run = None
    try:
        run = journal.run(str(run_id)) if run_id is not None else None
        more = _of_run(journal, run, known) if run is not None else {}
        log = _log(journal, run, channel.log_lines) if run is not None else None
    except PenstockError:  # an alert without them is better than none
        more, log = {}, None
    facts = {**known, "title": alert.title, "message": alert.message, "level": alert.level, "more": more}
    return msgspec.structs.replace(
        alert,
        title=fill_text(channel.title, facts, "?") if channel.title is not None else alert.title,
        message=fill_text(channel.text, facts, "?") if channel.text is not None else alert.message,
        facts=known,
        thread=str(run_id) if run_id is not None else None,
        more=more,
        log=log,
        link=f"{public_url.rstrip('/')}/api/v1/runs/{run.id}" if public_url and run is not None else None,
    )


def combined(alerts: Sequence[Alert], digest: bool) -> Alert:
    """Several alerts as one."""
    if len(alerts) == 1 and not digest:
        return alerts[0]
    first = alerts[0]
    count = f"{len(alerts):,} alert{'s' if len(alerts) > 1 else ''}"
    lines = [f"{(iso(each.at) or '')[:16]}Z {each.title}: {each.message}"[:_LONGEST] for each in alerts[:_MOST_TOLD]]
    if len(alerts) > _MOST_TOLD:
        lines.append(f"and {len(alerts) - _MOST_TOLD:,} more")
    return msgspec.structs.replace(
        first,
        key=f"{first.key}+{len(alerts)}",
        automation="digest" if digest else first.automation,
        title=f"{count} since {(iso(first.at) or '')[:16]}Z" if digest else f"{first.title} ({len(alerts):,} times)",
        message="\n".join(lines),
        level=max((each.level for each in alerts), key=_LEVELS.index),
        facts={} if digest else first.facts,
        count=len(alerts),
        **({"thread": None, "more": {}, "log": None, "link": None, "resolves": None} if digest else {}),
    )


def _fact(facts: Mapping[str, Any], path: str) -> Any:
    try:
        return lookup(facts, path)
    except KeyError:
        return None


def _of_run(journal: Journal, run: Run, facts: Mapping[str, Any]) -> dict[str, str]:
    """What people look for, where it is known."""
    found = {}
    error = facts.get("error")
    if run.started_at is not None and run.ended_at is not None:
        found["duration"] = length_of(round((run.ended_at - run.started_at) / 1_000_000, 1))
    if run.state in _ENDED_BADLY:
        failed = {step.key: step.name for step in journal.task_runs(run.id) if step.state in _ENDED_BADLY}
        names = list(failed.values())
        if names:
            found["failed task"] = ", ".join(names[:5]) + (" ..." if len(names) > 5 else "")
        if error is None and names:  # nothing was raised, as in a workflow: its tasks say why
            first = next((each for key, each in errors_of(journal, run.id) if key in failed), None)
            error = {"type": first.type, "text": first.text} if first is not None else None
    if isinstance(error, Mapping) and error.get("text"):
        found["error"] = f"{error.get('type')}: {error['text']}".splitlines()[0][:_LONGEST]
    if run.parameters:
        found["parameters"] = as_text(masked(run.parameters))[:_LONGEST]
    return found


def _log(journal: Journal, run: Run, lines: int) -> str | None:
    """The last lines that a run has logged, if it did not end well."""
    if not lines or run.state not in _ENDED_BADLY:
        return None
    last: deque[str] = deque(maxlen=lines)
    after = 0
    for _ in range(_LOG_PAGES):
        page = journal.logs(run.id, None, after, _LOG_PAGE)
        last.extend(line.message[:_LONGEST] for line in page)
        if len(page) < _LOG_PAGE:
            break
        after = page[-1].id
    return "\n".join(last) or None
