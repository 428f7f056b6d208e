"""Workflows, their versions and plans, as people read them. Everything here is written from records."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from penstock.cli.console import Column, clean, clean_lines, counted, fitting, glyph, text, write, write_table
from penstock.cli.plans import undue
from penstock.cli.summary import advice
from penstock.cli.units import age, ahead, micros, moment
from penstock.core import typed
from penstock.core.engines import LOCAL
from penstock.core.workflows import TaskSpec

_DIM = "bright_black"
Record = dict[str, Any]


def write_list(found: Sequence[Record], total: int, now: int) -> None:
    """A table of workflows."""
    columns = [
        Column("workflow", least=8),
        Column("schedule", least=8, leaves=2),
        Column("next"),
        Column("tasks", right=True, leaves=3),
        Column("version", right=True, leaves=4),
        Column("tags", least=6, leaves=5),
        Column("changed", right=True, leaves=1),
    ]
    rows: list[list[Any]] = []
    for each in found:
        told = next_told(each, now)
        rows.append(
            [
                clean(each["name"]),
                text((clean(each["schedule"] or ""), _DIM)),
                text((told, "yellow" if told == "not active" else "")),
                str(len(each["tasks"])),
                str(each["version"]),
                text((clean(" ".join(each["tags"])), _DIM)),
                text((age(micros(each["updated_at"]), now), _DIM)),
            ]
        )
    write_table(columns, rows)
    if total > len(found):
        write(text((f"\n{counted(total - len(found), 'other')}: --limit shows more", _DIM)))


def next_told(record: Record, now: int) -> str:
    """When its schedule makes a run next, in a few words."""
    if record["schedule"] is None:
        return "when triggered" if record["active"] else "not active"
    if not record["active"]:
        return "not active"
    due = record["next_due"]
    return ahead(max(micros(due), now), now) if due else undue(record.get("engine", LOCAL))


def write_one(record: Record, now: int) -> None:
    """A workflow with its tasks."""
    when = next_told(record, now)
    head = text((clean(record["name"]), "bold"), fitting(f" · version {record['version']}  "))
    head.append(f"next {when}" if when == "now" or when.startswith("in ") else when, style=_DIM)
    write(head)
    for line in clean_lines(record["description"].strip()) if record["description"] else []:
        write(line, indent=2)
    zone = f" ({record['timezone']})" if record["schedule"] and record["timezone"] != "UTC" else ""
    facts: list[tuple[str, str]] = [
        ("schedule", f"{record['schedule'] or ''}{zone}"),
        ("with", _parameters(record["parameters"])),
        ("tags", ", ".join(record["tags"])),
        ("made", moment(micros(record["created_at"]))),
        ("changed", moment(micros(record["updated_at"])) if record["updated_at"] != record["created_at"] else ""),
    ]
    for title, told in facts:
        if told:
            write(text((f"{title:<8}  ", _DIM), clean(told)), indent=2)
    write()
    write_tasks([_planned(each) for each in record["tasks"]])
    write()
    name = clean(record["name"])
    ways = [(f"penstock workflows trigger {name}", "run it now")]
    if not record["active"]:
        ways.append((f"penstock workflows enable {name}", "let its schedule make runs"))
    ways.append((f"penstock runs list --deployment {name}", "its runs"))
    for each in advice(ways):
        write(text(*each))


def _planned(task: Record) -> Record:
    more = []
    if task["retry_count"]:
        after = f" after {task['retry_delay']:g} s" if task["retry_delay"] else ""
        more.append(f"{counted(task['retry_count'], 'retry', 'retries')}{after}")
    if task["timeout"] is not None:
        more.append(f"at most {task['timeout']:g} s")
    needed = typed.convert(task, TaskSpec).needs()
    return {**task, "after": needed, "more": ", ".join(more)}


def write_tasks(tasks: Sequence[Record]) -> None:
    """Tasks in a table: what each calls, and what it comes after."""
    columns = [
        Column("task", least=6),
        Column("calls", least=10),
        Column("after", least=6, leaves=2),
        Column("", least=6, leaves=1),
    ]
    rows: list[list[Any]] = []
    for each in tasks:
        beside = [", ".join(each["after"]), each.get("more", "")]
        rows.append(
            [clean(each["name"]), clean(each["python_callable"]), *(text((clean(told), _DIM)) for told in beside)]
        )
    write_table(columns, rows)


def write_versions(found: Sequence[Record], now: int) -> None:
    """A table of versions."""
    columns = [
        Column("version", right=True),
        Column("made", right=True),
        Column("by", least=4, leaves=1),
        Column("tasks", right=True),
        Column("", leaves=2),
    ]
    rows: list[list[Any]] = []
    for each in found:
        again = f"version {each['restores']} again" if each["restores"] is not None else ""
        when = text((age(micros(each["at"]), now), _DIM))
        rows.append([str(each["version"]), when, clean(each["by"] or ""), str(each["tasks"]), text((again, _DIM))])
    write_table(columns, rows)


def write_plan(plan: Record) -> None:
    """What a run would do."""
    write(text((clean(plan["workflow"]), "bold"), fitting(f" · version {plan['version']}  would do this:")))
    if plan["parameters"]:
        write(text(("with  ", _DIM), clean(_parameters(plan["parameters"]))), indent=2)
    write()
    write_tasks(plan["tasks"])


def write_done(record: Record, what: str, now: int) -> None:
    """A line on what was done to a workflow."""
    told = next_told(record, now)
    when = f"next {told}" if told == "now" or told.startswith("in ") else told
    name = f"{clean(record['name'])} {what}, version {record['version']}"
    write(text((f"{glyph('Completed')} ", "green"), name, (f"  {when}", _DIM)))


def _parameters(parameters: Record) -> str:
    return ", ".join(f"{name}={msgspec.json.encode(value).decode()}" for name, value in parameters.items())
