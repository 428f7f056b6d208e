"""Help pages that teach by example: what it does, how it is used, examples, then every option.

A command's examples are its epilog: one a line, `command  # what it does`.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import typer
from typer.core import TyperArgument, TyperCommand, TyperGroup

from penstock.cli.console import console, text, write

JSON = typer.Option("--json", help="Answer in JSON on stdout, and nothing else there.", show_default=False)

QUIET = typer.Option("--quiet", "-q", help="Show only how it ended.")
PLAIN = typer.Option("--plain", help="Show lines instead of the live tree, such as for a debugger.")


def examples(*lines: str) -> str:
    """An epilog of examples."""
    return "\n".join(lines)


def _converted(param: Any, process: Any, ctx: Any, value: Any) -> Any:
    """What typer's `process_value` gives, without pydantic, whose import takes longer than most commands.

    What is missing or wrong is left to typer, which says so.
    """
    kind = param.type_descriptor.annotation
    if value is None or value in ((), []):
        if param.required:
            return process(ctx, value)
        return param.callback(ctx, param, value) if param.callback is not None else value
    if kind is Path and isinstance(value, str):
        return Path(value)
    if kind in (int, float) and isinstance(value, str) and _is_good(value, kind, param.min, param.max):
        return kind(value)
    if kind is str or kind == list[str] or (kind is not bool and not isinstance(value, str)):
        return value
    return process(ctx, value)


def _is_good(value: str, kind: type[int] | type[float], least: float | None, most: float | None) -> bool:
    try:
        number = kind(value)
    except ValueError:
        return False
    return (least is None or number >= least) and (most is None or number <= most)


def _convert_quickly(command: TyperCommand | TyperGroup, ctx: Any) -> None:
    for param in command.get_params(ctx):
        if hasattr(param, "type_descriptor") and "process_value" not in vars(param):
            param.process_value = partial(_converted, param, param.process_value)  # type: ignore[method-assign]


class Command(TyperCommand):
    """A command whose help is written our way."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read the command line."""
        _convert_quickly(self, ctx)
        return super().parse_args(ctx, args)

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the help to stdout."""
        write_help(self, ctx)


class Group(TyperGroup):
    """A group of commands; alone on the command line it shows its help."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the help to stdout."""
        write_help(self, ctx)

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Show the help where nothing is asked."""
        if not args and not ctx.resilient_parsing:
            write_help(self, ctx)
            write()
            raise typer.Exit(0)
        _convert_quickly(self, ctx)
        return super().parse_args(ctx, args)


def write_help(command: TyperCommand | TyperGroup, ctx: Any) -> None:
    """The help page of one command or group."""
    summary, _, rest = (command.help or "").partition("\n\n")
    write()
    write(text((" ".join(summary.split()), "bold")), wrap=True, indent=1)
    write()
    named = [param for param in command.get_params(ctx) if isinstance(param, TyperArgument)]
    pieces = [_placeholder(param) if param.required else f"[{_placeholder(param)}]" for param in named]
    if isinstance(command, TyperGroup):
        pieces.append("COMMAND ...")
    usage = " ".join([ctx.command_path, "[OPTIONS]", *pieces])
    write(text(("Usage  ", "bright_black"), usage), indent=1)
    if rest:
        write()
        for paragraph in rest.split("\n\n"):
            write(paragraph if paragraph.startswith("  ") else " ".join(paragraph.split()), wrap=True, indent=1)
    if command.epilog:
        _section("Examples")
        rows = [line.partition("  # ")[::2] for line in command.epilog.splitlines()]
        _definitions([(example.strip(), note.strip()) for example, note in rows])
    if isinstance(command, TyperGroup):
        _section("Commands")
        names = [(name, command.get_command(ctx, name)) for name in command.list_commands(ctx)]
        _definitions([(name, found.get_short_help_str(200)) for name, found in names if found])
    shown = [param for param in command.get_params(ctx) if not getattr(param, "hidden", False)]
    arguments = [(_placeholder(param), param.help or "") for param in shown if isinstance(param, TyperArgument)]
    if arguments:
        _section("Arguments")
        _definitions(arguments)
    _section("Options")
    _definitions([_option(param, ctx) for param in shown if not isinstance(param, TyperArgument)])


def _placeholder(argument: TyperArgument) -> str:
    return argument.metavar or argument.name or ""


def _section(title: str) -> None:
    write()
    write(text((title, "bright_black")), indent=1)


def _option(param: Any, ctx: Any) -> tuple[str, str]:
    names = ", ".join([*sorted(param.opts, key=len), *param.secondary_opts])
    if param.metavar and not param.is_flag:
        names += f" {param.metavar}"
    told = " ".join((param.help or "").split())
    default = param.get_default(ctx, call=False)
    if param.show_default and default not in (None, False, "", [], ()):
        told += f" [{default}]"
    return names, told


def _definitions(rows: list[tuple[str, str]]) -> None:
    """Terms and what they are; side by side where there is room, one below the other where there is not."""
    out = console()
    longest = max(len(term) for term, _ in rows)
    beside = out.width >= longest + 30
    for term, told in rows:
        line = text((term, "cyan"))
        if not told:
            write(line, indent=3)
        elif beside:
            first, *more = text(told).wrap(out, out.width - longest - 5)
            write(text(line, " " * (longest + 2 - len(term)), first), indent=3)
            for part in more:
                write(part, indent=longest + 5)
        else:
            write(line, indent=3)
            write(told, wrap=True, indent=7)
