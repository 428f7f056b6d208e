"""Deployments as the command line names them: declared in pyproject.toml, or a flow with options."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import typer

from penstock.app import chosen_profile
from penstock.cli.parameters import given_parameters
from penstock.cli.session import named_flow, profile_parameters, profile_tags
from penstock.core.deployments import Deployment
from penstock.core.errors import ConfigurationError, ParameterError, PenstockError
from penstock.orchestrator.declaring import declared_in_project, declared_names, deployment_of, project_file

EXAMPLE = '[tool.penstock.deployments.nightly]\nflow = "flow.py:FLOW"\ncron = "0 2 * * *"'


def _complete(incomplete: str) -> list[tuple[str, str]]:
    """What pyproject.toml declares, for the shell's completion; no flow is imported for it."""
    with suppress(PenstockError, OSError):
        file = project_file(Path.cwd())
        names = declared_names(file) if file is not None else []
        return [(name, "") for name in names if name.isprintable() and not set(name) & set(" '\"\\$`&|;<>()*?[]{}!")]
    return []


TARGETS = typer.Argument(
    metavar="[NAME|TARGET]...",
    help="Deployments that pyproject.toml declares, or one flow: FILE.py[:FLOW] or MODULE:FLOW. Left out: all of them.",
    autocompletion=_complete,
    show_default=False,
)
NAME = typer.Option(metavar="NAME", help="Of the deployment of a flow; the flow's name otherwise.")
CRON = typer.Option(metavar="EXPR", help='When it runs: "0 2 * * *", @daily; may be repeated.')
INTERVAL = typer.Option(metavar="LENGTH", help="When it runs: every 90s, 15m, 6h; a number is seconds.")
ZONE = typer.Option("--tz", metavar="ZONE", help="The time zone of its schedule, such as Europe/Paris; UTC otherwise.")
PARAM = typer.Option("--param", "-p", metavar="NAME=VALUE", help="A parameter of its runs; may be repeated.")
PARAMS_FILE = typer.Option(metavar="FILE", help="Parameters from a .json, .toml or .yaml file; --param wins.")


class OfOne(NamedTuple):
    """What is given on the command line for a deployment of one flow.

    Attributes:
        options: as `flow.to_deployment` takes them; None for what is not given.
        param, params_file: its parameters, as texts and in a file.
    """

    name: str | None
    options: dict[str, Any]
    param: Sequence[str]
    params_file: Path | None

    def given(self) -> list[str]:
        """The options that were given, as they are typed."""
        names = {"timezone": "tz", "tags": "tag"}
        told = [f"--{names.get(name, name)}" for name, value in self.options.items() if value not in (None, [], False)]
        extra = [("--name", self.name), ("--param", self.param), ("--params-file", self.params_file)]
        return [name for name, value in extra if value] + told


def declared(targets: Sequence[str], one: OfOne) -> tuple[list[Deployment], Path | None]:
    """The deployments that are meant, and the file that declares them (None for a flow that is named itself).

    Raises:
        ConfigurationError: there is no such file, or a mistake in it; the command line contradicts itself.
        PenstockError: a flow cannot be found, a schedule or parameters cannot be.
    """
    file = project_file(Path.cwd())
    flows = [target for target in targets if _is_flow(target)]
    if len(targets) == 1 and flows:
        return _tagged([_of_flow(targets[0], one)]), None
    if one.given():
        raise ConfigurationError(
            f"{', '.join(one.given())} can be given only for one flow.",
            hint="name it as FILE.py:FLOW; what pyproject.toml declares has its options there",
        )
    names = [target for target in targets if not _is_flow(target)]
    found = _of_project(file, names) if names or not targets else []
    return _tagged([*found, *(_of_flow(target, one) for target in flows)]), file if not flows else None


def _tagged(found: list[Deployment]) -> list[Deployment]:
    """With the profile that they are declared with, so that their runs can be resumed by hand with it."""
    names = profile_tags()
    return [msgspec.structs.replace(each, tags=tuple(sorted({*each.tags, *names}))) for each in found]


def _is_flow(target: str) -> bool:
    return ":" in target or target.endswith(".py")


def _of_flow(target: str, one: OfOne) -> Deployment:
    flow = named_flow(target)
    interval = one.options.get("interval")
    if isinstance(interval, str) and interval.strip().replace(".", "", 1).isdigit():
        one.options["interval"] = float(interval)
    parameters = given_parameters(flow, one.param, one.params_file, profile_parameters(flow.name))
    try:
        made: Deployment = deployment_of(flow, one.name, {**one.options, "parameters": parameters})
    except ParameterError as error:
        error.hint = "what runs by itself needs all its parameters: --param NAME=VALUE"
        raise
    return made


def _of_project(file: Path | None, names: Sequence[str]) -> list[Deployment]:
    if file is None:
        raise ConfigurationError(
            "There is no pyproject.toml here or above.",
            hint=f"name a flow, as FILE.py:FLOW, or write one with a table for each deployment:\n{EXAMPLE}",
        )
    profile = chosen_profile()
    found = declared_in_project(file, names, profile.parameters if profile is not None else None)
    if not found:
        raise ConfigurationError(f"{file} declares no deployments.", hint=f"add a table for each:\n{EXAMPLE}")
    return list(found.values())
