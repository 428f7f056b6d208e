"""`penstock deployments run`: a run of a deployment, asked for by hand."""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from penstock.authoring.parameters import validate
from penstock.cli.console import clean, fitting, glyph, write_json, write_parts
from penstock.cli.desk import at_desk
from penstock.cli.following import follow as follow_run
from penstock.cli.parameters import given_parameters, plain_parameters
from penstock.cli.plans import obstacle
from penstock.cli.session import named_flow, short
from penstock.cli.summary import advice
from penstock.cli.units import ahead, moment
from penstock.core.calendar.moments import as_seconds
from penstock.core.deployments import Deployment, of_data
from penstock.core.errors import ConfigurationError, FlowNotFound, ParameterError
from penstock.core.events import now_us
from penstock.core.model import Run
from penstock.core.ports.reading import Reading
from penstock.orchestrator.deployments import find_deployment
from penstock.orchestrator.records import run_record

_DIM = "bright_black"


class Asked(NamedTuple):
    """What was asked for."""

    deployment: str
    param: Sequence[str]
    params_file: Path | None
    at: str | None
    key: str | None
    tags: Sequence[str]
    run_name: str | None


def run(asked: Asked, *, follow: bool, wait: bool, as_json: bool) -> int:
    """Make the run, and follow it if that is wanted; returns the exit code."""
    began = now_us()
    with at_desk(writing=True) as desk:
        deployment = of_data(find_deployment(desk.journal, asked.deployment).spec)
        due = _instant(asked.at, began) if asked.at is not None else None
        given = asked.param, asked.params_file
        parameters = plain_parameters(*given) if desk.remote else _parameters(deployment, *given)
        made = desk.deployments.trigger(
            asked.deployment, parameters, at=due, key=asked.key, tags=asked.tags, run_name=asked.run_name
        )
        known = asked.key is not None and made.created_at < began
        if as_json and not (follow or wait):
            write_json({"run": run_record(made, now_us()), "new": not known})
            return 0
        if not as_json and not wait:
            tell(desk.journal, made, known, advise=not follow)
        return follow_run(desk, made, lines=follow, as_json=as_json) if follow or wait else 0


def _instant(text: str, now: int) -> int:
    """`2026-01-31T06:00` in the time of this machine (or with an offset), or `in 15m`."""
    stripped = text.strip()
    try:
        if stripped.lower().startswith(("in ", "+")):
            return now + int(as_seconds(stripped.removeprefix("+").removeprefix("in ").strip()) * 1_000_000)
        return int(datetime.datetime.fromisoformat(stripped).astimezone().timestamp() * 1_000_000)
    except (ValueError, OverflowError, OSError):
        raise ConfigurationError(
            f"--at {text!r} is no time.", hint='give an ISO time, such as 2026-01-31T06:00, or "in 15m"'
        ) from None


def _parameters(deployment: Deployment, given: Sequence[str], file: Path | None) -> dict[str, Any]:
    """What was given, read and checked by the flow's annotations; as it stands where the flow is not to be had here."""
    try:
        flow = named_flow(deployment.entrypoint)
    except FlowNotFound:
        return plain_parameters(given, file)
    found = given_parameters(flow, given, file)
    _check(flow, {**deployment.parameters, **found})
    return found


def _check(flow: Any, parameters: Mapping[str, Any]) -> None:
    """Together with those of the deployment they must be all that the flow needs."""
    kinds = {p.name: p for p in flow.signature.parameters.values()}
    missing = [
        (name, "missing")
        for name, p in kinds.items()
        if p.default is p.empty and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD) and name not in parameters
    ]
    if missing:
        error = ParameterError(f"flow {flow.name!r}", missing)
        error.hint = "give it with --param NAME=VALUE"
        raise error
    if flow.should_validate_parameters:
        variadic = {name for name, p in kinds.items() if p.kind in (p.VAR_POSITIONAL, p.VAR_KEYWORD)}
        known = {name: value for name, value in parameters.items() if name in kinds and name not in variadic}
        validate(f"flow {flow.name!r}", flow.fn, known)


def tell(journal: Reading, run: Run, known: bool, *, advise: bool) -> None:
    """Say that a run was made, or was there already."""
    now = now_us()
    name = f"{clean(run.deployment)} · {clean(run.name)}"
    if known:
        write_parts(
            [[(fitting(f"{glyph(run.state)} {name}  has the key already ({run.state.lower()})  {run.id}"), "")]]
        )
    else:
        due = run.due_at if run.due_at is not None and run.due_at > now else None
        when = f"due {ahead(due, now)} ({moment(due)})" if due is not None else "due now"
        write_parts([[(fitting(f"{glyph('Scheduled')} {name}  {when}, run {run.id}"), "")]])
    if not advise:
        return
    trouble = obstacle(journal, run.pool, run.queue or "", now) if run.pool is not None and not run.ended else None
    if trouble is not None:
        write_parts([[], [(trouble[0], "")], *advice([(trouble[1], "")])])
    ways = [(f"penstock runs logs {short(run.id)} --follow", "what it says, until it ends")]
    ways += [] if run.ended else [(f"penstock runs cancel {short(run.id)}", "stop it")]
    write_parts([[], *advice(ways)])
