"""What lives at the bottom of the terminal: drawn again and again, while all else that is written goes above it."""

from __future__ import annotations

import codecs
import math
import os
import re
import select
import sys
import threading
import time
from abc import ABC, abstractmethod
from collections import deque
from typing import TYPE_CHECKING

from rich.ansi import AnsiDecoder
from rich.console import Console, ConsoleDimensions

from penstock.cli.console import clean, clean_lines, console, text
from penstock.cli.display import Said
from penstock.cli.progress import Progress
from penstock.cli.tree import Tree
from penstock.cli.units import clock
from penstock.core.events import now_us

if TYPE_CHECKING:
    from rich.text import Text

_TICK_SECONDS = 0.1
_MOST_SAID = 300
_MOST_PRINTED = 20_000
_BUT_COLOURS = re.compile("[\x00-\x08\x0a-\x0c\x0e-\x1a\x1c-\x1f\x7f-\x9f]")
LEVEL_COLOURS = {"DEBUG": "bright_black", "INFO": "default", "WARNING": "yellow", "ERROR": "red", "CRITICAL": "red"}


def can_be_drawn_on() -> bool:
    """True for a terminal that understands cursor movements."""
    return not console().is_dumb_terminal


class Output:
    """What this process and its children write to stdout and stderr while the tree is drawn.

    Both are led through a pipe, not only Python's own streams, so that a library in C or a child process cannot write
    into the tree. `terminal` is where they went before.
    """

    def __init__(self) -> None:
        self.lines: deque[str] = deque()
        self.terminal = -1
        self._saved: tuple[int, int] = (-1, -1)
        self._bounded = True
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._read, name="penstock-output", daemon=True)
        self._source = -1

    def start(self) -> None:
        """Begin."""
        _flush()
        self._saved = os.dup(1), os.dup(2)
        self.terminal = self._saved[0]
        self._source, target = os.pipe()
        os.dup2(target, 1)
        if os.isatty(self._saved[1]):
            os.dup2(target, 2)
        os.close(target)
        self._thread.start()

    def stop(self) -> None:
        """Let both go where they went; what is still in the pipe is read first."""
        self._bounded = False
        _flush()
        for saved, number in zip(self._saved, (1, 2), strict=True):
            os.dup2(saved, number)
        self._stopping.set()
        self._thread.join()
        os.close(self._source)

    def close(self) -> None:
        """Give the terminal back."""
        for saved in self._saved:
            os.close(saved)

    def _read(self) -> None:
        decoder = codecs.getincrementaldecoder("utf-8")("backslashreplace")
        rest = ""
        while True:
            # A child that lives on may keep the pipe open for ever, so its end is not waited for.
            last = self._stopping.is_set()
            if not select.select([self._source], [], [], 0 if last else _TICK_SECONDS)[0]:
                if last:
                    break
                continue
            data = os.read(self._source, 65_536)
            if not data:
                break
            *lines, rest = (rest + decoder.decode(data)).split("\n")
            self.lines.extend(lines)
            while self._bounded and len(self.lines) > 2 * _MOST_PRINTED:
                time.sleep(_TICK_SECONDS)
        if rest:
            self.lines.append(rest)


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        stream.flush()


class Region:
    """The last lines of a terminal, written over and over. The cursor is never hidden: a killed process leaves it."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._file = os.fdopen(os.dup(descriptor), "w", encoding="utf-8", errors="backslashreplace")
        self.console = Console(file=self._file, highlight=False, markup=False, emoji=False, force_terminal=True)
        self._lengths: list[int] = []

    def measure(self) -> tuple[int, int]:
        """Columns and rows, as they are now."""
        size = os.get_terminal_size(self._descriptor)
        columns, rows = size.columns or 80, size.lines or 25
        self.console.size = ConsoleDimensions(columns, rows)
        return columns, rows

    def write(self, above: list[Text | str], drawn: Text | None) -> None:
        """Write lines that stay, and then what is to be written over; in one go, so that nothing flickers.

        Args:
            above: lines; a str is written as it is, which is a hundred times faster than a Text.
            drawn: the tree.
        """
        columns, _ = self.measure()
        rows = sum(max(1, math.ceil(length / columns)) for length in self._lengths)
        up = f"\x1b[{rows}A" if rows else ""
        written = [line + "\n" if isinstance(line, str) else self._rendered(line) for line in above]
        if drawn is not None:
            written.append(self._rendered(drawn))
        self._lengths = [line.cell_len for line in drawn.split()] if drawn is not None else []
        self._file.write(f"{up}\r\x1b[J{''.join(written)}")
        self._file.flush()

    def _rendered(self, line: Text) -> str:
        with self.console.capture() as captured:
            self.console.print(line, soft_wrap=True)
        return captured.get()

    def close(self) -> None:
        """Let go of the terminal."""
        self._file.close()


class Live(ABC):
    """Draws something again and again, below all else that is written.

    Args:
        tick_seconds: how long to wait between two times.
    """

    def __init__(self, tick_seconds: float = _TICK_SECONDS) -> None:
        self._tick = tick_seconds
        self._said: deque[Said] = deque()
        self._put: deque[Text] = deque()
        self._output = Output()
        self._ansi = AnsiDecoder()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._keep_drawing, name="penstock-display", daemon=True)
        self._region: Region

    @abstractmethod
    def drawn(self, columns: int, rows: int, moving: bool) -> Text | None:
        """What to draw into so much room; with `moving` false, what is to stay."""

    def start(self) -> None:
        """Begin to draw."""
        self._output.start()
        self._region = Region(self._output.terminal)
        self._thread.start()

    def said(self, line: Said) -> None:
        """Queue a log line."""
        self._said.append(line)

    def put(self, line: Text) -> None:
        """Queue a line that goes above what is drawn."""
        self._put.append(line)

    def stop(self) -> None:
        """Write what is left, and the tree as it stays."""
        self._stopping.set()
        self._thread.join()
        self._output.stop()
        columns, rows = self._region.measure()
        last = self.drawn(columns, max(2 * rows, 60), moving=False)
        self._region.write([*self._above(), *([last] if last is not None else [])], None)
        self._region.close()
        self._output.close()

    def _keep_drawing(self) -> None:
        """Draw until it is over; however large it is, making it takes a tenth of one processor at most."""
        took = 0.0
        while not self._stopping.wait(max(self._tick, 9 * took)):
            above = self._above(most=_MOST_PRINTED)
            began = time.perf_counter()
            columns, rows = self._region.measure()
            drawn = self.drawn(columns, rows - 1, moving=True)
            took = time.perf_counter() - began
            self._region.write(above, drawn)

    def _above(self, most: int | None = None) -> list[Text | str]:
        """What is to be written above the tree. Of a flood of log lines, which the journal keeps, the last ones."""
        printed = self._output.lines
        count = len(printed) if most is None else min(len(printed), most)
        lines: list[Text | str] = [self._only_colours(printed.popleft()) for _ in range(count)]
        count = len(self._said)
        skipped = max(count - _MOST_SAID, 0)
        for _ in range(skipped):
            self._said.popleft()
        if skipped:
            told = f"{skipped:,} log lines are not shown here; penstock runs logs last has them"
            lines.append(text((told, "bright_black")))
        for _ in range(count - skipped):
            lines += said_lines(self._said.popleft())
        lines += [self._put.popleft() for _ in range(len(self._put))]
        return lines

    def _only_colours(self, line: str) -> Text | str:
        line = _BUT_COLOURS.sub("", line)
        return self._ansi.decode_line(line) if "\x1b" in line or "\r" in line else line


class LiveTree(Live):
    """Draws the tree of a run ten times a second."""

    def __init__(self, progress: Progress) -> None:
        super().__init__()
        self._progress = progress
        self.take = progress.take

    def drawn(self, columns: int, rows: int, moving: bool) -> Text:
        """The tree."""
        self._progress.catch_up()
        self._progress.measure()
        return Tree(self._progress, now_us(), moving=moving).draw(columns, rows)


def said_lines(line: Said) -> list[Text]:
    """A log line in colours; the lines of a longer message are put below each other."""
    first, *more = clean_lines(line.message)
    style = LEVEL_COLOURS.get(line.level, "default")
    head = text((clock(line.at), "bright_black"), "  ")
    if line.level != "INFO":
        head.append(f"{line.level} ", style=style)
    if line.step:
        head.append(f"{clean(line.step)}  ", style="bright_black")
    head.append(first, style=style)
    return [head, *(text(" " * 10, (rest, style)) for rest in more)]
