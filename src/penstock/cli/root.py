"""`penstock` itself: finds the command that is asked for, and imports that one only."""

from __future__ import annotations

import importlib
import os
import sys
import traceback
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from penstock.cli.anywhere import into_environment
from penstock.cli.console import clean_lines, prepare_streams, say, say_error, write_json
from penstock.cli.help import Group, examples
from penstock.cli.servers import meant_for_server
from penstock.core.errors import PenstockError

USAGE = 2
"""Exit code for a mistake in the command, its parameters or the setup."""
PROFILE = "PENSTOCK_PROFILE"

_COMMANDS = {
    "run": "Run a flow in this process, durably, with live progress.",
    "runs": "List, show, pause, resume, fork, cancel and delete runs, and read their logs.",
    "flows": "List flows, and show what parameters they take.",
    "deploy": "Deploy flows: from then on their schedules make runs.",
    "serve": "Deploy flows, and execute their runs from here.",
    "deployments": "List, show, run, pause, resume and delete deployments.",
    "workflows": "Make workflows, which are flows given as data; list, change, run and delete them.",
    "import": "Take over flows that were written for another orchestrator.",
    "engines": "List the engines that runs can be executed by, and what each can do.",
    "schedule": "See when a schedule is due.",
    "backfill": "Run a flow for many partitions, a few at a time.",
    "server": "Serve the API, make the runs of schedules and execute them, all in one.",
    "users": "Say who may sign in to the server, and what they may do.",
    "keys": "API keys for programs: create, list, revoke and rotate them.",
    "login": "Sign in to a server, for the commands that are meant for it.",
    "logout": "Sign out of a server again.",
    "audit": "See who did what to what, and whether the record of it is sound.",
    "worker": "Execute the runs of a pool; list the workers there are.",
    "pools": "Say how many runs of a pool may be executed at once, and which come first.",
    "limits": "Say how much may happen at once, or in a second, over all runs.",
    "connection": "Save where outside systems are and how to get in, encrypted; list, test and delete it.",
    "profile": "List and show profiles: the same project with other settings.",
    "cache": "List and invalidate the results that runs keep for other runs.",
    "ingest": "Bring data from a source into a sink; each record lands once.",
    "dataset": "List datasets and look at them; see how they became what they are.",
    "sql": "Ask the warehouse, or the tables of a lake, in SQL.",
    "automations": "Do something when something happens, or does not happen for too long.",
    "alerts": "See what people were told, try it again, and keep things quiet for a while.",
    "events": "See what happens: the events of the journal, as they are recorded.",
    "webhook": "Let others tell what has happened: verified, made into events, kept before acknowledged.",
    "artifacts": "List and show what runs left to look at.",
    "init": "Make a new project with a flow that runs at once.",
    "doctor": "Check the setup: what is installed, what is missing, and whether the journal is sound.",
    "quality": "Check data against rules, and tell what does not follow them.",
    "logs": "Read log files far larger than memory, and say what is in them.",
    "db": "Look after the journal: upgrade, status, purge, vacuum.",
    "version": "Show the versions of Penstock, Python and SQLite.",
}

_MODULES = {"import": "porting"}
"""Commands that cannot be the name of a module."""


def command_of(name: str) -> Any:
    """A command, or a group of them, by its name."""
    return importlib.import_module(f"penstock.cli.{_MODULES.get(name, name)}").command


class Root(Group):
    """Lists every command, and imports the one that is called."""

    def list_commands(self, ctx: Any) -> list[str]:
        """In the order they are mostly met."""
        return list(_COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """What is shown of a command in a list: its name and a line of help."""
        told = _COMMANDS.get(cmd_name)
        return TyperCommand(cmd_name, help=told) if told else None

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The command itself, for calling or completing it."""
        self.commands = {name: self.get_command(ctx, name) for name in _COMMANDS}
        name, stub, rest = super().resolve_command(ctx, args)
        if stub is None or name is None:
            return name, stub, rest
        return name, command_of(name), rest


app = typer.Typer(cls=Root, rich_markup_mode=None, pretty_exceptions_enable=False)


def _show_version(wanted: bool) -> None:
    if wanted:
        from penstock.core.release import VERSION

        print(VERSION)
        raise typer.Exit(0)


@app.callback(
    epilog=examples(
        "penstock init shop  # make a project",
        "penstock run flow.py --param day=2026-01-31  # run a flow",
        "penstock run flow.py --profile services  # with other settings",
        "penstock runs list --state failed  # what went wrong",
        "penstock runs resume last  # go on where it stopped",
        "penstock --server http://127.0.0.1:4300 runs list  # of a server",
    )
)
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit.")
    ] = False,
    profile: Annotated[
        str | None,
        typer.Option("--profile", metavar="NAME", help="Use the settings of this profile; may stand anywhere."),
    ] = None,
    server: Annotated[
        str | None,
        typer.Option("--server", metavar="URL", help="Ask this server, not the journal at hand; may stand anywhere."),
    ] = None,
    debug: Annotated[
        bool, typer.Option("--debug", help="Show Python tracebacks of errors; may stand anywhere.")
    ] = False,
) -> None:
    """From raw data to a served model in one Python project: plain functions, run durably.

    Exit codes:

      0    done; a run completed
      1    the run failed or crashed, `doctor` found something wrong, or data breaks its rules
      2    a mistake in the command, its parameters or the setup; nothing was run
      3    the run was cancelled
      130  stopped by Ctrl-C
      143  stopped by SIGTERM
    """


def call(arguments: list[str]) -> int:
    """Execute a command line and give its exit code. A mistake is told in a few lines, not in a traceback."""
    prepare_streams()
    debug, arguments = _without_debug(arguments)
    as_json = "--json" in arguments
    try:
        arguments = meant_for_server(_in_profile(arguments))
        answer = typer.main.get_command(app).main(arguments, prog_name="penstock", standalone_mode=False)
        return answer if isinstance(answer, int) else 0
    except PenstockError as error:
        _tell(error.message, error.hint, error.code, as_json)
        if debug:
            _trace()
        return USAGE
    except (typer.Abort, EOFError):
        say("Nothing was done.")
        return USAGE
    except Exception as error:
        told = getattr(error, "format_message", None)
        if told is not None:  # what typer finds wrong with the command line; its class moved between releases
            context: Any = getattr(error, "ctx", None)
            _tell(told(), f"{context.command_path if context is not None else 'penstock'} --help", "usage", as_json)
            return USAGE
        _trace()
        say_error("Penstock itself failed, which is a mistake in Penstock.", "please report it, with the lines above")
        return 1


def _without_debug(arguments: list[str]) -> tuple[bool, list[str]]:
    """`--debug` may stand anywhere before a `--`."""
    end = arguments.index("--") if "--" in arguments else len(arguments)
    before = [argument for argument in arguments[:end] if argument != "--debug"]
    return len(before) < end, before + arguments[end:]


def _in_profile(arguments: list[str]) -> list[str]:
    """`--profile NAME` may stand anywhere before a `--`; from here on, it is as if PENSTOCK_PROFILE named it."""
    kept, rest = into_environment(arguments, "--profile", PROFILE, "penstock profile list shows them")
    if os.environ.get(PROFILE):
        from penstock.app import load_settings

        load_settings()  # its variables are set before anything looks at them
    return kept + rest


def _tell(message: str, hint: str | None, code: str, as_json: bool) -> None:
    if as_json:
        write_json({"error": {"code": code, "message": message, "hint": hint}})
    say_error(message, hint)


def _trace() -> None:
    for line in clean_lines(traceback.format_exc().rstrip()):
        print(line, file=sys.stderr)
