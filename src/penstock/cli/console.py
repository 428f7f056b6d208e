"""What the command line writes with: one palette, tables, JSON, and text from outside made harmless.

rich is imported when something is written for people, and not before: a command that answers in JSON or in plain
lines starts without it.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, TextIO

from penstock.core.words import counted as counted

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

COLOURS = {
    "Completed": "green",
    "Failed": "red",
    "Crashed": "red",
    "Cancelled": "yellow",
    "Running": "cyan",
    "Retrying": "yellow",
    "Paused": "magenta",
    "Pending": "bright_black",
    "Scheduled": "bright_black",
}
_GLYPHS = {
    "Completed": "✓",
    "Failed": "✗",
    "Crashed": "✗",
    "Cancelled": "■",
    "Running": "●",
    "Retrying": "↻",
    "Paused": "‖",
    "Pending": "○",
    "Scheduled": "○",
}
_ASCII = {
    "✓": "+", "✗": "x", "■": "-", "●": "*", "↻": "~", "‖": "=", "○": ".", "…": "...", "·": "-", "—": "-",
    "├": "|", "└": "`", "│": "|", "━": "#", "─": "-", "→": "->",
}  # fmt: skip
_UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
_SHORT = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}


def clean(text: object) -> str:
    """One line of text that a terminal shows as it is: control and direction characters are spelled out."""
    return _UNSAFE.sub(_spelled, str(text))


def _spelled(found: re.Match[str]) -> str:
    character = found[0]
    code = ord(character)
    return _SHORT.get(character) or (f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}")


def clean_lines(text: object) -> list[str]:
    """The lines of a text, each made harmless."""
    return [clean(line.removesuffix("\r").expandtabs(4)) for line in str(text).split("\n")]


_plain_signs: list[bool] = []


def prepare_streams() -> None:
    """Let no character that the terminal cannot show end the command, and note whether it can show our signs."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")
        if not (getattr(stream, "encoding", None) or "ascii").lower().startswith("utf"):
            _plain_signs.append(True)


def fitting(text: str) -> str:
    """Our own signs, or plain ones where stdout or stderr cannot show them."""
    if not _plain_signs:
        return text
    return "".join(_ASCII.get(character, character) for character in text)


def glyph(state: str) -> str:
    """The sign of a state."""
    return fitting(_GLYPHS.get(state, "·"))


def colour(state: str) -> str:
    """The colour of a state."""
    return COLOURS.get(state, "default")


_consoles: dict[bool, Console] = {}


def console(stderr: bool = False) -> Console:
    """The terminal (or file) people read."""
    if stderr not in _consoles:
        from rich.console import Console

        made = Console(stderr=stderr, highlight=False, markup=False, emoji=False)
        if not made.is_terminal:
            made.width = 100
        _consoles[stderr] = made
    return _consoles[stderr]


def width() -> int:
    """Columns to write in; where nobody looks, lines are as long as they need to be."""
    return console().width if sys.stdout.isatty() else 100_000


def text(*parts: str | tuple[str, str] | Text) -> Text:
    """A rich Text of plain and (text, style) parts. Nothing in it is read as markup."""
    from rich.text import Text

    made = Text()
    for part in parts:
        if isinstance(part, tuple):
            made.append(*part)
        else:
            made.append(part)
    return made


def write(line: Text | str = "", *, wrap: bool = False, indent: int = 0) -> None:
    """Write to stdout: one line whole, or wrapped between words."""
    out = console()
    made = text(line)
    lines = made.wrap(out, max(out.width - indent, 10)) if wrap else [made]
    for part in lines:
        part.rstrip()
        out.print(text(" " * indent, part) if indent else part, soft_wrap=True)


Parts = list[tuple[str, str]]
"""A line as (text, style) parts."""


def write_parts(lines: Sequence[Parts]) -> None:
    """Write lines to stdout, in colours where it is a terminal; rich is not needed where it is none."""
    if sys.stdout.isatty():
        for line in lines:
            write(text(*line))
        return
    for line in lines:
        print("".join(part for part, _ in line).rstrip())


_answers: list[TextIO] = []


def answer_in_json() -> None:
    """From now on stdout is for JSON alone: what flows and their libraries print goes to stderr."""
    if _answers:
        return
    sys.stdout.flush()
    try:
        _answers.append(os.fdopen(os.dup(1), "w", encoding="utf-8"))
        os.dup2(2, 1)
    except OSError:
        _answers.append(sys.stdout)


def write_json(value: Any) -> None:
    """Write one JSON document to stdout."""
    import msgspec

    data = msgspec.json.format(msgspec.json.encode(value), indent=2)
    out = _answers[0] if _answers else sys.stdout
    out.write(data.decode() + "\n")
    out.flush()


def write_json_line(value: Any) -> None:
    """Write one line of JSON Lines to stdout."""
    import msgspec

    out = _answers[0] if _answers else sys.stdout
    out.write(msgspec.json.encode(value).decode() + "\n")
    if _answers:
        out.flush()


class Column(NamedTuple):
    """A column of a table.

    Attributes:
        right: align to the right.
        least: what may be cut, is cut to so many characters at least; 0 for never cut.
        leaves: where there is no room the columns with the highest number are left out first; 0 stays.
    """

    title: str
    right: bool = False
    least: int = 0
    leaves: int = 0


def write_table(columns: Sequence[Column], rows: Sequence[Sequence[Text | str]], *, indent: int = 0) -> None:
    """Write aligned columns that fit the terminal."""
    cells = [[cell if not isinstance(cell, str) else text(cell) for cell in row] for row in rows]
    sizes = [
        max([len(column.title), *(row[i].cell_len for row in cells)]) if cells else len(column.title)
        for i, column in enumerate(columns)
    ]
    shown = _fit(columns, sizes, width() - indent)
    if any(column.title for column in columns):
        titles = [text((column.title, "bright_black")) for column in columns]
        write(_row(columns, titles, sizes, shown, indent))
    for row in cells:
        write(_row(columns, row, sizes, shown, indent))


def _fit(columns: Sequence[Column], sizes: list[int], room: int) -> list[int]:
    """Shrink `sizes` in place; the indices of the columns that stay."""
    shown = list(range(len(columns)))

    def excess() -> int:
        return sum(sizes[i] for i in shown) + 2 * (len(shown) - 1) - room

    while excess() > 0:
        cuttable = [i for i in shown if columns[i].least and sizes[i] > columns[i].least]
        if cuttable:
            widest = max(cuttable, key=lambda i: sizes[i] - columns[i].least)
            others = [sizes[i] for i in cuttable if i != widest]
            floor = max([columns[widest].least, *(size for size in others if size < sizes[widest])])
            sizes[widest] -= min(excess(), max(1, sizes[widest] - floor))
            continue
        leaving = [i for i in shown if columns[i].leaves]
        if not leaving:
            break
        shown.remove(max(leaving, key=lambda i: columns[i].leaves))
    return shown


def _row(columns: Sequence[Column], row: Sequence[Text], sizes: list[int], shown: list[int], indent: int) -> Text:
    made = text(" " * indent)
    for place, i in enumerate(shown):
        cell = row[i].copy()
        cell.truncate(sizes[i], overflow="ellipsis")
        gap = " " * (sizes[i] - cell.cell_len)
        made.append("  " if place else "")
        made.append_text(text(gap, cell) if columns[i].right else text(cell, gap))
    return made


def say(line: str = "", *, style: str = "") -> None:
    """Write a line to stderr, for people."""
    if sys.stderr.isatty():
        console(stderr=True).print(text((line, style)))
    else:
        print(fitting(line), file=sys.stderr)


def say_error(message: str, hint: str | None = None) -> None:
    """Say on stderr what is wrong and what to do about it."""
    lines = clean_lines(message)
    if not sys.stderr.isatty():
        print("\n".join([f"Error: {lines[0]}", *lines[1:]]), file=sys.stderr)
        if hint:
            print("\n".join(["Hint: " + clean_lines(hint)[0], *clean_lines(hint)[1:]]), file=sys.stderr)
        return
    out = console(stderr=True)
    out.print(text(("Error  ", "bold red"), "\n       ".join(lines)))
    if hint:
        out.print(text(("Hint   ", "cyan"), "\n       ".join(clean_lines(hint))))
