"""`penstock flows`."""

from __future__ import annotations

import inspect
from typing import Annotated, Any

import typer

from penstock.authoring.schema import parameters_schema
from penstock.cli.console import (
    Column,
    answer_in_json,
    clean,
    clean_lines,
    colour,
    glyph,
    text,
    write,
    write_json,
    write_table,
)
from penstock.cli.help import JSON, Command, Group, examples
from penstock.cli.session import complete_flow, declared_in, named_flow, reading
from penstock.cli.units import age
from penstock.core.errors import FlowNotFound
from penstock.core.events import now_us
from penstock.core.model import FlowSummary
from penstock.orchestrator.records import flow_record

app = typer.Typer(cls=Group, add_completion=False, rich_markup_mode=None)
_DIM = "bright_black"


@app.callback()
def _flows() -> None:
    """List flows, and show what parameters they take."""


@app.command(
    "list",
    cls=Command,
    epilog=examples(
        "penstock flows list  # every flow that has been run",
        "penstock flows list flow.py  # the flows of a file",
        "penstock flows list shop.flows  # of a module",
    ),
)
def list_flows(
    target: Annotated[
        str | None, typer.Argument(metavar="TARGET", help="FILE.py or MODULE; left out, the journal's flows.")
    ] = None,
    json: Annotated[bool, JSON] = False,
) -> None:
    """List the flows that have been run, or those of a file or module."""
    if json:
        answer_in_json()
    if target is not None:
        _list_declared(target, json)
        return
    with reading() as penstock:
        flows = penstock.journal.flows()
        now = now_us()
        states = {flow.flow: _last_state(penstock.journal.run(flow.last_run_id), flow, now) for flow in flows}
    if json:
        write_json({"flows": [{**flow_record(flow), "last_state": states[flow.flow]} for flow in flows]})
    elif not flows:
        write(text("No flow has been run yet. Start one: ", ("penstock run FILE.py", "cyan")))
    else:
        columns = [
            Column("flow", least=8),
            Column("runs", right=True),
            Column("last", least=0),
            Column("", right=True, leaves=1),
            Column("flow at", least=12, leaves=2),
        ]
        rows: list[list[Any]] = [
            [
                clean(flow.flow),
                f"{flow.runs:,}",
                text((f"{glyph(states[flow.flow])} {states[flow.flow]}", colour(states[flow.flow]))),
                text((age(flow.last_created_at, now), _DIM)),
                text((clean(flow.entrypoint or ""), _DIM)),
            ]
            for flow in flows
        ]
        write_table(columns, rows)


def _last_state(run: Any, flow: FlowSummary, now: int) -> str:
    return run.shown_state(now) if run is not None else flow.last_state


def _list_declared(target: str, as_json: bool) -> None:
    found = declared_in(target)
    if as_json:
        records = [
            {"name": flow.name, "variable": name, "target": f"{target}:{name}", "description": flow.description}
            for name, flow in found.items()
        ]
        write_json({"flows": records})
    elif not found:
        write(text(f"{clean(target)} declares no flow. Put ", ("@flow", "cyan"), " above a function."))
    else:
        rows: list[list[Any]] = [
            [
                text((f"{clean(target)}:{clean(name)}", "cyan")),
                clean(flow.name),
                text((clean((flow.description or "").split("\n")[0]), _DIM)),
            ]
            for name, flow in found.items()
        ]
        write_table(
            [Column("to run it", least=12), Column("flow", least=8, leaves=2), Column("", least=10, leaves=1)], rows
        )


@app.command(
    "show",
    cls=Command,
    epilog=examples(
        "penstock flows show flow.py:nightly  # description and parameters",
        "penstock flows show users-posts  # by name, of a flow that has been run",
        "penstock flows show flow.py --json | jq .parameters  # the parameters as JSON Schema",
    ),
)
def show_flow(
    target: Annotated[
        str,
        typer.Argument(
            metavar="TARGET", help="FILE.py[:FLOW], MODULE[:FLOW], or a flow's name.", autocompletion=complete_flow
        ),
    ],
    json: Annotated[bool, JSON] = False,
) -> None:
    """Show a flow: what it does, what parameters it takes (with --json as JSON Schema), and its options."""
    if json:
        answer_in_json()
    flow = _find(target)
    schema = parameters_schema(flow)
    if json:
        write_json(
            {
                "name": flow.name,
                "description": flow.description,
                "entrypoint": flow.entrypoint,
                "version": flow.version,
                "tags": sorted(flow.tags),
                "retries": flow.retries,
                "timeout_seconds": flow.timeout_seconds,
                "async": flow.isasync,
                "parameters": schema,
            }
        )
        return
    write(text((clean(flow.name), "bold")))
    description = (flow.description or "").split("\nArgs:")[0].strip()
    for line in clean_lines(description) if description else []:
        write(line, indent=2)
    write()
    _write_parameters(flow, schema)
    facts = [("flow at", flow.entrypoint), ("version", flow.version), ("tags", ", ".join(sorted(flow.tags)))]
    facts += [("retries", flow.retries or None), ("timeout", flow.timeout_seconds and f"{flow.timeout_seconds:g} s")]
    for name, value in facts:
        if value:
            write(text((f"{name:<8}  ", _DIM), clean(value)), indent=2)
    write()
    named = target if ":" in target or "." in target else flow.entrypoint
    needed = " ".join(f"-p {name}=..." for name in schema["required"])
    write(text((f"penstock run {clean(named)} {needed}", "cyan")), indent=2)


def _find(target: str) -> Any:
    """A flow by FILE:FLOW or MODULE:FLOW, or by the name it has in the journal."""
    try:
        return named_flow(target)
    except FlowNotFound:
        if ":" in target or target.endswith(".py"):
            raise
        with reading() as penstock:
            entrypoint = next((f.entrypoint for f in penstock.journal.flows() if f.flow == target), None)
        if entrypoint is None:
            raise
    return named_flow(entrypoint)


def _write_parameters(flow: Any, schema: dict[str, Any]) -> None:
    if not schema["properties"]:
        write(text(("takes no parameters", _DIM)), indent=2)
        write()
        return
    rows: list[list[Any]] = []
    for name, p in flow.signature.parameters.items():
        found = schema["properties"].get(name, {})
        kind = "" if p.annotation is p.empty else inspect.formatannotation(p.annotation).strip("'")
        default = "required" if name in schema["required"] else "" if p.default is p.empty else f"= {p.default!r}"
        style = "yellow" if default == "required" else _DIM
        rows.append(
            [
                text((clean(name), "cyan")),
                clean(kind),
                text((clean(default), style)),
                text((clean(found.get("description", "")), _DIM)),
            ]
        )
    columns = [Column("parameter"), Column("type", least=8), Column("", least=8), Column("", least=10, leaves=1)]
    write_table(columns, rows, indent=2)
    write()


command = typer.main.get_command(app)
