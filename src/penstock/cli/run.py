"""`penstock run`."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Annotated, Any

import typer

from penstock.cli.console import answer_in_json
from penstock.cli.execution import execute
from penstock.cli.help import JSON, PLAIN, QUIET, Command, examples
from penstock.cli.parameters import arguments_for
from penstock.cli.session import executing, named_flow, profile_parameters, profile_tags
from penstock.core.context import tags

app = typer.Typer(add_completion=False, rich_markup_mode=None)

PARAM = typer.Option(
    "--param",
    "-p",
    metavar="NAME=VALUE",
    help="A parameter, read as the flow's annotation asks: text for str, JSON for lists and objects.",
)


@app.command(
    cls=Command,
    epilog=examples(
        "penstock run flow.py  # the only flow of a file",
        "penstock run flow.py:nightly -p day=2026-01-31  # one of several, with a parameter",
        "penstock run shop.flows:nightly --params-file nightly.toml  # of a module",
        'penstock run flow.py -p \'cities=["Oslo", "Rome"]\' --tag trial  # a list; a tag to find it by',
        "penstock run flow.py --profile services  # with the settings and parameters of a profile",
        "penstock run flow.py --json | jq .run.state  # for scripts",
    ),
)
def run(
    target: Annotated[str, typer.Argument(metavar="TARGET", help="FILE.py[:FLOW] or MODULE[:FLOW].")],
    param: Annotated[list[str] | None, PARAM] = None,
    params_file: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Parameters from a .json, .toml or .yaml file; --param wins.")
    ] = None,
    name: Annotated[str | None, typer.Option(metavar="NAME", help="Name the run; two words otherwise.")] = None,
    tag: Annotated[
        list[str] | None, typer.Option(metavar="TAG", help="Tag the run and its steps; may be repeated.")
    ] = None,
    quiet: Annotated[bool, QUIET] = False,
    plain: Annotated[bool, PLAIN] = False,
    json: Annotated[bool, JSON] = False,
) -> int:
    """Run a flow in this process, durably, with live progress.

    Ctrl-C ends the run in order; whatever ends it, `penstock runs resume` goes on from the last recorded step.

    Exit codes: 0 completed, 1 failed or crashed, 2 a mistake (nothing was run), 3 cancelled, 130 Ctrl-C, 143 SIGTERM.
    """
    if json:
        answer_in_json()
    with executing() as penstock:
        flow = named_flow(target)
        arguments = arguments_for(flow, param or (), params_file, profile_parameters(flow.name))
        if name is not None:
            flow = flow.with_options(flow_run_name=_Fixed(name))

        def start() -> Any:
            return penstock.engine.call_flow(flow, arguments.args, arguments.kwargs, None, True)

        labels = [*(tag or ()), *profile_tags()]
        with tags(*labels) if labels else contextlib.nullcontext():
            return execute(penstock, start, quiet=quiet, plain=plain, as_json=json)


class _Fixed:
    """A name that is no template."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __call__(self) -> str:
        return self._name


command = typer.main.get_command(app)
