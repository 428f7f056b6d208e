"""Code blocks of a Markdown page, and what is said about them.

A block is fenced with three backticks. What happens to it depends on its language and on the comments before it:

    ```python                    executed, in one namespace for the page
    ```python title="shop.py"    written to that file, and imported once
    ```console                   each `$ command` is executed; the other lines are its output
    ```sql                       queried from the journal of the page
    ```text                      the output of the python or sql block right before it
    ```toml title="..."          written to that file

    <!-- expect-error: ParameterError -->    the next block must raise this; a text block shows its message
    <!-- exit: 1 -->                         the last command of the next block ends with this code
    <!-- no-run: why -->                     the next block is only shown
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

_FENCE = re.compile(r"^(?P<indent> *)(?P<ticks>```+)(?P<language>[a-z]*) *(?P<rest>.*)$")
_TITLE = re.compile(r'title="([^"]+)"')
_DIRECTIVE = re.compile(r"^ *<!-- *(?P<name>expect-error|exit|no-run) *: *(?P<value>.+?) *-->$")


@dataclass
class Block:
    """One fenced block.

    Attributes:
        language: such as python; empty where none is given.
        source: its text, without its indentation.
        line: of its first line of text, in the page.
        title: a file name.
        directives: what the comments before it say.
        output: the text block that follows it.
    """

    language: str
    source: str
    line: int
    title: str = ""
    directives: dict[str, str] = field(default_factory=dict)
    output: str | None = None


def blocks_of(page: Path) -> list[Block]:
    """Every fenced block of a page, in order; output blocks are part of what they are the output of."""
    found: list[Block] = []
    for block, adjacent in _fenced(page.read_text(encoding="utf-8").splitlines()):
        if block.language == "text" and adjacent and found and found[-1].language in ("python", "sql"):
            found[-1].output = block.source
        else:
            found.append(block)
    return found


def _fenced(lines: list[str]) -> Iterator[tuple[Block, bool]]:
    """Each block, and whether there is nothing between it and the one before."""
    directives: dict[str, str] = {}
    adjacent = False
    index = 0
    while index < len(lines):
        line = lines[index]
        index += 1
        if directive := _DIRECTIVE.match(line):
            directives[directive["name"]] = directive["value"]
            adjacent = False
        elif fence := _FENCE.match(line):
            start = index
            while index < len(lines) and lines[index].strip() != fence["ticks"]:
                index += 1
            source = "\n".join(text[len(fence["indent"]) :] for text in lines[start:index])
            index += 1
            title = _TITLE.search(fence["rest"])
            yield Block(fence["language"], source, start + 1, title[1] if title else "", directives), adjacent
            directives, adjacent = {}, True
        elif line.strip():
            directives, adjacent = {}, False


@dataclass
class Command:
    """One line of a console block, and the output shown under it."""

    text: str
    output: str
    line: int
    code: int = 0


def commands_of(block: Block) -> list[Command]:
    """The commands of a console block."""
    found: list[Command] = []
    lines = block.source.split("\n")
    index = 0
    while index < len(lines):
        line, at = lines[index], block.line + index
        index += 1
        if line.startswith("$ "):
            text = line[2:]
            while text.endswith("\\") and index < len(lines):
                text = text[:-1] + lines[index].removeprefix("> ").strip()
                index += 1
            found.append(Command(text, "", at))
        elif found:
            found[-1].output += line + "\n"
    if found and "exit" in block.directives:
        found[-1].code = int(block.directives["exit"])
    return found
